//! The bounded holder of a head that arrived cut across receive buffers. It never holds body bytes, and while it is
//! empty it owns no memory, so that idle connections cost nothing.

/// Bytes of one unfinished head, kept until the rest of it arrives. One pointer wide.
#[derive(Debug, Default)]
pub struct Carry {
    held: Option<Box<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    bytes: Vec<u8>,
    look_again_at: usize,
    lent: bool,
}

impl Carry {
    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.held.is_none()
    }

    /// The number of bytes held.
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// What is held so far.
    pub fn bytes(&self) -> &[u8] {
        self.held.as_deref().map_or(&[], |held| held.bytes.as_slice())
    }

    /// Moves up to `count` bytes from the front of `input` behind those held, but never holds more than `bound`.
    pub fn take(&mut self, input: &mut &[u8], count: usize, bound: usize) {
        let room = bound.saturating_sub(self.len());
        let (taken, rest) = input.split_at(count.min(room).min(input.len()));
        if !taken.is_empty() {
            self.held.get_or_insert_default().bytes.extend_from_slice(taken);
        }
        *input = rest;
    }

    /// Changes what is held, for the few heads that must be rewritten before they can be read.
    pub fn rewrite(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.held.get_or_insert_default().bytes);
    }

    /// Notes that the bytes held decide nothing yet, and that the next look pays off at `length` bytes. Looking only
    /// at doubled lengths keeps the work linear when a peer sends byte by byte.
    pub fn look_again_at(&mut self, length: usize) {
        if let Some(held) = &mut self.held {
            held.look_again_at = length;
        }
    }

    /// How many bytes are missing until the next look pays off.
    pub fn missing(&self) -> usize {
        self.held.as_deref().map_or(0, |held| held.look_again_at.saturating_sub(held.bytes.len()))
    }

    /// Whether as many bytes are held as the last look asked for.
    pub fn is_due(&self) -> bool {
        self.held.as_deref().is_some_and(|held| held.bytes.len() >= held.look_again_at)
    }

    /// Lends the finished head out; [`release_lent`](Self::release_lent) frees it afterwards.
    pub fn lend(&mut self) -> &[u8] {
        match &mut self.held {
            Some(held) => {
                held.lent = true;
                &held.bytes
            }
            None => &[],
        }
    }

    /// Frees the memory if what it holds was already lent out.
    pub fn release_lent(&mut self) {
        if self.held.as_deref().is_some_and(|held| held.lent) {
            self.held = None;
        }
    }

    /// Frees the memory, whatever it holds.
    pub fn release(&mut self) {
        self.held = None;
    }
}

#[cfg(test)]
mod tests {
    use super::Carry;

    #[test]
    fn takes_no_more_than_the_bound() {
        for (count, bound, expected) in [(3, 4, 3), (4, 4, 4), (5, 4, 4), (9, 9, 6)] {
            let mut carry = Carry::default();
            let mut input: &[u8] = b"abcdef";
            carry.take(&mut input, count, bound);
            assert_eq!(carry.len(), expected);
            assert_eq!(input.len(), 6 - expected);
        }
    }

    #[test]
    fn owns_nothing_once_what_it_lent_is_released() {
        let mut carry = Carry::default();
        let mut input: &[u8] = b"ab";
        carry.take(&mut input, 2, 10);
        carry.release_lent();
        assert!(!carry.is_empty(), "not lent yet");
        assert_eq!(carry.lend(), b"ab");
        carry.release_lent();
        assert!(carry.is_empty());
        assert_eq!(size_of::<Carry>(), size_of::<usize>());
    }
}
