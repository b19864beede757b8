//! One turn of the engine: which completions are told, in which order, and what is carried out at its end. The world
//! tells them to the machine, one at a time, because what the machine does decides whether the next one still holds.

use super::conn::{Life, Side};
use super::kernel::Cqe;
use super::{Engine, SimChunk};
use crate::coverage::Situation;
use crate::journal::Who;
use sidering_dataplane::io::{Completion, ConnId};
use std::collections::VecDeque;

/// What one turn has to tell.
#[derive(Debug, Default)]
pub(crate) struct Hand {
    due: VecDeque<Completion<SimChunk>>,
    posted: VecDeque<Cqe>,
}

impl Engine {
    /// Whether a turn would have something to do.
    pub(crate) fn wants_turn(&self) -> bool {
        self.is_ready || !self.deferred.is_empty() || !self.posted.is_empty()
    }

    /// What this turn tells. Some of it may be held back, as after an overflow of the completion queue.
    pub(crate) fn take_hand(&mut self) -> Hand {
        let mut hand =
            Hand { due: std::mem::take(&mut self.deferred), posted: std::mem::take(&mut self.posted) };
        if hand.posted.len() > 1 && self.choices.one_in(self.temper.holds_back) {
            let kept = self.choices.between(1, hand.posted.len() - 1);
            self.posted = hand.posted.split_off(kept);
            self.meet(Situation::CompletionsHeldBack);
        }
        hand
    }

    /// The next completion that still holds.
    pub(crate) fn next_completion(&mut self, hand: &mut Hand) -> Option<Completion<SimChunk>> {
        loop {
            let completion = if let Some(follow_up) = self.follow_ups.pop_front() {
                self.may_tell(&follow_up).then_some(follow_up)
            } else if let Some(due) = hand.due.pop_front() {
                self.may_tell(&due).then_some(due)
            } else {
                let cqe = hand.posted.pop_front()?;
                self.complete(cqe)
            };
            if let Some(completion) = completion {
                self.note(&completion);
                return Some(completion);
            }
        }
    }

    fn complete(&mut self, cqe: Cqe) -> Option<Completion<SimChunk>> {
        match cqe {
            Cqe::Accept { listener, result } => Some(self.complete_accept(listener, result)),
            Cqe::Connect { index, generation, result } => {
                self.complete_connect(ConnId { index, generation }, result)
            }
            Cqe::Receive { index, generation, received, is_last } => {
                self.complete_receive(ConnId { index, generation }, received, is_last)
            }
            Cqe::Send { index, generation, result } => {
                self.complete_sent(ConnId { index, generation }, result)
            }
        }
    }

    /// Carries out what the turn asked for.
    pub(crate) fn end_turn(&mut self) {
        self.run_relays();
        self.drain_listeners();
        self.flush();
    }

    pub(crate) fn flush(&mut self) {
        self.unpark();
        self.arm_receives();
        self.flush_sends();
    }

    /// Direct sends that are to be told in this very turn.
    pub(crate) fn take_sent(&mut self) -> Hand {
        Hand { due: std::mem::take(&mut self.sent).into(), posted: VecDeque::new() }
    }

    /// Direct sends that were not told wait for the next turn.
    pub(crate) fn defer_sent(&mut self) {
        self.deferred.extend(self.sent.drain(..));
    }

    /// Keeps the books of what the machine is told.
    fn note(&mut self, completion: &Completion<SimChunk>) {
        let (conn, what, number) = match completion {
            Completion::Accepted { listener, conn } => {
                let truth = self.truth.listener(listener.0);
                truth.open += 1;
                truth.told += 1;
                self.conns[conn.index as usize].is_told = true;
                (conn, "tells: accepted", u64::from(listener.0))
            }
            Completion::AcceptFailed { listener, .. } => {
                self.truth.listener(listener.0).accept_failed_at = Some(self.now);
                self.mark(Who::Kernel, "tells: accept failed", u32::MAX, u64::from(listener.0));
                return;
            }
            Completion::Connected { conn, result } => (conn, "tells: connected", u64::from(result.is_ok())),
            Completion::Received { conn, chunk } => {
                self.count_received(*conn, chunk.len() as u64);
                (conn, "tells: received", chunk.len() as u64)
            }
            Completion::ReceiveEnded { conn, result } => {
                self.conns[conn.index as usize].knows_end = true;
                (conn, "tells: receive ended", u64::from(result.is_ok()))
            }
            Completion::Paused { conn } => (conn, "tells: paused", 0),
            Completion::Sent { conn, bytes } => {
                let entry = &mut self.conns[conn.index as usize];
                entry.queued_bytes = entry.queued_bytes.saturating_sub(*bytes);
                if let Side::Downstream(listener) = entry.side {
                    self.truth.listener(listener).sent_bytes += *bytes as u64;
                }
                (conn, "tells: sent", *bytes as u64)
            }
            Completion::SendFailed { conn, .. } => {
                self.conns[conn.index as usize].knows_send_failed = true;
                (conn, "tells: send failed", 0)
            }
            Completion::Relayed { from, to, bytes } => {
                self.count_received(*from, *bytes);
                self.touch(*to);
                if let Side::Downstream(listener) = self.conns[to.index as usize].side {
                    self.truth.listener(listener).sent_bytes += *bytes;
                }
                (from, "tells: relayed", *bytes)
            }
            Completion::RelayEnded { from, to, end } => {
                self.touch(*to);
                if let sidering_dataplane::io::RelayEnd::DestinationFailed(_) = end {
                    self.conns[to.index as usize].knows_send_failed = true;
                }
                (from, "tells: relay ended", 0)
            }
        };
        self.touch(*conn);
        let link = self.conns[conn.index as usize].link;
        self.mark(Who::Kernel, what, link, number);
    }

    fn touch(&mut self, conn: ConnId) {
        self.conns[conn.index as usize].told_at = self.now;
    }

    fn count_received(&mut self, conn: ConnId, bytes: u64) {
        let entry = &mut self.conns[conn.index as usize];
        let before = entry.told_bytes;
        entry.told_bytes += bytes;
        if let Some(end) = self.links[entry.link as usize].junk_behind {
            let is_behind = entry.told_bytes > end;
            entry.is_spoiled |= is_behind && (before < end || !entry.has_asked);
            entry.has_asked &= entry.told_bytes != end;
        }
        match entry.side {
            Side::Downstream(listener) => self.truth.listener(listener).received_bytes += bytes,
            Side::Upstream(cluster, _) => self.truth.clusters[cluster].received_bytes += bytes,
        }
    }

    /// The proxy's room or bytes on a link have changed in the kernel's favour.
    pub(crate) fn peer_has_read(&mut self, serial: u32) {
        if std::mem::take(&mut self.links[serial as usize].sender_waits) {
            self.is_ready = true;
        }
    }

    /// The machine is gone: the engine closes what it left open, and the kernel finishes.
    pub(crate) fn tear_down(&mut self) {
        for index in 0..self.conns.len() {
            if self.conns[index].life == Life::Live {
                let id = self.id(index as u32);
                self.close_conn(id, sidering_dataplane::io::CloseMode::Graceful);
            }
        }
        self.close_listeners();
        self.temper.laziness = 0;
        self.temper.holds_back = 0;
        for _ in 0..4 {
            self.enter();
            let mut hand = self.take_hand();
            while let Some(completion) = self.next_completion(&mut hand) {
                if let Completion::Accepted { conn, .. } = completion {
                    self.close_conn(conn, sidering_dataplane::io::CloseMode::Graceful);
                }
            }
        }
    }
}
