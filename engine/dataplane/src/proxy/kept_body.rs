//! Bodies of requests that are kept while they may have to be sent once more, again or to a mirror (Envoy's per_request_buffer_limit_bytes), and what
//! follows when one of them is too long for that. Whether there is another attempt is decided in `attempts.rs`.

use crate::io::{ConnId, Io};
use crate::stream::{BodyKey, StreamKey};
use crate::worker::Worker;
use sidering_codecs::{BodyLength, RequestHead, StreamId};

impl<I: Io> Worker<I> {
    /// A request is routed, and it is known what is wanted for it: its body is kept from now on.
    pub(crate) fn prepare_body(&mut self, key: StreamKey, head: &RequestHead<'_>) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let is_wanted = !stream.retry.on.is_empty() || stream.mirror.is_some();
        // Of a call that had to wait, something may have been kept already.
        if !is_wanted || head.body == BodyLength::None || stream.body.is_some() {
            return;
        }
        if matches!(head.body, BodyLength::Sized(length) if length > u64::from(stream.buffer_bytes)) {
            self.abandon_body(key);
        } else {
            stream.body = Some(self.bodies.begin());
        }
    }

    /// Body bytes on their way upstream, which may be needed once more.
    pub(crate) fn keep_body(&mut self, key: StreamKey, chunk: &I::Chunk, bytes: &[u8]) {
        let Some(stream) = self.streams.get(key) else { return };
        let Some(body) = stream.body else { return };
        if !self.bodies.has_room(body, bytes.len(), stream.buffer_bytes) {
            self.abandon_body(key);
            return;
        }
        let copied = self.bodies.keep(body, chunk, bytes, &mut self.buffers);
        self.counters.replay_bytes_copied.add(copied as u64);
    }

    /// The body is longer than what is kept, so that the attempt under way is the last one, and nothing is mirrored.
    fn abandon_body(&mut self, key: StreamKey) {
        self.drop_mirror(key);
        self.make_final(key);
        if let Some(stream) = self.streams.get_mut(key) {
            stream.retry.is_too_large = true;
            if let Some(Some(cluster)) = self.clusters.get(stream.cluster as usize) {
                cluster.counters.retries_abandoned.add(1);
            }
        }
    }

    /// The attempt under way is the last one: what was kept for another is not needed any more.
    pub(crate) fn make_final(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.retry.is_final = true;
        // What is to be mirrored is needed until it is whole.
        // Nor is a body released that has not been sent at all.
        if stream.mirror.is_none()
            && !(stream.gathers() && stream.is_blocked())
            && let Some(body) = stream.body.take()
        {
            self.bodies.release(body, &mut self.buffers);
        }
    }

    /// Sends what is kept of a body, behind its head.
    pub(crate) fn send_kept_body(&mut self, io: &mut I, id: ConnId, stream: StreamId, body: BodyKey) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Some(codec) = &mut conn.codec else { return };
        for piece in self.bodies.pieces(body) {
            let grant = codec.encode_data(stream, piece, conn.outbox.stage(&mut self.buffers));
            // No registered protocol has flow control, and what had room in the framing once has it again.
            debug_assert_eq!(grant.allowed, piece.len());
            conn.outbox.push_piece(io, id, piece, &mut self.buffers, &self.counters);
            if !grant.suffix.is_empty() {
                conn.outbox.stage(&mut self.buffers).extend_from_slice(grant.suffix);
            }
        }
    }
}
