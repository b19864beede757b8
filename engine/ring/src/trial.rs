//! Tries, on a small ring of its own, what the kernel cannot be asked for: multishot operations, buffer rings, a timeout
//! that is moved, cancellations without a completion, all through the engine's own door and under its restrictions. It
//! leaves nothing behind.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use io_uring::IoUring;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::buffer_ring::BufferRing;
use crate::kernel::{Finished, Kernel, Wait};
use crate::mapping::Mapping;
use crate::ring::{BULK_PUBLISHED_MAX, SMALL_PUBLISHED_MAX};
use crate::setup;
use crate::token::{Operation, Token};

/// Everything tried here completes at once; this is for a machine that is busy otherwise.
const WAIT_MICROS: u64 = 100_000;
const WAITS: u32 = 10;
/// An alarm that is certain to be moved before it rings.
const FAR_MICROS: u64 = 3_600_000_000;
const BUFFERS: u16 = 8;
const BUFFER_BYTES: u32 = 4096;
const GROUP: u16 = 0;
const BULK_GROUP: u16 = 1;

const RECEIVE: Token = Token { operation: Operation::Receive, index: 1, generation: 0 };
const ACCEPT: Token = Token { operation: Operation::Accept, index: 2, generation: 0 };
const WATCH: Token = Token { operation: Operation::Wake, index: 3, generation: 0 };

/// What was tried, and how it went: granted, or refused with an errno (0: it completed, but not as it should).
pub(crate) struct Tried {
    pub(crate) name: &'static str,
    pub(crate) since: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) answer: Result<(), i32>,
}

/// Whatever was tried on a ring just opened. Stops at what nothing further can be tried without.
pub(crate) fn try_out(ring: IoUring) -> Vec<Tried> {
    let mut tried = Vec::new();
    let mut note = |name, since, meaning, answer: Result<(), i32>| {
        tried.push(Tried { name, since, meaning, answer });
        answer.is_ok()
    };
    let buffers = Buffers::register(&ring);
    let refusal = buffers.as_ref().err().copied();
    let meaning = "receive buffers that all connections share; needed";
    if !note("buffer rings", "5.19", meaning, refusal.map_or(Ok(()), Err)) {
        return tried;
    }
    // The report tells of restrictions by themselves.
    let meaning = "letting a restricted ring go; needed";
    if !note("enabling", "5.10", meaning, setup::enable(&ring, true).map(drop).map_err(|_| libc::EPERM)) {
        return tried;
    }
    let mut bench = Bench { kernel: Kernel::new(ring), buffers: buffers.ok(), sockets: Vec::new() };
    let meaning =
        "one submission for all that a connection receives: measured 16 % cheaper than one each; needed";
    note("multishot RECV", "6.0", meaning, bench.receive());
    note(
        "multishot ACCEPT",
        "5.19",
        "one submission for all connections of a listener; needed",
        bench.accept(),
    );
    note("multishot POLL_ADD", "5.13", "one submission for all messages to a core; needed", bench.watch());
    let meaning = "one kernel timer per core: measured 10 % cheaper than one per request; needed";
    note("a TIMEOUT that is moved", "5.11", meaning, bench.alarm());
    note(
        "CANCEL_ANY, silent",
        "5.19",
        "pauses and closes, without a completion of their own; needed",
        bench.cancel(),
    );
    tried
}

/// Buffer rings as large as a core's, because the kernel may count them as locked memory, and the few buffers in them.
struct Buffers {
    ring: BufferRing,
    /// For its memory only.
    _bulk: BufferRing,
    memory: Mapping,
}

impl Buffers {
    fn register(ring: &IoUring) -> Result<Buffers, i32> {
        let memory =
            Mapping::new(usize::from(BUFFERS) * BUFFER_BYTES as usize).map_err(|error| errno(&error))?;
        let register =
            |group, entries: u32| BufferRing::new(ring, group, entries as u16).map_err(|error| errno(&error));
        let small = register(GROUP, SMALL_PUBLISHED_MAX)?;
        let mut buffers = Buffers { ring: small, _bulk: register(BULK_GROUP, BULK_PUBLISHED_MAX)?, memory };
        for id in 0..BUFFERS {
            // SAFETY: within the mapping, which nobody reads and which outlives the ring (see `Bench::drop`); fewer
            // are put than the buffer ring has entries.
            unsafe {
                let address = buffers.memory.base().add(usize::from(id) * BUFFER_BYTES as usize);
                buffers.ring.put(id, address, BUFFER_BYTES);
            }
        }
        buffers.ring.publish();
        Ok(buffers)
    }
}

/// The ring under trial, and all that it may still use.
struct Bench {
    kernel: Kernel,
    buffers: Option<Buffers>,
    sockets: Vec<OwnedFd>,
}

impl Bench {
    fn receive(&mut self) -> Result<(), i32> {
        let (ours, mut theirs) = UnixStream::pair().map_err(|error| errno(&error))?;
        let ours = OwnedFd::from(ours);
        self.kernel.receive(&ours, GROUP, RECEIVE);
        theirs.write_all(b"x").map_err(|error| errno(&error))?;
        self.sockets.extend([ours, theirs.into()]);
        let received = self.expect(RECEIVE)?;
        goes_on(received.result == 1 && received.buffer().is_some() && received.more())
    }

    /// On an unnamed unix socket: a loopback interface may be missing.
    fn accept(&mut self) -> Result<(), i32> {
        let (listener, client) = listen_and_connect().map_err(|error| errno(&error))?;
        self.kernel.accept(&listener, ACCEPT);
        self.sockets.extend([listener, client]);
        let accepted = self.expect(ACCEPT)?;
        // SAFETY: the completion of an accept, taken once.
        let socket = unsafe { accepted.accepted() };
        let is_socket = socket.is_some();
        self.sockets.extend(socket);
        goes_on(is_socket && accepted.more())
    }

    fn watch(&mut self) -> Result<(), i32> {
        let (ours, mut theirs) = UnixStream::pair().map_err(|error| errno(&error))?;
        let ours = OwnedFd::from(ours);
        self.kernel.watch(&ours, WATCH);
        theirs.write_all(b"x").map_err(|error| errno(&error))?;
        self.sockets.extend([ours, theirs.into()]);
        let ready = self.expect(WATCH)?;
        goes_on(ready.result > 0 && ready.more())
    }

    fn alarm(&mut self) -> Result<(), i32> {
        self.kernel.set_alarm(FAR_MICROS, false);
        self.enter(Wait::No)?;
        self.kernel.set_alarm(0, true);
        let rung = self.next(|finished| {
            let operation = finished.token().operation;
            operation == Operation::Alarm || operation == Operation::Ignored
        })?;
        let is_alarm = rung.token().operation == Operation::Alarm;
        if is_alarm && rung.result == -libc::ETIME { Ok(()) } else { Err(failure(rung.result)) }
    }

    /// One by its token, then the rest. Both tell of themselves only if they fail.
    fn cancel(&mut self) -> Result<(), i32> {
        self.kernel.cancel(RECEIVE);
        let is_end = |finished: &Finished| match finished.token() {
            RECEIVE => !finished.more(),
            token => token.operation == Operation::Ignored,
        };
        let ended = self.next(is_end)?;
        if ended.token() != RECEIVE || ended.result != -libc::ECANCELED {
            return Err(failure(ended.result));
        }
        if self.end() { Ok(()) } else { Err(libc::ETIME) }
    }

    /// Cancels everything. False if the kernel still holds something after a bounded time.
    fn end(&mut self) -> bool {
        if self.kernel.in_flight() > 0 {
            self.kernel.cancel_all();
        }
        for _ in 0..WAITS {
            if self.kernel.in_flight() == 0 {
                return true;
            }
            if self.next(|finished| !finished.more()).is_err() {
                break;
            }
        }
        self.kernel.in_flight() == 0
    }

    /// The next completion of an operation, which must not have failed.
    fn expect(&mut self, token: Token) -> Result<Finished, i32> {
        let finished = self.next(|finished| finished.token() == token)?;
        if finished.result < 0 { Err(-finished.result) } else { Ok(finished) }
    }

    fn next(&mut self, is_it: impl Fn(&Finished) -> bool) -> Result<Finished, i32> {
        let mut batch = Vec::new();
        for _ in 0..WAITS {
            self.enter(if batch.is_empty() { Wait::Micros(WAIT_MICROS) } else { Wait::No })?;
            batch.clear();
            self.kernel.reap(&mut batch, usize::MAX);
            for finished in &batch {
                // An alarm and a cancellation are not counted as in flight.
                let is_counted =
                    ![Operation::Alarm, Operation::Ignored].contains(&finished.token().operation);
                if is_counted && !finished.more() {
                    self.kernel.retire();
                }
            }
            if let Some(finished) = batch.iter().find(|finished| is_it(finished)) {
                return Ok(*finished);
            }
        }
        Err(libc::ETIME)
    }

    fn enter(&mut self, wait: Wait) -> Result<(), i32> {
        self.kernel.enter(wait).map_err(|_| libc::EIO)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if !self.end() {
            // The kernel may still write there.
            std::mem::forget(self.buffers.take());
        }
    }
}

fn listen_and_connect() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // An address of no length: the kernel chooses a name that no file has.
    listener.bind(&SockAddr::unix("")?)?;
    listener.listen(1)?;
    let client = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    client.connect(&listener.local_addr()?)?;
    Ok((listener.into(), client.into()))
}

/// A single shot completes as well, but does not go on.
fn goes_on(it_does: bool) -> Result<(), i32> {
    if it_does { Ok(()) } else { Err(0) }
}

fn failure(result: i32) -> i32 {
    result.min(0).saturating_neg()
}

fn errno(error: &std::io::Error) -> i32 {
    error.raw_os_error().unwrap_or(0)
}
