//! Content codings (RFC 9110 section 8.4.1): bodies in pieces through gzip, brotli and zstd, in bounded memory. It knows
//! no message.

mod decoder;
mod encoder;
mod pool;

pub use decoder::Decoder;
pub use encoder::Encoder;
pub use pool::{CodingPool, Lent, MOST_CODERS, Renew};

/// A coding, as messages name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
}

impl Coding {
    /// Its name in Content-Encoding and Accept-Encoding.
    pub fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
        }
    }

    /// Whether a message means this one: names have no case, and `x-gzip` is gzip (RFC 9110 section 8.4.1.3).
    pub fn is_named(self, name: &[u8]) -> bool {
        name.eq_ignore_ascii_case(self.name().as_bytes())
            || self == Coding::Gzip && name.eq_ignore_ascii_case(b"x-gzip")
    }
}

/// A coding with how hard it tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Library {
    pub coding: Coding,
    /// gzip: 1..=9, brotli: 0..=11, zstd: 1..=22.
    pub level: u32,
}

/// Why a body cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodingError {
    /// It is not what its head says, or ends too soon.
    Broken,
    /// It becomes larger than it may.
    TooLarge,
}

#[cfg(test)]
mod tests;
