//! Calls whose connection was lost before any byte of them had left: nobody can have carried them out, so that each is sent once
//! more, whatever its route says of retries. Nothing is kept for that: what a connection still had to send is read again.

use crate::cluster::Outcome;
use crate::io::{ConnId, Io};
use crate::stream::{Progress, StreamKey, Upstream};
use crate::worker::Worker;
use sidering_codecs::registry::{CodecOptions, MAX_HEADERS, Protocol, protocol};
use sidering_codecs::{Edits, Event, RequestHead, Scratch, Version};

impl<I: Io> Worker<I> {
    /// Sends a call again that is among the bytes that were `unsent` when its connection was lost, behind their position. `false` if it is
    /// not, or was sent again before.
    pub(super) fn send_unsent(
        &mut self,
        io: &mut I,
        key: StreamKey,
        id: ConnId,
        (begin, bytes): &(u64, Vec<u8>),
    ) -> bool {
        let Some(stream) = self.streams.get(key) else { return false };
        let at = stream.attempt.begins_at.checked_sub(*begin).and_then(|at| bytes.get(at as usize..));
        let is_whole = stream.request == Progress::Ended && stream.is_call;
        let is_awaited = stream.response == Progress::Awaited && stream.reply.is_none();
        let is_first = !stream.retry.was_unsent && stream.hedged.is_empty() && stream.attached() == Some(id);
        let Some(frame) = at.filter(|frame| !frame.is_empty() && is_whole && is_awaited && is_first) else {
            return false;
        };
        if stream.head.is_none() && !self.read_again(key, frame) {
            return false;
        }
        self.record_attempt_end(key, Outcome::Abandoned);
        let Some(stream) = self.streams.get_mut(key) else { return true };
        stream.retry.was_unsent = true;
        stream.attempt.sent = None;
        stream.attempt.upstream = Upstream::Unrouted;
        if let Some(Some(cluster)) = self.clusters.get(stream.cluster as usize) {
            cluster.counters.requests_retried_stale.add(1);
        }
        self.try_again(io, key);
        true
    }

    /// Sends a call again that nobody answers, and that is among the bytes that were `unsent`: it has come to its end with its client,
    /// and goes on like a mirrored one. What finds no room at once is counted as refused.
    pub(super) fn send_unanswered(
        &mut self,
        io: &mut I,
        cluster: u32,
        begins_at: u64,
        (begin, bytes): &(u64, Vec<u8>),
    ) {
        let frame = begins_at.checked_sub(*begin).and_then(|at| bytes.get(at as usize..));
        let known = self.clusters.get(cluster as usize).and_then(Option::as_ref);
        let (Some(frame), Some(protocol)) = (frame, known.and_then(|known| known.protocol)) else { return };
        let mut head = self.spare_heads.pop().unwrap_or_default();
        let (mut body, edits) = (None, Edits::default());
        let is_whole = read_frame(protocol, frame, |part| match part {
            Part::Head(read) => head.fill(read, &edits),
            Part::Data(bytes) => {
                let body = *body.get_or_insert_with(|| self.bodies.begin());
                self.bodies.keep_copy(body, bytes, &mut self.buffers);
            }
        });
        if !is_whole {
            self.reclaim_head(head);
            if let Some(body) = body {
                self.bodies.release(body, &mut self.buffers);
            }
            return;
        }
        self.send_one_way_again(io, cluster, head, body);
    }

    /// Keeps the head and the body of a call from its frame as it was to go out; `false` if it is not there whole.
    fn read_again(&mut self, key: StreamKey, frame: &[u8]) -> bool {
        let Some(stream) = self.streams.get_mut(key) else { return false };
        let Version::Rpc(name) = stream.version else { return false };
        let Some(protocol) = protocol(name) else { return false };
        if let Some(body) = stream.body.take() {
            self.bodies.release(body, &mut self.buffers);
        }
        self.edits.clear();
        let mut copied = 0;
        let is_whole = read_frame(protocol, frame, |part| match part {
            Part::Head(head) => self.keep_head(key, head),
            Part::Data(bytes) => {
                let Some(stream) = self.streams.get_mut(key) else { return };
                let body = *stream.body.get_or_insert_with(|| self.bodies.begin());
                self.bodies.keep_copy(body, bytes, &mut self.buffers);
                copied += bytes.len() as u64;
            }
        });
        self.counters.replay_bytes_copied.add(copied);
        is_whole
    }
}

/// A part of a call that is read again.
enum Part<'b> {
    Head(&'b RequestHead<'b>),
    Data(&'b [u8]),
}

/// Reads a call off its frame; `false` if that is not there whole.
fn read_frame(protocol: &Protocol, mut frame: &[u8], mut take: impl FnMut(Part<'_>)) -> bool {
    // It has come in within narrower limits.
    let options = CodecOptions { header_bytes: u32::MAX, headers: MAX_HEADERS, ..CodecOptions::DEFAULT };
    let (mut codec, mut scratch) = ((protocol.server)(options), Scratch::default());
    loop {
        match codec.decode(&mut scratch, &mut frame) {
            Ok(Some(Event::Request { head, .. })) => take(Part::Head(&head)),
            Ok(Some(Event::Data { bytes, .. })) => take(Part::Data(bytes)),
            Ok(Some(Event::End { .. })) => return true,
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return false,
        }
    }
}
