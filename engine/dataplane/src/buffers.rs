//! Reusable buffers for framing. The pool keeps a count on every buffer it gave out, so that one comes back by itself when
//! the engine and everybody else dropped theirs; nobody has to return anything.

use std::collections::VecDeque;
use std::rc::Rc;

/// At most this many buffers are kept, in use or not; beyond it buffers are plain allocations.
const KEPT_BUFFERS: usize = 256;
/// A buffer that grew beyond this is not kept.
pub const KEPT_BYTES: usize = 16 * 1024;
const FIRST_BYTES: usize = 1024;
/// How many buffers are looked at for a free one before a new one is made.
const LOOKS: usize = 4;

/// Buffers of one core.
#[derive(Debug, Default)]
pub struct BufferPool {
    kept: VecDeque<Rc<Vec<u8>>>,
}

impl BufferPool {
    /// An empty buffer with no other owner.
    pub fn take(&mut self) -> Rc<Vec<u8>> {
        for _ in 0..LOOKS.min(self.kept.len()) {
            let Some(mut buffer) = self.kept.pop_front() else { break };
            if let Some(bytes) = Rc::get_mut(&mut buffer) {
                if bytes.capacity() > KEPT_BYTES {
                    continue;
                }
                bytes.clear();
                return buffer;
            }
            self.kept.push_back(buffer);
        }
        Rc::new(Vec::with_capacity(FIRST_BYTES))
    }

    /// Remembers a buffer that is about to be given to the engine, to reuse it when the engine has dropped it.
    pub fn remember(&mut self, buffer: &Rc<Vec<u8>>) {
        if self.kept.len() < KEPT_BUFFERS {
            self.kept.push_back(Rc::clone(buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_reused_only_when_nobody_else_holds_it() {
        let mut pool = BufferPool::default();
        let mut buffer = pool.take();
        Rc::get_mut(&mut buffer).unwrap().extend_from_slice(b"in flight");
        pool.remember(&buffer);
        let address = Rc::as_ptr(&buffer);
        assert_ne!(Rc::as_ptr(&pool.take()), address);
        drop(buffer);
        let again = pool.take();
        assert_eq!(Rc::as_ptr(&again), address);
        assert!(again.is_empty());
    }

    #[test]
    fn keeps_no_more_than_its_bound_and_no_large_ones() {
        let mut pool = BufferPool::default();
        let buffers: Vec<_> = (0..KEPT_BUFFERS + 1).map(|_| pool.take()).collect();
        for buffer in &buffers {
            pool.remember(buffer);
        }
        assert_eq!(pool.kept.len(), KEPT_BUFFERS);
        drop(buffers);
        pool.kept.clear();
        let mut large = pool.take();
        Rc::get_mut(&mut large).unwrap().resize(KEPT_BYTES + 1, 0);
        pool.remember(&large);
        drop(large);
        assert!(pool.take().capacity() <= KEPT_BYTES);
    }
}
