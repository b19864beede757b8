//! What a connection itself has to say, until it may be written between two frames: answers to heartbeats and to frames that
//! could not be read.

use crate::codec::ProtocolError;

/// At most this many bytes wait: who sends heartbeats and takes no answers is cut off.
pub const MAX_CONTROL_BYTES: usize = 64 * 1024;
/// A queue that has grown beyond this gives its memory back once it is empty.
const KEPT_BYTES: usize = 1024;

/// Whole frames that wait.
#[derive(Debug, Default)]
pub(super) struct ControlQueue {
    waiting: Vec<u8>,
}

impl ControlQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Lets `write` append a frame.
    pub(super) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), ProtocolError> {
        let before = self.waiting.len();
        write(&mut self.waiting);
        if self.waiting.len() > MAX_CONTROL_BYTES {
            self.waiting.truncate(before);
            let reason = "heartbeats come faster than their answers are taken";
            return Err(ProtocolError { status: 400, reason });
        }
        Ok(())
    }

    /// Moves everything into `out`.
    pub(super) fn write(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.waiting);
        if self.waiting.capacity() > KEPT_BYTES {
            self.waiting = Vec::new();
        } else {
            self.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ControlQueue, MAX_CONTROL_BYTES};

    #[test]
    fn the_queue_holds_its_bound_and_no_more() {
        for (bytes, fits) in
            [(MAX_CONTROL_BYTES - 1, true), (MAX_CONTROL_BYTES, true), (MAX_CONTROL_BYTES + 1, false)]
        {
            let mut control = ControlQueue::default();
            let pushed = control.push(|out| out.resize(out.len() + 10, 1));
            assert!(pushed.is_ok());
            let pushed = control.push(|out| out.resize(out.len() + bytes - 10, 2));
            assert_eq!(pushed.is_ok(), fits, "{bytes}");
            let mut out = Vec::new();
            control.write(&mut out);
            assert_eq!(out.len(), if fits { bytes } else { 10 });
            assert!(control.is_empty());
            assert_eq!(control.waiting.capacity(), 0, "it gives back what it does not need often");
        }
    }
}
