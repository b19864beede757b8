//! The sending side: gathered sends, their completions, and the end of the stream behind the queue.

use super::conn::{Life, Out, Send};
use super::link::End;
use super::{Engine, SimChunk};
use crate::coverage::Situation;
use crate::journal::Who;
use sidering_dataplane::io::{Completion, ConnId, IoError, RelayEnd};

/// Segments and bytes gathered into one send at most.
const SEGMENTS_PER_SEND: usize = 64;
const BYTES_PER_SEND: usize = 512 * 1024;

impl Engine {
    /// Starts what is due on every sending side: the end of a turn.
    pub(super) fn flush_sends(&mut self) {
        for index in 0..self.conns.len() {
            let conn = &mut self.conns[index];
            if conn.life == Life::Live && conn.send == Send::Ended {
                conn.drop_unsent();
            }
            let is_due = conn.life == Life::Live && conn.send == Send::Open && conn.relay_in.is_none();
            if !is_due || conn.out.is_empty() {
                continue;
            }
            if !conn.has_due_segments() {
                self.pass_barriers(index);
                continue;
            }
            conn.prepare_send(SEGMENTS_PER_SEND, BYTES_PER_SEND);
            if self.temper.sends_directly && self.send_directly(index) {
                continue;
            }
            let conn = &mut self.conns[index];
            conn.send = Send::Sending;
            conn.kernel_sends = true;
            conn.in_flight += 1;
            let link = &self.links[conn.link as usize];
            self.is_ready |= link.send_room() > 0 || link.failure().is_some();
            let is_full = link.send_room() == 0;
            self.links[conn.link as usize].sender_waits = true;
            if is_full {
                self.meet(Situation::SendBufferFull);
            }
        }
    }

    /// Sends what the socket takes at once. True if nothing is left for the kernel to do later.
    fn send_directly(&mut self, index: usize) -> bool {
        let conn = &self.conns[index];
        let link = &self.links[conn.link as usize];
        let bytes = if link.failure().is_some() { 0 } else { link.send_room().min(conn.sending_bytes) };
        if bytes == 0 {
            return false;
        }
        let is_short = bytes < conn.sending_bytes;
        self.hand_over(index, bytes);
        self.after_sent(index, bytes);
        self.sent.push(Completion::Sent { conn: self.id(index as u32), bytes });
        if is_short {
            self.conns[index].prepare_send(SEGMENTS_PER_SEND, BYTES_PER_SEND);
            return false;
        }
        self.settle_queue(index);
        true
    }

    /// A completion of a send.
    pub(super) fn complete_sent(
        &mut self,
        id: ConnId,
        result: Result<usize, IoError>,
    ) -> Option<Completion<SimChunk>> {
        let index = id.index as usize;
        self.conns[index].in_flight -= 1;
        self.after_sent(index, *result.as_ref().unwrap_or(&0));
        if self.conns[index].generation != id.generation {
            self.complete_late(id.index);
            return None;
        }
        match result {
            Err(error) => self.fail_sending(id, error),
            Ok(bytes) => {
                self.settle_queue(index);
                Some(Completion::Sent { conn: id, bytes })
            }
        }
    }

    fn after_sent(&mut self, index: usize, bytes: usize) {
        let conn = &mut self.conns[index];
        let chunks = conn.complete_send(bytes);
        conn.queued_chunks = conn.queued_chunks.saturating_sub(chunks);
    }

    /// After a change of the queue: what was behind the segments may have its turn.
    pub(super) fn settle_queue(&mut self, index: usize) {
        let conn = &self.conns[index];
        if conn.send == Send::Open && !conn.out.is_empty() && !conn.has_due_segments() {
            self.pass_barriers(index);
        }
    }

    /// Everything before the first barrier is sent: lets it have its turn.
    pub(super) fn pass_barriers(&mut self, index: usize) {
        loop {
            let conn = &mut self.conns[index];
            if conn.relay_in.is_some() || conn.send != Send::Open || conn.has_due_segments() {
                return;
            }
            match conn.out.pop_front() {
                None => return,
                Some(Out::Relay(relay)) => self.start_relay(relay),
                Some(Out::Finish) => self.finish_sending(index),
                Some(Out::Segment(..)) => panic!("a segment that is not due"),
            }
        }
    }

    fn finish_sending(&mut self, index: usize) {
        let id = self.id(index as u32);
        let now = self.now;
        let conn = &mut self.conns[index];
        conn.send = Send::Ended;
        conn.finished_at = Some(now);
        conn.told_at_finish = Some(conn.told_bytes);
        let serial = conn.link;
        let link = &mut self.links[serial as usize];
        if let Some(error) = link.failure() {
            self.deferred.push_back(Completion::SendFailed { conn: id, error });
            return;
        }
        link.down_end.get_or_insert(End::Fin);
        self.mark(Who::Kernel, "sends FIN", serial, 0);
        self.wake_peer(serial);
    }

    /// Ends the sending side, and with it relays into the connection, which report the failure in its place. What is queued
    /// is dropped at the end of the turn in which that is told.
    pub(super) fn fail_sending(&mut self, id: ConnId, error: IoError) -> Option<Completion<SimChunk>> {
        self.meet(Situation::SendFailed);
        let conn = &mut self.conns[id.index as usize];
        conn.send = Send::Ended;
        let mut relays: Vec<usize> = conn.relay_in.into_iter().collect();
        conn.out.retain(|out| {
            if let Out::Relay(relay) = out {
                relays.push(*relay);
            }
            matches!(out, Out::Segment(..))
        });
        let mut is_reported = false;
        for relay in relays {
            is_reported |= self.end_relay(relay, RelayEnd::DestinationFailed(error));
        }
        (!is_reported).then_some(Completion::SendFailed { conn: id, error })
    }
}
