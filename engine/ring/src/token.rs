//! The 64 bits that travel with an operation through the kernel: what it was, on which index, of which generation.

/// Indices that fit into a token: 24 bits.
pub(crate) const INDEX_LIMIT: u32 = 1 << 24;

/// What an operation in the kernel does, and so whom its completion concerns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Operation {
    /// Cancellations: only their failures are reported, and those say nothing the cancelled operation does not.
    Ignored = 0,
    Wake = 1,
    /// The index is a listener's.
    Accept = 2,
    Connect = 3,
    Receive = 4,
    Send = 5,
    /// Waits until the source of a relay has bytes. The index is the source's.
    PollSource = 6,
    /// Waits until the destination of a relay takes bytes. The index is the destination's.
    PollDestination = 7,
    /// Notices the end of a destination whose source is silent. The index is the destination's.
    WatchDestination = 8,
    /// The one timeout, which ends a wait at the machine's next deadline.
    Alarm = 9,
}

/// A token taken apart. Layout: operation in the top 8 bits, index in the next 24, generation in the low 32.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Token {
    pub(crate) operation: Operation,
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl Token {
    pub(crate) const WAKE: Token = Token { operation: Operation::Wake, index: 0, generation: 0 };
    pub(crate) const ALARM: Token = Token { operation: Operation::Alarm, index: 0, generation: 0 };
    pub(crate) const IGNORED: Token = Token { operation: Operation::Ignored, index: 0, generation: 0 };

    #[inline]
    pub(crate) fn new(operation: Operation, index: u32, generation: u32) -> Token {
        Token { operation, index, generation }
    }

    #[inline]
    pub(crate) fn pack(self) -> u64 {
        (self.operation as u64) << 56 | u64::from(self.index) << 32 | u64::from(self.generation)
    }

    #[inline]
    pub(crate) fn unpack(bits: u64) -> Token {
        let operation = match (bits >> 56) as u8 {
            1 => Operation::Wake,
            2 => Operation::Accept,
            3 => Operation::Connect,
            4 => Operation::Receive,
            5 => Operation::Send,
            6 => Operation::PollSource,
            7 => Operation::PollDestination,
            8 => Operation::WatchDestination,
            9 => Operation::Alarm,
            _ => Operation::Ignored,
        };
        Token { operation, index: (bits >> 32) as u32 & (INDEX_LIMIT - 1), generation: bits as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_the_way_through_the_kernel() {
        for operation in [Operation::Wake, Operation::Receive, Operation::Send, Operation::WatchDestination] {
            for (index, generation) in [(0, 0), (INDEX_LIMIT - 1, u32::MAX), (77, 12)] {
                let token = Token::new(operation, index, generation);
                assert_eq!(Token::unpack(token.pack()), token);
            }
        }
        assert_eq!(Token::unpack(u64::MAX).operation, Operation::Ignored);
    }
}
