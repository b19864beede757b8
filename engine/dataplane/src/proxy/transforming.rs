//! Bodies of answers that filters make something else of: what comes of each part goes to the client, framed anew.

use crate::io::Io;
use crate::stream::StreamKey;
use crate::worker::Worker;

/// Queued in pieces of this size.
const PIECE_BYTES: usize = 64 * 1024;

/// What is done with a body.
#[derive(Clone, Copy)]
enum Act<'b> {
    Push(&'b [u8]),
    Flush,
    Finish,
}

impl<I: Io> Worker<I> {
    /// Whether the stream's answer goes through filters' hands.
    pub(super) fn is_transformed(&self, key: StreamKey) -> bool {
        self.streams.get(key).is_some_and(|stream| stream.is_transformed)
    }

    /// Takes a part of the body.
    pub(super) fn transform_data(
        &mut self,
        io: &mut I,
        key: StreamKey,
        bytes: &[u8],
    ) -> Result<(), &'static str> {
        self.transform(io, key, Act::Push(bytes))
    }

    /// No more has come for now: the client gets all of it.
    pub(super) fn flush_transforms(&mut self, io: &mut I, key: StreamKey) -> Result<(), &'static str> {
        self.transform(io, key, Act::Flush)
    }

    /// The body is over.
    pub(super) fn finish_transforms(&mut self, io: &mut I, key: StreamKey) -> Result<(), &'static str> {
        self.transform(io, key, Act::Finish)
    }

    fn transform(&mut self, io: &mut I, key: StreamKey, act: Act<'_>) -> Result<(), &'static str> {
        let Some(stream) = self.streams.get_mut(key) else { return Ok(()) };
        let Some(filters) = stream.filters.as_mut().filter(|filters| !filters.body.is_empty()) else {
            return Ok(());
        };
        let mut out = std::mem::take(&mut self.transformed);
        out.clear();
        let outcome = match act {
            Act::Push(bytes) => filters.body.push(bytes, &mut out),
            Act::Flush => filters.body.flush(&mut out),
            Act::Finish => filters.body.finish(&mut out),
        };
        stream.last_activity = self.now;
        self.send_transformed(io, key, &out);
        // One body that became large does not keep its room.
        self.transformed = if out.capacity() > 4 * PIECE_BYTES { vec![] } else { out };
        outcome
    }

    /// Queues a part of an answer's body that stands in no receive slot.
    pub(super) fn send_transformed(&mut self, io: &mut I, key: StreamKey, body: &[u8]) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.response_body_bytes += body.len() as u64;
        let (downstream, Some(codec_stream)) = (stream.downstream, stream.downstream_stream) else { return };
        let Some(conn) = self.conns.get_mut(downstream) else { return };
        let Some(codec) = &mut conn.codec else { return };
        for piece in body.chunks(PIECE_BYTES) {
            let staged = conn.outbox.stage(&mut self.buffers);
            let grant = codec.encode_data(codec_stream, piece, staged);
            staged.extend_from_slice(&piece[..grant.allowed]);
            staged.extend_from_slice(grant.suffix);
            conn.outbox.flush_staged(io, downstream, &mut self.buffers);
        }
    }
}
