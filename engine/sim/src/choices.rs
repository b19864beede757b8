//! Where every decision of a run comes from: a seed, or the bytes of a fuzzer. Nothing else in the simulator is random.

/// The one source of choices.
///
/// Bytes that run out go on as zeros, and zero is the dull choice everywhere: the first of a list, no fault, no delay. So
/// a run on few bytes ends by itself.
#[derive(Debug)]
pub struct Choices {
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// xorshift64*.
    Seed(u64),
    Bytes {
        bytes: Vec<u8>,
        at: usize,
    },
}

impl Choices {
    /// Choices that depend on the seed alone.
    pub fn from_seed(seed: u64) -> Self {
        // Neighbouring seeds must not begin alike: splitmix64's finish.
        let mut state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Choices { source: Source::Seed((state ^ (state >> 31)) | 1) }
    }

    /// Choices that are read off these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Choices { source: Source::Bytes { bytes: bytes.to_vec(), at: 0 } }
    }

    /// A number below `bound`; 0 if that is 0.
    #[inline]
    pub fn below(&mut self, bound: usize) -> usize {
        if bound <= 1 {
            return 0;
        }
        match &mut self.source {
            Source::Seed(state) => {
                *state ^= *state >> 12;
                *state ^= *state << 25;
                *state ^= *state >> 27;
                let number = state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
                // The high bits of the product are as good as a division, and cheaper.
                ((number * bound as u64) >> 32) as usize
            }
            Source::Bytes { bytes, at } => {
                let width = if bound <= 256 { 1 } else { 3 };
                let mut number = 0;
                for _ in 0..width {
                    number = number << 8 | usize::from(bytes.get(*at).copied().unwrap_or(0));
                    *at += 1;
                }
                number % bound
            }
        }
    }

    /// True in this many cases of a hundred.
    #[inline]
    pub fn chance(&mut self, percent: usize) -> bool {
        percent > 0 && self.below(100) >= 100 - percent.min(100)
    }

    /// True once in `rarity` times; never if that is 0.
    #[inline]
    pub fn one_in(&mut self, rarity: usize) -> bool {
        rarity > 0 && self.below(rarity) == rarity - 1
    }

    /// A number from `least` to `most`, both included.
    #[inline]
    pub fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most + 1 - least)
    }

    /// One of these; the first one is the dull one.
    #[inline]
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_makes_the_same_choices() {
        let run = |seed| {
            let mut choices = Choices::from_seed(seed);
            (0..100).map(|_| choices.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        assert!(run(7).iter().all(|&number| number < 1000));
    }

    #[test]
    fn bytes_that_ran_out_choose_nothing_interesting() {
        let mut choices = Choices::from_bytes(&[5, 99]);
        assert_eq!(choices.below(100), 5);
        assert!(choices.chance(1));
        for _ in 0..10 {
            assert!(!choices.chance(99) && !choices.one_in(2));
            assert_eq!(
                (choices.below(1 << 20), choices.between(3, 9), choices.pick(&['a', 'b'])),
                (0, 3, 'a')
            );
        }
    }
}
