//! The loop of a core: one enter of the kernel and one look at the clock per turn. It decides nothing.

use std::time::Instant;

use sidering_dataplane::io::{Completion, Machine, Time};
use sidering_system::{Delivery, Receiver};

use crate::errors::RingError;
use crate::kernel::Finished;
use crate::ring::Ring;
use crate::slot::RingChunk;
use crate::token::Token;

/// Messages handled in one turn at most.
const MESSAGES_PER_TURN: usize = 64;

/// Times in one turn that direct sends may lead to further ones (pipelined requests answered from a queue).
const DIRECT_ROUNDS: usize = 4;

/// Runs a machine on a ring until the machine is finished, then drops both: the machine first, so that its chunks are
/// home when the ring's buffers go.
///
/// `origin` is the instant that the machine's time counts from, common to all cores.
///
/// # Errors
/// [`RingError::Enter`] if the kernel refuses to go on, [`RingError::Wake`] if the mailbox cannot be watched.
pub fn run<M: Machine<Ring>>(
    ring: Ring,
    machine: M,
    inbox: Receiver<M::Message>,
    origin: Instant,
) -> Result<(), RingError> {
    let wake = inbox.wake_descriptor().map_err(RingError::Wake)?;
    // Declared in this order so that the machine is dropped before the ring.
    let mut core = Core { machine, ring, inbox, origin, batch: Vec::new(), more_at_hand: false };
    core.ring.kernel.watch(&wake, Token::WAKE);
    let mut now = core.now();
    while !core.machine.is_finished() {
        let mut wait = core.ring.wait(now, core.machine.next_deadline());
        if core.more_at_hand || core.ring.woken {
            wait = crate::kernel::Wait::No;
        }
        core.ring.kernel.enter(wait)?;
        now = core.now();
        core.turn(now);
        if std::mem::take(&mut core.ring.watch_again) {
            core.ring.kernel.watch(&wake, Token::WAKE);
        }
    }
    Ok(())
}

struct Core<M: Machine<Ring>> {
    machine: M,
    ring: Ring,
    inbox: Receiver<M::Message>,
    origin: Instant,
    /// The completions of this turn. Kept for its memory.
    batch: Vec<Finished>,
    /// Completions were left for the next turn.
    more_at_hand: bool,
}

impl<M: Machine<Ring>> Core<M> {
    fn now(&self) -> Time {
        Time { micros: self.origin.elapsed().as_micros() as u64 }
    }

    #[inline]
    fn turn(&mut self, now: Time) {
        let ring = &mut self.ring;
        std::mem::swap(&mut ring.due, &mut ring.deferred);
        while let Some(completion) = self.ring.due.pop_front() {
            self.tell(now, completion);
        }
        self.batch.clear();
        self.more_at_hand = self.ring.kernel.reap(&mut self.batch, self.ring.options.completions_per_turn);
        self.ring.counters.completions.add(self.batch.len() as u64);
        for position in 0..self.batch.len() {
            let finished = self.batch[position];
            if let Some(completion) = self.ring.complete(finished) {
                self.machine.handle_completion(&mut self.ring, now, completion);
            }
            while let Some(completion) = self.ring.follow_ups.pop_front() {
                self.tell(now, completion);
            }
        }
        if self.ring.woken {
            self.read_mail(now);
        }
        self.machine.handle_turn(&mut self.ring, now);
        self.ring.end_turn(now);
        self.tell_sent(now);
    }

    /// Tells of direct sends, which may lead to more of them; what is left after a few rounds waits for the next turn.
    #[inline]
    fn tell_sent(&mut self, now: Time) {
        for _ in 0..DIRECT_ROUNDS {
            if self.ring.sent.is_empty() {
                return;
            }
            let mut sent = std::mem::take(&mut self.ring.sent);
            for completion in sent.drain(..) {
                self.tell(now, completion);
            }
            // Kept for its memory: nothing was sent in the meantime.
            self.ring.sent = sent;
            while let Some(completion) = self.ring.follow_ups.pop_front() {
                self.tell(now, completion);
            }
            // What was sent has let slots go home, perhaps the only ones that a parked receive waits for.
            self.ring.refill();
            self.ring.flush();
        }
        let left = std::mem::take(&mut self.ring.sent);
        self.ring.deferred.extend(left);
    }

    /// Tells a completion that was made earlier, if it still holds.
    fn tell(&mut self, now: Time, completion: Completion<RingChunk>) {
        if self.ring.may_tell(&completion) {
            self.machine.handle_completion(&mut self.ring, now, completion);
        }
    }

    #[cold]
    fn read_mail(&mut self, now: Time) {
        // First, so that what arrives while we read rings again.
        self.inbox.acknowledge();
        for _ in 0..MESSAGES_PER_TURN {
            match self.inbox.try_next() {
                Some(Delivery::Listen(id, socket)) => self.ring.add_listener(id, socket),
                Some(Delivery::Message(message)) => self.machine.handle_message(&mut self.ring, now, message),
                None => {
                    self.ring.woken = false;
                    return;
                }
            }
        }
    }
}
