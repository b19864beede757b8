//! Random numbers for jitter and chances, where nothing depends on their being hard to guess (xorshift64*).

/// A sequence of its own.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        // The lowest bits of such a product are the weakest.
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }
}
