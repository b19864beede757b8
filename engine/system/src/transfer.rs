//! One relay's bytes: from the source into a pipe, from the pipe into the destination, by splice(2). It knows two
//! descriptors and a pipe; who waits for what is the engine's business.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};
use sidering_dataplane::io::{ConnId, IoError, RelayEnd};

use crate::errno::{from_system, io_error};
use crate::pipes::{NoPipe, Pipe, PipePool};

/// Bytes one relay may take from its source in one turn: some 250 microseconds of the core, after which others have
/// their turn. Measured with 1 and 8 relays: half of it costs a quarter of the bytes per CPU second, twice as much
/// gains nothing.
const BYTES_PER_TURN: u64 = 1024 * 1024;

/// Without waiting for the pipe. Whether a call waits for the socket is up to that one's O_NONBLOCK.
const SPLICE: SpliceFlags = SpliceFlags::MOVE.union(SpliceFlags::NONBLOCK);

/// What a relay needs next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Another turn: there is more.
    Again,
    /// Bytes in the source.
    WaitSource,
    /// Room in the destination.
    WaitDestination,
    /// A pipe.
    WaitPipe,
    /// Nothing: it is over.
    End(RelayEnd),
}

/// A relay and what is on its way.
pub struct Relay {
    /// Tells relays apart that use the same index one after the other.
    pub serial: u32,
    pub from: ConnId,
    pub to: ConnId,
    /// Listed to be run.
    pub queued: bool,
    /// It is this relay's turn on the destination.
    pub started: bool,
    /// The destination's peer has sent its FIN: polling it for errors alone is impossible from then on.
    pub destination_half_closed: bool,
    /// Bytes that may still be taken from the source.
    left: u64,
    /// Bytes in the pipe. A relay without any holds no pipe.
    inside: usize,
    pipe: Option<Pipe>,
    /// The source's end, to be reported when the pipe is empty.
    source_end: Option<RelayEnd>,
}

impl Relay {
    pub fn new(serial: u32, from: ConnId, to: ConnId, limit: u64) -> Relay {
        Relay {
            serial,
            from,
            to,
            queued: false,
            started: false,
            destination_half_closed: false,
            left: limit,
            inside: 0,
            pipe: None,
            source_end: None,
        }
    }

    /// Moves what can be moved now, within a turn's bound. Both sockets must have O_NONBLOCK on. Gives the bytes that
    /// reached the destination.
    pub fn transfer(
        &mut self,
        source: BorrowedFd<'_>,
        destination: BorrowedFd<'_>,
        pipes: &mut PipePool,
    ) -> (u64, Step) {
        let (mut moved, mut budget) = (0, BYTES_PER_TURN);
        let step = loop {
            if let Some(step) = self.drain(destination, &mut moved) {
                break step;
            }
            if let Some(end) = self.source_end {
                break Step::End(end);
            }
            if self.left == 0 {
                break Step::End(RelayEnd::Limit);
            }
            if budget == 0 {
                break Step::Again;
            }
            match self.fill(source, budget, pipes) {
                Ok(taken) => budget -= taken,
                Err(step) => break step,
            }
        };
        if self.inside == 0
            && let Some(pipe) = self.pipe.take()
        {
            pipes.give_back(pipe);
        }
        (moved, step)
    }

    /// Empties the pipe into the destination, as far as it takes it.
    fn drain(&mut self, destination: BorrowedFd<'_>, moved: &mut u64) -> Option<Step> {
        while self.inside > 0 {
            let pipe = self.pipe.as_ref()?;
            match splice(pipe.reader(), None, destination, None, self.inside, SPLICE) {
                Ok(0) => return Some(Step::End(RelayEnd::DestinationFailed(IoError::BrokenPipe))),
                Ok(bytes) => {
                    self.inside -= bytes;
                    *moved += bytes as u64;
                }
                Err(Errno::AGAIN) => return Some(Step::WaitDestination),
                Err(Errno::INTR) => {}
                Err(error) => return Some(Step::End(RelayEnd::DestinationFailed(word_for(error)))),
            }
        }
        None
    }

    /// Takes bytes from the source into the empty pipe.
    fn fill(&mut self, source: BorrowedFd<'_>, budget: u64, pipes: &mut PipePool) -> Result<u64, Step> {
        let pipe = match self.pipe.take().map_or_else(|| pipes.take(), Ok) {
            Ok(pipe) => self.pipe.insert(pipe),
            Err(NoPipe::AllInUse) => return Err(Step::WaitPipe),
            Err(NoPipe::Refused(error)) => {
                return Err(Step::End(RelayEnd::SourceFailed(from_system(&error))));
            }
        };
        match splice(source, None, pipe.writer(), None, self.left.min(budget) as usize, SPLICE) {
            Ok(0) => self.source_end = Some(RelayEnd::SourceEnded),
            Ok(bytes) => {
                self.inside += bytes;
                self.left -= bytes as u64;
                return Ok(bytes as u64);
            }
            Err(Errno::AGAIN) => return Err(Step::WaitSource),
            Err(Errno::INTR) => {}
            Err(error) => self.source_end = Some(RelayEnd::SourceFailed(word_for(error))),
        }
        Ok(0)
    }

    /// The relay is over, in whatever state: its pipe goes back, and bytes inside are lost.
    pub fn dissolve(mut self, pipes: &mut PipePool) {
        match self.pipe.take() {
            Some(pipe) if self.inside == 0 => pipes.give_back(pipe),
            Some(pipe) => pipes.discard(pipe),
            None => {}
        }
    }
}

fn word_for(error: Errno) -> IoError {
    io_error(error.raw_os_error())
}

/// All relays of one core, and whose turn it is.
pub struct Relays {
    entries: Vec<Option<Relay>>,
    free: Vec<u32>,
    /// Relays to be run at the end of this turn, by index and serial number.
    runnable: VecDeque<(u32, u32)>,
    /// Relays that wait for a pipe.
    waiting: VecDeque<(u32, u32)>,
    next_serial: u32,
    pub pipes: PipePool,
}

impl Relays {
    pub fn new(pipes_max: u32) -> Relays {
        Relays {
            entries: Vec::new(),
            free: Vec::new(),
            runnable: VecDeque::new(),
            waiting: VecDeque::new(),
            next_serial: 0,
            pipes: PipePool::new(pipes_max),
        }
    }

    /// Enters a relay. Each connection is the source of one at most, so the connection table bounds their number.
    pub fn insert(&mut self, from: ConnId, to: ConnId, limit: u64) -> (u32, u32) {
        self.next_serial = self.next_serial.wrapping_add(1);
        let serial = self.next_serial;
        let relay = Some(Relay::new(serial, from, to, limit));
        let index = match self.free.pop() {
            Some(index) => {
                self.entries[index as usize] = relay;
                index
            }
            None => {
                self.entries.push(relay);
                self.entries.len() as u32 - 1
            }
        };
        (index, serial)
    }

    pub fn get(&mut self, index: u32) -> Option<&mut Relay> {
        self.entries.get_mut(index as usize)?.as_mut()
    }

    /// Whether the relay of this index is still the one with this serial number.
    pub fn is_current(&self, index: u32, serial: u32) -> bool {
        let relay = self.entries.get(index as usize).and_then(Option::as_ref);
        relay.is_some_and(|relay| relay.serial == serial)
    }

    /// Borrows a relay and the pipes at once.
    pub fn get_with_pipes(&mut self, index: u32) -> Option<(&mut Relay, &mut PipePool)> {
        Some((self.entries.get_mut(index as usize)?.as_mut()?, &mut self.pipes))
    }

    /// Removes a relay; a pipe that comes free serves the one that waits longest.
    pub fn remove(&mut self, index: u32) -> Option<(ConnId, ConnId)> {
        let relay = self.entries.get_mut(index as usize)?.take()?;
        self.free.push(index);
        let ends = (relay.from, relay.to);
        relay.dissolve(&mut self.pipes);
        self.serve_waiting();
        Some(ends)
    }

    /// Lists a relay to be run at the end of the turn.
    pub fn make_runnable(&mut self, index: u32) {
        let Some(Some(relay)) = self.entries.get_mut(index as usize) else { return };
        if !relay.queued {
            relay.queued = true;
            self.runnable.push_back((index, relay.serial));
        }
    }

    pub fn wait_for_pipe(&mut self, index: u32) {
        if let Some(Some(relay)) = self.entries.get(index as usize) {
            self.waiting.push_back((index, relay.serial));
        }
    }

    /// One pipe may have come free.
    pub fn serve_waiting(&mut self) {
        while let Some((index, serial)) = self.waiting.pop_front() {
            if self.is_current(index, serial) {
                self.make_runnable(index);
                return;
            }
        }
    }

    /// How many relays are listed to be run.
    #[inline]
    pub fn runnable(&self) -> usize {
        self.runnable.len()
    }

    /// The next relay to be run.
    pub fn pop_runnable(&mut self) -> Option<u32> {
        let (index, serial) = self.runnable.pop_front()?;
        if !self.is_current(index, serial) {
            return None;
        }
        let relay = self.get(index)?;
        relay.queued = false;
        relay.started.then_some(index)
    }
}
