//! Decodes chunked framing (RFC 9112 section 7.1) up to the trailer section. Exact to the byte: no bare LF, no
//! whitespace, no sign or prefix; whoever frames loosely is refused.

use super::malformed;
use crate::codec::ProtocolError;

/// At most this many hexadecimal digits in a chunk size, leading zeros included.
pub(super) const MAX_SIZE_DIGITS: u8 = 16;
/// At most this many bytes of chunk extension in one line, the semicolon included.
pub(super) const MAX_LINE_EXTENSION: u16 = 256;
/// At most this many bytes of chunk extension in one message.
pub(super) const MAX_TOTAL_EXTENSION: u16 = 4096;

/// Where the decoder stands.
///
/// ```text
///          +--';'--> Extension --CR--+
///          |                         v
/// --> Size +-----------CR--------> SizeEnd --LF, size > 0--> Data --all--> DataEnd --CR--> DataLineFeed --LF--+
///      ^                               |                                                                      |
///      |                               +--LF, size 0--> Trailers                                              |
///      +------------------------------------------------------------------------------------------------------+
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Size,
    Extension,
    SizeEnd,
    Data,
    DataEnd,
    DataLineFeed,
    Trailers,
}

/// The decoder of one message's chunks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Chunked {
    /// The size being read, then the bytes of the chunk still to come.
    remaining: u64,
    line_extension: u16,
    total_extension: u16,
    digits: u8,
    phase: Phase,
}

/// What stood at the front of the input.
pub(super) enum Piece<'i> {
    /// Payload, never empty.
    Data(&'i [u8]),
    /// The last chunk is over: the trailer section follows.
    Trailers,
    /// Everything was taken, and more is needed.
    More,
}

impl Chunked {
    /// A decoder that expects the first chunk's size.
    pub(super) fn new() -> Self {
        Chunked { remaining: 0, line_extension: 0, total_extension: 0, digits: 0, phase: Phase::Size }
    }

    /// Takes framing and at most one piece of payload from `input`.
    ///
    /// Errors: 400 for anything but exact framing, and beyond [`MAX_SIZE_DIGITS`], [`MAX_LINE_EXTENSION`] or
    /// [`MAX_TOTAL_EXTENSION`].
    pub(super) fn decode<'i>(&mut self, input: &mut &'i [u8]) -> Result<Piece<'i>, ProtocolError> {
        while self.phase != Phase::Trailers {
            if self.phase == Phase::Data {
                return Ok(self.take_data(input));
            }
            let Some((&byte, rest)) = input.split_first() else { return Ok(Piece::More) };
            self.handle_framing_byte(byte)?;
            *input = rest;
        }
        Ok(Piece::Trailers)
    }

    fn take_data<'i>(&mut self, input: &mut &'i [u8]) -> Piece<'i> {
        let available = u64::try_from(input.len()).unwrap_or(u64::MAX).min(self.remaining) as usize;
        if available == 0 {
            return Piece::More;
        }
        let (data, rest) = input.split_at(available);
        *input = rest;
        self.remaining -= available as u64;
        if self.remaining == 0 {
            self.phase = Phase::DataEnd;
        }
        Piece::Data(data)
    }

    fn handle_framing_byte(&mut self, byte: u8) -> Result<(), ProtocolError> {
        self.phase = match (self.phase, byte) {
            (Phase::Size, b'\r') if self.digits > 0 => Phase::SizeEnd,
            (Phase::Size, b';') if self.digits > 0 => {
                self.count_extension_byte()?;
                Phase::Extension
            }
            (Phase::Size, _) => {
                self.push_digit(byte)?;
                Phase::Size
            }
            (Phase::Extension, b'\r') => Phase::SizeEnd,
            (Phase::Extension, b'\t' | b' '..=b'~' | 0x80..) => {
                self.count_extension_byte()?;
                Phase::Extension
            }
            (Phase::Extension, _) => return Err(malformed("a control byte in a chunk extension")),
            (Phase::SizeEnd, b'\n') => {
                self.digits = 0;
                self.line_extension = 0;
                if self.remaining == 0 { Phase::Trailers } else { Phase::Data }
            }
            (Phase::SizeEnd, _) => return Err(malformed("a chunk's size line does not end with CRLF")),
            (Phase::DataEnd, b'\r') => Phase::DataLineFeed,
            (Phase::DataLineFeed, b'\n') => Phase::Size,
            (Phase::DataEnd | Phase::DataLineFeed, _) => {
                return Err(malformed("a chunk's data does not end with CRLF"));
            }
            (Phase::Data | Phase::Trailers, _) => self.phase,
        };
        Ok(())
    }

    fn push_digit(&mut self, byte: u8) -> Result<(), ProtocolError> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            _ => return Err(malformed("a chunk's size is not a hexadecimal number")),
        };
        if self.digits == MAX_SIZE_DIGITS {
            return Err(malformed("a chunk's size has too many digits"));
        }
        self.digits += 1;
        self.remaining = self.remaining << 4 | u64::from(digit);
        Ok(())
    }

    fn count_extension_byte(&mut self) -> Result<(), ProtocolError> {
        self.line_extension += 1;
        self.total_extension += 1;
        if self.line_extension > MAX_LINE_EXTENSION || self.total_extension > MAX_TOTAL_EXTENSION {
            return Err(malformed("a chunk extension is too long"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Chunked, MAX_LINE_EXTENSION, MAX_SIZE_DIGITS, MAX_TOTAL_EXTENSION, Piece};

    /// The payload, or the error's reason.
    fn decode(mut input: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut chunked = Chunked::new();
        let mut payload = Vec::new();
        loop {
            match chunked.decode(&mut input).map_err(|error| error.reason)? {
                Piece::Data(bytes) => payload.extend_from_slice(bytes),
                Piece::Trailers => return Ok(payload),
                Piece::More => return Err("cut short"),
            }
        }
    }

    #[test]
    fn size_digits_at_the_bound() {
        for (digits, is_accepted) in
            [(MAX_SIZE_DIGITS - 1, true), (MAX_SIZE_DIGITS, true), (MAX_SIZE_DIGITS + 1, false)]
        {
            let input = format!("{:0>width$}\r\nabcde\r\n0\r\n", 5, width = usize::from(digits));
            assert_eq!(decode(input.as_bytes()).is_ok(), is_accepted, "{digits} digits");
        }
    }

    #[test]
    fn line_extension_at_the_bound() {
        for (bytes, is_accepted) in [
            (MAX_LINE_EXTENSION - 1, true),
            (MAX_LINE_EXTENSION, true),
            (MAX_LINE_EXTENSION + 1, false),
            (20 * 1024, false),
        ] {
            let extension = format!(";{}", "x".repeat(usize::from(bytes) - 1));
            let input = format!("5{extension}\r\nabcde\r\n0\r\n");
            assert_eq!(decode(input.as_bytes()).is_ok(), is_accepted, "{bytes} bytes");
        }
    }

    #[test]
    fn total_extension_at_the_bound() {
        for (extra, is_accepted) in [(-1, true), (0, true), (1, false)] {
            let lines = MAX_TOTAL_EXTENSION / 128;
            let mut input = String::new();
            for _ in 1..lines {
                input += &format!("1;{}\r\nx\r\n", "y".repeat(127));
            }
            input += &format!("1;{}\r\nx\r\n0\r\n", "y".repeat((127 + extra) as usize));
            assert_eq!(decode(input.as_bytes()).is_ok(), is_accepted, "bound {extra:+}");
        }
    }
}
