//! Cuts what a connection receives into frames.

use std::io;

use tokio_uring::buf::BoundedBuf;
use tokio_uring::net::TcpStream;

use super::Protocol;

/// Received at once; the buffer grows to one frame and so much.
const RECEIVE_BYTES: usize = 256 * 1024;
/// No measured frame comes near it.
const MAX_FRAME_BYTES: usize = 64 << 20;

/// What came is no frame of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoFrame;

impl From<NoFrame> for io::Error {
    fn from(_: NoFrame) -> Self {
        io::ErrorKind::InvalidData.into()
    }
}

/// What was received and is not used up yet.
pub(crate) struct FrameBuffer {
    bytes: Vec<u8>,
}

impl FrameBuffer {
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::with_capacity(RECEIVE_BYTES) }
    }

    pub(crate) fn first_byte(&self) -> Option<u8> {
        self.bytes.first().copied()
    }

    /// Receives once; 0 if the peer has ended.
    pub(crate) async fn receive(&mut self, conn: &TcpStream) -> io::Result<usize> {
        let mut bytes = std::mem::take(&mut self.bytes);
        let there = bytes.len();
        if bytes.capacity() - there < RECEIVE_BYTES / 2 {
            bytes.reserve(RECEIVE_BYTES);
        }
        let (received, rest) = conn.read(bytes.slice(there..)).await;
        self.bytes = rest.into_inner();
        received
    }

    /// Hands all whole frames to `take`, in their order; keeps the beginning of one that is not whole.
    pub(crate) fn take_frames(
        &mut self,
        protocol: Protocol,
        mut take: impl FnMut(&[u8]) -> Result<(), NoFrame>,
    ) -> Result<(), NoFrame> {
        let mut at = 0;
        while let Some(length) = protocol.frame_bytes(&self.bytes[at..])? {
            if length > MAX_FRAME_BYTES {
                return Err(NoFrame);
            }
            let Some(frame) = self.bytes.get(at..at + length) else { break };
            take(frame)?;
            at += length;
        }
        self.bytes.drain(..at);
        Ok(())
    }
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(bytes[at]) << 8 | usize::from(bytes[at + 1])
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> usize {
    u16_at(bytes, at) << 16 | u16_at(bytes, at + 2)
}

#[cfg(test)]
mod tests {
    use super::super::Exchange;
    use super::*;

    #[test]
    fn frames_are_whole_wherever_they_are_cut() {
        for protocol in [Protocol::Bolt, Protocol::Dubbo] {
            let exchange = Exchange::new(protocol, 100);
            let mut all = Vec::new();
            (1..4).for_each(|id| exchange.write_request(id, &mut all));
            for cut in 0..all.len() {
                let mut buffer = FrameBuffer::new();
                let mut ids = Vec::new();
                for part in [&all[..cut], &all[cut..]] {
                    buffer.bytes.extend_from_slice(part);
                    let taken = buffer.take_frames(protocol, |frame| {
                        ids.push(protocol.id_of(frame));
                        Ok(())
                    });
                    assert_eq!(taken, Ok(()), "{protocol:?} cut at {cut}");
                }
                assert_eq!(ids, [1, 2, 3], "{protocol:?} cut at {cut}");
                assert_eq!(buffer.first_byte(), None);
            }
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for protocol in [Protocol::Bolt, Protocol::Dubbo] {
            let mut buffer = FrameBuffer { bytes: b"HTTP/1.1 200 OK".to_vec() };
            assert_eq!(buffer.take_frames(protocol, |_| Ok(())), Err(NoFrame));
        }
        let mut endless = Vec::new();
        Exchange::new(Protocol::Bolt, 8).write_request(1, &mut endless);
        endless[18..22].fill(0xff);
        assert_eq!(FrameBuffer { bytes: endless }.take_frames(Protocol::Bolt, |_| Ok(())), Err(NoFrame));
    }
}
