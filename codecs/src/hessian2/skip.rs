//! Skipping a value of any type, without recursion and with bounds on depth and on class definitions.

use super::reader::{HessianError, Reader};

/// Values nested deeper are not followed.
const MAX_DEPTH: usize = 256;
/// More class definitions in one value are not followed.
const MAX_CLASSES: usize = 256;

/// What is still to be skipped at one level.
#[derive(Clone, Copy)]
enum Level {
    /// So many more values.
    Values(u64),
    /// Values up to an end mark.
    UntilEnd,
}

/// Class definitions seen so far: how many fields each has. They are numbered across all values of one body.
#[derive(Clone, Copy)]
pub struct Classes {
    fields: [u32; MAX_CLASSES],
    len: usize,
}

impl Default for Classes {
    fn default() -> Self {
        Classes { fields: [0; MAX_CLASSES], len: 0 }
    }
}

impl std::fmt::Debug for Classes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.fields[..self.len]).finish()
    }
}

impl Classes {
    fn define(&mut self, fields: u32) -> Result<(), HessianError> {
        let place = self.fields.get_mut(self.len).ok_or(HessianError::TooComplex)?;
        *place = fields;
        self.len += 1;
        Ok(())
    }

    fn fields_of(&self, class: u32) -> Result<u32, HessianError> {
        self.fields[..self.len].get(class as usize).copied().ok_or(HessianError::Malformed)
    }
}

impl Reader<'_> {
    /// Takes the next value, whatever it is.
    pub fn skip(&mut self, classes: &mut Classes) -> Result<(), HessianError> {
        let mut levels = [Level::Values(0); MAX_DEPTH];
        levels[0] = Level::Values(1);
        let mut depth = 1;
        while depth > 0 {
            match &mut levels[depth - 1] {
                Level::Values(0) => {
                    depth -= 1;
                    continue;
                }
                Level::Values(left) => *left -= 1,
                Level::UntilEnd if self.peek()? == b'Z' => {
                    self.byte()?;
                    depth -= 1;
                    continue;
                }
                Level::UntilEnd => {}
            }
            if let Some(level) = self.skip_one(classes)? {
                *levels.get_mut(depth).ok_or(HessianError::TooComplex)? = level;
                depth += 1;
            }
        }
        Ok(())
    }

    /// Takes a value's tag and what belongs to it alone; tells what is nested in it.
    fn skip_one(&mut self, classes: &mut Classes) -> Result<Option<Level>, HessianError> {
        let tag = self.byte()?;
        match tag {
            b'N' | b'T' | b'F' | 0x5b | 0x5c | 0x80..=0xbf | 0xd8..=0xef => Ok(None),
            0x5d | 0xc0..=0xcf | 0xf0..=0xff => self.drop(1),
            0x38..=0x3f | 0x5e | 0xd0..=0xd7 => self.drop(2),
            b'I' | 0x4b | 0x59 | 0x5f => self.drop(4),
            b'L' | b'D' | 0x4a => self.drop(8),
            0x00..=0x1f | 0x30..=0x33 | b'S' | b'R' => self.skip_text(tag).map(|()| None),
            0x20..=0x2f | 0x34..=0x37 | b'A' | b'B' => self.skip_binary(tag).map(|()| None),
            0x51 => self.int().map(|_| None),
            b'C' => self.skip_class(classes).map(Some),
            b'O' => {
                let class = self.count()?;
                self.object(classes, class)
            }
            0x60..=0x6f => self.object(classes, u32::from(tag - 0x60)),
            b'H' | 0x57 => Ok(Some(Level::UntilEnd)),
            b'M' | 0x55 => self.skip_type().map(|()| Some(Level::UntilEnd)),
            b'V' => {
                self.skip_type()?;
                self.list()
            }
            0x58 => self.list(),
            0x70..=0x77 => {
                self.skip_type()?;
                Ok(Some(Level::Values(u64::from(tag - 0x70))))
            }
            0x78..=0x7f => Ok(Some(Level::Values(u64::from(tag - 0x78)))),
            _ => Err(HessianError::Malformed),
        }
    }

    fn drop(&mut self, length: usize) -> Result<Option<Level>, HessianError> {
        self.take(length).map(|_| None)
    }

    fn list(&mut self) -> Result<Option<Level>, HessianError> {
        self.count().map(|count| Some(Level::Values(u64::from(count))))
    }

    fn object(&mut self, classes: &Classes, class: u32) -> Result<Option<Level>, HessianError> {
        classes.fields_of(class).map(|fields| Some(Level::Values(u64::from(fields))))
    }

    /// A type's name, or the number of one that was named before.
    pub(super) fn skip_type(&mut self) -> Result<(), HessianError> {
        match self.peek()? {
            tag @ (0x00..=0x1f | 0x30..=0x33 | b'S' | b'R') => {
                self.byte()?;
                self.skip_text(tag)
            }
            _ => self.int().map(|_| ()),
        }
    }

    /// A class definition; the value that it was written in front of follows.
    fn skip_class(&mut self, classes: &mut Classes) -> Result<Level, HessianError> {
        let tag = self.byte()?;
        self.skip_text(tag)?;
        let fields = self.count()?;
        for _ in 0..fields {
            let tag = self.byte()?;
            self.skip_text(tag)?;
        }
        classes.define(fields)?;
        Ok(Level::Values(1))
    }

    fn skip_binary(&mut self, tag: u8) -> Result<(), HessianError> {
        let mut tag = tag;
        while self.binary_chunk(tag, b'A').map(|_| tag == b'A')? {
            tag = self.byte()?;
        }
        Ok(())
    }
}

impl<'a> Reader<'a> {
    /// The next value, bytes in any number of chunks.
    pub fn whole_bytes(&mut self) -> Result<Vec<u8>, HessianError> {
        self.chunked_bytes(b'A')
    }

    /// Bytes in chunks, of which `more` begins each but the last.
    pub(super) fn chunked_bytes(&mut self, more: u8) -> Result<Vec<u8>, HessianError> {
        let mut bytes = Vec::new();
        loop {
            let tag = self.byte()?;
            bytes.extend_from_slice(self.binary_chunk(tag, more)?);
            if tag != more {
                return Ok(bytes);
            }
        }
    }

    /// One chunk of bytes; its tag was taken.
    fn binary_chunk(&mut self, tag: u8, more: u8) -> Result<&'a [u8], HessianError> {
        let length = match tag {
            0x20..=0x2f => usize::from(tag - 0x20),
            0x34..=0x37 => usize::from(tag - 0x34) << 8 | usize::from(self.byte()?),
            _ if tag == b'B' || tag == more => self.u16()?,
            _ => return Err(HessianError::Malformed),
        };
        self.take(length)
    }
}
