//! The loop of a core: one wait and one look at the clock per turn. It decides nothing.

use std::time::Instant;

use sidering_dataplane::io::{Completion, Machine, Time};
use sidering_system::{Delivery, Receiver};

use crate::epoll::Epoll;
use crate::errors::EpollError;
use crate::receive::RECEIVES_PER_TURN;
use crate::slot::EpollChunk;

/// Messages handled in one turn at most.
const MESSAGES_PER_TURN: usize = 64;

/// Times in one turn that what was sent may lead to further sends (pipelined requests answered from a queue).
const SEND_ROUNDS: usize = 4;

/// Runs a machine on an engine until the machine is finished, then drops both.
///
/// `origin` is the instant that the machine's time counts from, common to all cores.
///
/// # Errors
/// [`EpollError::Wait`] if the kernel refuses to go on, [`EpollError::Wake`] if the mailbox cannot be watched.
pub fn run<M: Machine<Epoll>>(
    epoll: Epoll,
    machine: M,
    inbox: Receiver<M::Message>,
    origin: Instant,
) -> Result<(), EpollError> {
    let wake = inbox.wake_descriptor().map_err(EpollError::Wake)?;
    epoll.watch_mailbox(&wake)?;
    let mut core = Core { machine, epoll, inbox, origin };
    let mut now = core.now();
    while !core.machine.is_finished() {
        let wait = core.epoll.wait_for(now, core.machine.next_deadline());
        let events = core.epoll.poller.wait(wait).map_err(EpollError::Wait)?;
        now = core.now();
        core.turn(now, events);
    }
    Ok(())
}

struct Core<M: Machine<Epoll>> {
    machine: M,
    epoll: Epoll,
    inbox: Receiver<M::Message>,
    origin: Instant,
}

impl<M: Machine<Epoll>> Core<M> {
    fn now(&self) -> Time {
        Time { micros: self.origin.elapsed().as_micros() as u64 }
    }

    #[inline]
    fn turn(&mut self, now: Time, events: usize) {
        std::mem::swap(&mut self.epoll.due, &mut self.epoll.deferred);
        while let Some(completion) = self.epoll.due.pop_front() {
            self.tell(now, completion);
        }
        self.epoll.counters.completions.add(events as u64);
        for position in 0..events {
            self.epoll.note(position);
            self.tell_follow_ups(now);
        }
        self.receive(now);
        if self.epoll.woken {
            self.read_mail(now);
        }
        self.machine.handle_turn(&mut self.epoll, now);
        self.epoll.end_turn(now);
        self.tell_sent(now);
        self.epoll.close_turn();
    }

    /// Gives every connection that is ready its receives. Those that have more to come wait for the next turn.
    #[inline]
    fn receive(&mut self, now: Time) {
        for _ in 0..self.epoll.ready.len() {
            let Some(index) = self.epoll.ready.pop_front() else { return };
            self.epoll.conns.entry(index).ready = false;
            for _ in 0..RECEIVES_PER_TURN {
                let Some(completion) = self.epoll.receive_once(index) else { break };
                self.machine.handle_completion(&mut self.epoll, now, completion);
            }
            self.epoll.make_ready(index);
        }
    }

    /// Tells of sends, which may lead to more of them; what is left after a few rounds waits for the next turn.
    #[inline]
    fn tell_sent(&mut self, now: Time) {
        for _ in 0..SEND_ROUNDS {
            if self.epoll.sent.is_empty() {
                return;
            }
            let mut sent = std::mem::take(&mut self.epoll.sent);
            for completion in sent.drain(..) {
                self.tell(now, completion);
            }
            // Kept for its memory: nothing was sent in the meantime.
            self.epoll.sent = sent;
            self.epoll.flush();
        }
        let epoll = &mut self.epoll;
        epoll.deferred.extend(epoll.sent.drain(..));
    }

    #[inline]
    fn tell_follow_ups(&mut self, now: Time) {
        while let Some(completion) = self.epoll.follow_ups.pop_front() {
            self.tell(now, completion);
        }
    }

    /// Tells a completion that was made earlier, if it still holds.
    #[inline]
    fn tell(&mut self, now: Time, completion: Completion<EpollChunk>) {
        if self.epoll.may_tell(&completion) {
            self.machine.handle_completion(&mut self.epoll, now, completion);
        }
    }

    #[cold]
    fn read_mail(&mut self, now: Time) {
        // The eventfd is not read: each write to it is an edge of its own.
        for _ in 0..MESSAGES_PER_TURN {
            match self.inbox.try_next() {
                Some(Delivery::Listen(id, socket)) => self.epoll.add_listener(id, socket),
                Some(Delivery::Message(message)) => {
                    self.machine.handle_message(&mut self.epoll, now, message);
                }
                None => {
                    self.epoll.woken = false;
                    return;
                }
            }
        }
    }
}
