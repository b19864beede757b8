//! Relays: their place behind the destination's queue, the pipe that bytes go through, and their ends.

use super::Engine;
use super::conn::{Out, Receive, Send};
use crate::bytes::ByteQueue;
use crate::coverage::Situation;
use crate::journal::Who;
use sidering_dataplane::io::{Completion, ConnId, IoError, RelayEnd};

/// What a pipe holds.
const PIPE_BYTES: usize = 64 * 1024;
/// What one relay moves in one turn at most.
const BYTES_PER_TURN: usize = 1024 * 1024;

/// Bytes moved from one connection to another. Its number is never given out again.
#[derive(Debug)]
pub(super) struct Relay {
    from: ConnId,
    to: ConnId,
    left: u64,
    pipe: ByteQueue,
    source_end: Option<RelayEnd>,
    /// Its turn on the destination has come.
    has_started: bool,
    is_over: bool,
}

impl Engine {
    /// `Io::relay`.
    pub(super) fn queue_relay(&mut self, from: ConnId, to: ConnId, limit: u64) {
        assert!(from != to, "misuse: a relay from a connection to itself: {from:?}");
        let number = self.relays.len();
        let source = self.live(from, "relay from");
        let is_at_rest = source.receive == Receive::Rest && !source.pause_due;
        assert!(
            source.is_connected && is_at_rest,
            "misuse: a relay from a source that is not at rest: {from:?}"
        );
        assert!(source.relay_out.is_none(), "misuse: a second relay from {from:?}");
        assert!(limit > 0, "misuse: a relay of nothing from {from:?}");
        source.relay_out = Some(number);
        let link = source.link;
        let destination = self.live(to, "relay to");
        assert!(destination.is_connected, "misuse: a relay before connect: {to:?}");
        assert!(!destination.finishing, "misuse: a relay after shutdown: {to:?}");
        assert!(!destination.knows_send_failed, "misuse: a relay into what cannot send: {to:?}");
        let is_idle = destination.out.is_empty() && destination.relay_in.is_none();
        let (is_open, has_ended) = (destination.send == Send::Open, destination.send == Send::Ended);
        let (source_end, pipe) = (None, ByteQueue::default());
        let relay = Relay { from, to, left: limit, pipe, source_end, has_started: false, is_over: false };
        self.relays.push(relay);
        self.mark(Who::Machine, "relays", link, limit);
        if has_ended {
            self.end_relay(number, RelayEnd::DestinationFailed(IoError::BrokenPipe));
        } else if is_idle && is_open {
            self.start_relay(number);
        } else {
            self.conns[to.index as usize].out.push_back(Out::Relay(number));
        }
    }

    pub(super) fn start_relay(&mut self, number: usize) {
        let relay = &mut self.relays[number];
        if relay.is_over {
            return;
        }
        relay.has_started = true;
        let to = relay.to.index as usize;
        self.conns[to].relay_in = Some(number);
        // Its turn may have come behind the relays of this turn, and nothing else need come to pass.
        self.is_ready = true;
    }

    /// Runs every relay once: the end of a turn.
    pub(super) fn run_relays(&mut self) {
        for index in 0..self.conns.len() {
            if let Some(number) = self.conns[index].relay_out
                && self.relays[number].has_started
                && !self.relays[number].is_over
            {
                self.run_relay(number);
            }
        }
    }

    fn run_relay(&mut self, number: usize) {
        let Relay { from, to, .. } = self.relays[number];
        let source = self.conns[from.index as usize].link;
        let destination = self.conns[to.index as usize].link;
        let mut budget = BYTES_PER_TURN;
        if self.choices.one_in(self.temper.cuts) {
            budget = 1 + self.choices.below(20_000);
        }
        let mut moved = 0;
        let end = loop {
            if let Some(error) = self.links[destination as usize].take_send_failure() {
                break Some(RelayEnd::DestinationFailed(error));
            }
            moved += self.drain_pipe(number, destination);
            if !self.relays[number].pipe.is_empty() {
                self.links[destination as usize].sender_waits = true;
                break None;
            }
            let relay = &self.relays[number];
            if let Some(end) = relay.source_end {
                break Some(end);
            }
            if relay.left == 0 {
                break Some(RelayEnd::Limit);
            }
            if budget == 0 {
                self.is_ready = true;
                break None;
            }
            match self.fill_pipe(number, source, budget) {
                0 if self.relays[number].source_end.is_none() => break None,
                taken => budget -= taken,
            }
        };
        if moved > 0 {
            self.mark(Who::Kernel, "relays bytes", source, moved as u64);
            self.truth.relayed_bytes += moved as u64;
            self.deferred.push_back(Completion::Relayed { from, to, bytes: moved as u64 });
        }
        match end {
            // It reports the end of this relay in the place of a failed send.
            Some(RelayEnd::DestinationFailed(error)) => {
                let told = self.fail_sending(to, error);
                assert!(told.is_none(), "a relay that failed was not reported");
            }
            Some(end) => {
                self.end_relay(number, end);
            }
            None => {}
        }
    }

    fn drain_pipe(&mut self, number: usize, destination: u32) -> usize {
        let pipe = &mut self.relays[number].pipe;
        let link = &mut self.links[destination as usize];
        let bytes = pipe.len().min(link.send_room());
        if bytes > 0 {
            link.down.push(&pipe.peek()[..bytes]);
            pipe.consume(bytes);
            self.after_hand_over(destination);
        }
        bytes
    }

    fn fill_pipe(&mut self, number: usize, source: u32, budget: usize) -> usize {
        let relay = &mut self.relays[number];
        let link = &mut self.links[source as usize];
        let bytes = link.arrived.min(budget).min(PIPE_BYTES).min(relay.left.min(1 << 30) as usize);
        if bytes == 0 {
            relay.source_end = link.take_receive_end().map(|end| match end {
                super::link::End::Fin => RelayEnd::SourceEnded,
                super::link::End::Reset(error) => RelayEnd::SourceFailed(error),
            });
            return 0;
        }
        relay.pipe.push(&link.up.peek()[..bytes]);
        relay.left -= bytes as u64;
        link.take(bytes);
        self.peer_has_room(source);
        bytes
    }

    /// Ends a relay and says so; `false` if it was over already.
    pub(super) fn end_relay(&mut self, number: usize, end: RelayEnd) -> bool {
        let Some((from, to)) = self.detach_relay(number) else { return false };
        self.meet(match end {
            RelayEnd::Limit => Situation::RelayLimit,
            RelayEnd::SourceEnded => Situation::RelaySourceEnded,
            RelayEnd::SourceFailed(_) => Situation::RelaySourceFailed,
            RelayEnd::DestinationFailed(_) => Situation::RelayDestinationFailed,
        });
        self.deferred.push_back(Completion::RelayEnded { from, to, end });
        true
    }

    /// Takes a relay out of both connections, which then go on with what they had queued behind it.
    fn detach_relay(&mut self, number: usize) -> Option<(ConnId, ConnId)> {
        let relay = &mut self.relays[number];
        if std::mem::replace(&mut relay.is_over, true) {
            return None;
        }
        relay.pipe = ByteQueue::default();
        let (from, to) = (relay.from, relay.to);
        self.conns[from.index as usize].relay_out = None;
        let destination = &mut self.conns[to.index as usize];
        if destination.relay_in == Some(number) {
            destination.relay_in = None;
        } else {
            destination.out.retain(|out| !matches!(out, Out::Relay(queued) if *queued == number));
        }
        self.is_ready = true;
        Some((from, to))
    }

    /// A connection is closed: the relays it takes part in end without a word.
    pub(super) fn forget_relays_of(&mut self, index: usize) {
        let conn = &self.conns[index];
        let mut relays: Vec<usize> = conn.relay_out.into_iter().chain(conn.relay_in).collect();
        relays.extend(conn.out.iter().filter_map(|out| match out {
            Out::Relay(number) => Some(*number),
            _ => None,
        }));
        for number in relays {
            if self.detach_relay(number).is_some() {
                self.meet(Situation::RelayForgotten);
            }
        }
    }
}
