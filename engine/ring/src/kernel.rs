//! The one door to the kernel's ring: operations go in, finished ones come out. It knows no connection; whoever submits
//! keeps the memory alive that the operation names.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use io_uring::squeue::{Entry, Flags};
use io_uring::{EnterFlags, IoUring, cqueue, opcode, types};

use crate::errors::RingError;
use crate::system::more_flag;
use crate::token::{Operation, Token};

/// A completion as the kernel reported it.
#[derive(Clone, Copy)]
pub(crate) struct Finished {
    token: u64,
    pub(crate) result: i32,
    flags: u32,
}

impl Finished {
    #[inline]
    pub(crate) fn token(self) -> Token {
        Token::unpack(self.token)
    }

    /// Whether the operation goes on and will complete again.
    #[inline]
    pub(crate) fn more(self) -> bool {
        cqueue::more(self.flags)
    }

    /// The buffer the kernel took for it.
    #[inline]
    pub(crate) fn buffer(self) -> Option<u16> {
        cqueue::buffer_select(self.flags)
    }

    /// Takes over the descriptor that an accept brought.
    ///
    /// # Safety
    /// To be called once, and only for a completion of an accept.
    pub(crate) unsafe fn accepted(self) -> Option<OwnedFd> {
        // SAFETY: a non-negative result of an accept is a new descriptor, which is ours alone.
        (self.result >= 0).then(|| unsafe { OwnedFd::from_raw_fd(self.result) })
    }
}

/// How long `enter` waits for a completion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wait {
    /// Not at all: there is other work.
    No,
    /// Until there is one.
    Forever,
    /// Until there is one, but no longer than this.
    Micros(u64),
}

/// The ring itself, entries that found no room in it, and the count of operations still in the kernel.
pub(crate) struct Kernel {
    ring: IoUring,
    /// Entries for which the submission queue had no room even after submitting. Bounded by the operations that
    /// connections and listeners can have at a time.
    backlog: VecDeque<Entry>,
    in_flight: usize,
    enter_flags: EnterFlags,
    alarm: Box<types::Timespec>,
    overflowing: bool,
    dropped: u32,
}

/// Send flags: all of it if the peer takes it, and no SIGPIPE if it takes nothing.
const SEND_FLAGS: i32 = libc::MSG_WAITALL | libc::MSG_NOSIGNAL;

impl Kernel {
    pub(crate) fn new(ring: IoUring) -> Kernel {
        let mut enter_flags = EnterFlags::GETEVENTS;
        if ring.params().is_feature_no_iowait() {
            // An idle proxy is not a machine waiting for its disk (Linux 6.15).
            enter_flags |= EnterFlags::NO_IOWAIT;
        }
        Kernel {
            ring,
            backlog: VecDeque::new(),
            in_flight: 0,
            enter_flags,
            alarm: Box::default(),
            overflowing: false,
            dropped: 0,
        }
    }

    /// Operations whose last completion has not come yet.
    #[inline]
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// To be called for every last completion.
    #[inline]
    pub(crate) fn retire(&mut self) {
        self.in_flight -= 1;
    }

    /// Whether entries wait for room in the submission queue.
    #[inline]
    pub(crate) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    #[inline]
    fn start(&mut self, entry: Entry, token: Token) {
        self.in_flight += 1;
        self.push(entry.user_data(token.pack()));
    }

    #[inline]
    fn push(&mut self, entry: Entry) {
        // SAFETY: what an entry points to is kept by whoever submitted it: buffers and sockets by the connection until
        // the last completion, buffer rings until the io_uring is closed.
        let pushed = self.backlog.is_empty() && unsafe { self.ring.submission().push(&entry) }.is_ok();
        if !pushed {
            self.push_slowly(entry);
        }
    }

    #[cold]
    fn push_slowly(&mut self, entry: Entry) {
        self.backlog.push_back(entry);
        // A refusal is no loss: the backlog is tried again with each push and each turn.
        let _ = self.ring.submit();
        self.drain_backlog();
    }

    fn drain_backlog(&mut self) {
        while let Some(entry) = self.backlog.front() {
            // SAFETY: as in `push`.
            if unsafe { self.ring.submission().push(entry) }.is_err() {
                return;
            }
            self.backlog.pop_front();
        }
    }

    /// Watches a descriptor for readability until cancelled.
    pub(crate) fn watch(&mut self, socket: &OwnedFd, token: Token) {
        let entry =
            opcode::PollAdd::new(types::Fd(socket.as_raw_fd()), libc::POLLIN as u32).multi(true).build();
        self.start(entry, token);
    }

    /// Waits once for any of `events` (POLLERR and POLLHUP always count).
    pub(crate) fn poll(&mut self, socket: &OwnedFd, events: i16, token: Token) {
        let entry = opcode::PollAdd::new(types::Fd(socket.as_raw_fd()), events as u32).build();
        self.start(entry, token);
    }

    /// Accepts until stopped or failed.
    pub(crate) fn accept(&mut self, socket: &OwnedFd, token: Token) {
        let accept = opcode::AcceptMulti::new(types::Fd(socket.as_raw_fd())).flags(libc::SOCK_CLOEXEC);
        self.start(accept.build(), token);
    }

    /// Receives into buffers of a group until stopped, ended or out of buffers.
    #[inline]
    pub(crate) fn receive(&mut self, socket: &OwnedFd, group: u16, token: Token) {
        let entry = opcode::RecvMulti::new(types::Fd(socket.as_raw_fd()), group).build();
        self.start(entry, token);
    }

    /// Connects a socket.
    ///
    /// # Safety
    /// `address` must stay in place until the completion.
    pub(crate) unsafe fn connect(&mut self, socket: &OwnedFd, address: &socket2::SockAddr, token: Token) {
        let target = types::Fd(socket.as_raw_fd());
        self.start(opcode::Connect::new(target, address.as_ptr().cast(), address.len()).build(), token);
    }

    /// Sends one run of bytes.
    ///
    /// # Safety
    /// The bytes must stay in place and unchanged until the completion.
    #[inline]
    pub(crate) unsafe fn send(
        &mut self,
        socket: &OwnedFd,
        address: *const u8,
        bytes: u32,
        more: bool,
        token: Token,
    ) {
        let send = opcode::Send::new(types::Fd(socket.as_raw_fd()), address, bytes);
        self.start(send.flags(SEND_FLAGS | more_flag(more)).build(), token);
    }

    /// Sends what a message header names.
    ///
    /// # Safety
    /// The header, its vectors and all bytes must stay in place and unchanged until the completion.
    #[inline]
    pub(crate) unsafe fn send_many(
        &mut self,
        socket: &OwnedFd,
        message: *const libc::msghdr,
        more: bool,
        token: Token,
    ) {
        let send = opcode::SendMsg::new(types::Fd(socket.as_raw_fd()), message);
        self.start(send.flags((SEND_FLAGS | more_flag(more)) as u32).build(), token);
    }

    /// Completes with [`Token::ALARM`] after this many microseconds, once; `moves` if the last alarm has not completed
    /// yet, which this one then takes the place of.
    pub(crate) fn set_alarm(&mut self, micros: u64, moves: bool) {
        *self.alarm = types::Timespec::new().sec(micros / 1_000_000).nsec((micros % 1_000_000) as u32 * 1000);
        // The kernel reads the time when it takes the entry; until then it stays in its box.
        let time: *const types::Timespec = &raw const *self.alarm;
        if moves {
            let update = opcode::TimeoutUpdate::new(Token::ALARM.pack(), time).build();
            self.push(update.flags(Flags::SKIP_SUCCESS).user_data(Token::IGNORED.pack()));
        } else {
            self.push(opcode::Timeout::new(time).build().user_data(Token::ALARM.pack()));
        }
    }

    /// Asks for the end of the operation with this token, which then completes with ECANCELED if nothing else came
    /// first.
    pub(crate) fn cancel(&mut self, token: Token) {
        let cancel = opcode::AsyncCancel::new(token.pack()).build().flags(Flags::SKIP_SUCCESS);
        self.push(cancel.user_data(Token::new(Operation::Ignored, 0, 0).pack()));
    }

    /// Asks for the end of every operation.
    pub(crate) fn cancel_all(&mut self) {
        let cancel =
            opcode::AsyncCancel2::new(types::CancelBuilder::any()).build().flags(Flags::SKIP_SUCCESS);
        self.push(cancel.user_data(Token::IGNORED.pack()));
    }

    /// Submits what is queued and waits: the one system call of a turn.
    #[inline]
    pub(crate) fn enter(&mut self, wait: Wait) -> Result<(), RingError> {
        if self.has_backlog() {
            self.drain_backlog();
        }
        let queued = self.ring.submission().len() as u32;
        let entered = match wait {
            // SAFETY: no argument is passed.
            Wait::No => unsafe {
                self.ring.submitter().enter::<libc::sigset_t>(queued, 0, self.enter_flags.bits(), None)
            },
            // SAFETY: as above.
            Wait::Forever => unsafe {
                self.ring.submitter().enter::<libc::sigset_t>(queued, 1, self.enter_flags.bits(), None)
            },
            Wait::Micros(micros) => {
                let time =
                    types::Timespec::new().sec(micros / 1_000_000).nsec((micros % 1_000_000) as u32 * 1000);
                let arguments = types::SubmitArgs::new().timespec(&time);
                let flags = self.enter_flags | EnterFlags::EXT_ARG;
                // SAFETY: EXT_ARG announces exactly this structure, and the time it points to lives across the call.
                unsafe { self.ring.submitter().enter(queued, 1, flags.bits(), Some(&arguments)) }
            }
        };
        match entered {
            Ok(_) => Ok(()),
            Err(error) => self.judge(error),
        }
    }

    #[cold]
    fn judge(&mut self, error: io::Error) -> Result<(), RingError> {
        match error.raw_os_error() {
            // ETIME: the wait is over. EINTR: a signal. EAGAIN: no memory for requests right now. EBUSY and EBADR: the
            // completion queue has overflowed. All pass once completions are reaped; what was not submitted stays
            // queued.
            Some(libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY | libc::EBADR) => Ok(()),
            _ => Err(RingError::Enter(error)),
        }
    }

    /// Moves at most `limit` completions to `batch`. True if more are at hand.
    #[inline]
    pub(crate) fn reap(&mut self, batch: &mut Vec<Finished>, limit: usize) -> bool {
        let mut queue = self.ring.completion();
        let at_hand = queue.len();
        batch.extend(queue.by_ref().take(limit).map(|entry| Finished {
            token: entry.user_data(),
            result: entry.result(),
            flags: entry.flags(),
        }));
        at_hand > limit
    }

    /// Overflows of the completion queue since the last call: the kernel then keeps completions aside (and ends
    /// multishot operations), or drops them when it has no memory for that.
    #[inline]
    pub(crate) fn take_overflows(&mut self) -> u64 {
        let overflowing = self.ring.submission().cq_overflow();
        let dropped = self.ring.completion().overflow();
        if overflowing == self.overflowing && dropped == self.dropped {
            return 0;
        }
        let count =
            u64::from(overflowing && !self.overflowing) + u64::from(dropped.wrapping_sub(self.dropped));
        self.overflowing = overflowing;
        self.dropped = dropped;
        count
    }
}
