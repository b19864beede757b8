//! Calls whose connection was lost before any byte of them had left: nobody can have carried them out, so that each is sent once
//! more, whatever its route says of retries. Nothing is kept for that: what a connection still had to send is read again.

use crate::cluster::Outcome;
use crate::io::{ConnId, Io};
use crate::stream::{Progress, StreamKey, Upstream};
use crate::worker::Worker;
use sidering_codecs::registry::{CodecOptions, MAX_HEADERS, protocol};
use sidering_codecs::{Event, Scratch, Version};

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

    /// Keeps the head and the body of a call from its frame as it was to go out; `false` if it is not there whole.
    fn read_again(&mut self, key: StreamKey, mut frame: &[u8]) -> bool {
        let Some(stream) = self.streams.get_mut(key) else { return false };
        let Version::Rpc(name) = stream.version else { return false };
        let Some(protocol) = protocol(name) else { return false };
        if let Some(body) = stream.body.take() {
            self.bodies.release(body, &mut self.buffers);
        }
        // It has come in within narrower limits.
        let options = CodecOptions { header_bytes: u32::MAX, headers: MAX_HEADERS, ..CodecOptions::DEFAULT };
        let (mut codec, mut scratch) = ((protocol.server)(options), Scratch::default());
        self.edits.clear();
        loop {
            match codec.decode(&mut scratch, &mut frame) {
                Ok(Some(Event::Request { head, .. })) => self.keep_head(key, &head),
                Ok(Some(Event::Data { bytes, .. })) => {
                    let Some(stream) = self.streams.get_mut(key) else { return false };
                    let body = *stream.body.get_or_insert_with(|| self.bodies.begin());
                    self.bodies.keep_copy(body, bytes, &mut self.buffers);
                    self.counters.replay_bytes_copied.add(bytes.len() as u64);
                }
                Ok(Some(Event::End { .. })) => return true,
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return false,
            }
        }
    }
}
