//! Strings: in one piece, as the names that routing reads always are, or in chunks, which are only skipped.

use super::reader::{HessianError, Reader};

/// A string of one piece as it stands in the bytes: UTF-8, but for characters beyond the basic plane, which Java writes as two
/// halves of three bytes each.
pub type Text<'a> = &'a [u8];

impl<'a> Reader<'a> {
    /// The next value, a string of one piece. Chunked ones (above 65,535 characters as a rule) are malformed here.
    pub fn text(&mut self) -> Result<Text<'a>, HessianError> {
        let tag = self.byte()?;
        let characters = match tag {
            0x00..=0x1f => usize::from(tag),
            0x30..=0x33 => usize::from(tag - 0x30) << 8 | usize::from(self.byte()?),
            b'S' => self.u16()?,
            _ => return Err(HessianError::Malformed),
        };
        let length = utf8_length(self.rest(), characters)?;
        self.take(length)
    }

    /// The next value, a string in any number of chunks.
    pub fn whole_text(&mut self) -> Result<String, HessianError> {
        self.chunked_text(b'R')
    }

    /// A string in chunks, of which `more` begins each but the last.
    pub(super) fn chunked_text(&mut self, more: u8) -> Result<String, HessianError> {
        let mut units: Vec<u16> = Vec::new();
        loop {
            let tag = self.byte()?;
            append_units(self.chunk(tag, more)?, &mut units)?;
            if tag != more {
                return String::from_utf16(&units).map_err(|_| HessianError::Malformed);
            }
        }
    }

    /// So many characters, as UTF-16 counts them.
    pub(super) fn characters(&mut self, count: usize) -> Result<String, HessianError> {
        let length = utf8_length(self.rest(), count)?;
        let mut units = Vec::new();
        append_units(self.take(length)?, &mut units)?;
        String::from_utf16(&units).map_err(|_| HessianError::Malformed)
    }

    /// Skips a string's characters; the tag was taken. `R` chunks are followed by more.
    pub(super) fn skip_text(&mut self, tag: u8) -> Result<(), HessianError> {
        let mut tag = tag;
        loop {
            self.chunk(tag, b'R')?;
            if tag != b'R' {
                return Ok(());
            }
            tag = self.byte()?;
        }
    }

    /// The characters of one chunk; its tag was taken.
    fn chunk(&mut self, tag: u8, more: u8) -> Result<&'a [u8], HessianError> {
        let characters = match tag {
            0x00..=0x1f => usize::from(tag),
            0x30..=0x33 => usize::from(tag - 0x30) << 8 | usize::from(self.byte()?),
            _ if tag == b'S' || tag == more => self.u16()?,
            _ => return Err(HessianError::Malformed),
        };
        let length = utf8_length(self.rest(), characters)?;
        self.take(length)
    }
}

/// UTF-8, in which the halves of a pair may stand as characters of their own.
fn append_units(mut bytes: &[u8], units: &mut Vec<u16>) -> Result<(), HessianError> {
    loop {
        match std::str::from_utf8(bytes) {
            Ok(text) => {
                units.extend(text.encode_utf16());
                return Ok(());
            }
            Err(error) => {
                let (valid, rest) = bytes.split_at(error.valid_up_to());
                units.extend(String::from_utf8_lossy(valid).encode_utf16());
                let &[0xed, second @ 0xa0..=0xbf, third @ 0x80..=0xbf, ref after @ ..] = rest else {
                    return Err(HessianError::Malformed);
                };
                units.push(0xd000 | u16::from(second & 0x3f) << 6 | u16::from(third & 0x3f));
                bytes = after;
            }
        }
    }
}

/// The bytes that so many UTF-16 code units take. Four-byte sequences count as two units, as Java's char does; Caucho's
/// own library never writes them, others do.
fn utf8_length(bytes: &[u8], units: usize) -> Result<usize, HessianError> {
    if bytes.len() >= units && bytes[..units].is_ascii() {
        return Ok(units);
    }
    let (mut left, mut at) = (units, 0);
    while left > 0 {
        let first = *bytes.get(at).ok_or(HessianError::Cut)?;
        let (length, counts) = match first {
            0x00..=0x7f => (1, 1),
            0xc0..=0xdf => (2, 1),
            0xe0..=0xef => (3, 1),
            0xf0..=0xf7 => (4, 2),
            _ => return Err(HessianError::Malformed),
        };
        at += length;
        left = left.checked_sub(counts).ok_or(HessianError::Malformed)?;
    }
    if at > bytes.len() { Err(HessianError::Cut) } else { Ok(at) }
}

/// Writes a string of at most 65,535 characters; a longer one is cut there. Only ASCII is counted right, which is all that
/// the proxy's own texts are made of.
pub fn write_text(text: &[u8], out: &mut Vec<u8>) {
    let text = &text[..text.len().min(usize::from(u16::MAX))];
    match text.len() {
        length @ 0..=31 => out.push(length as u8),
        length @ 32..=1023 => out.extend_from_slice(&[0x30 + (length >> 8) as u8, length as u8]),
        length => out.extend_from_slice(&[b'S', (length >> 8) as u8, length as u8]),
    }
    out.extend_from_slice(text);
}
