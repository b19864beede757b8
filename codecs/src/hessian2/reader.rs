//! A cursor over hessian2 bytes.

/// Why bytes are no hessian2, or none that is read here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HessianError {
    /// They end within a value.
    #[error("the hessian2 value is cut")]
    Cut,
    /// A tag or a length that is none, or another type than was asked for.
    #[error("not a hessian2 value of this type")]
    Malformed,
    /// Values are nested deeper, or there are more class definitions, than is followed.
    #[error("hessian2 values beyond the limits")]
    TooComplex,
}

/// A cursor over bytes that begin with a value.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A cursor in front of the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    /// Bytes in front of the cursor.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Whether nothing is left.
    pub fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The next byte, without taking it.
    pub fn peek(&self) -> Result<u8, HessianError> {
        self.bytes.get(self.at).copied().ok_or(HessianError::Cut)
    }

    /// Everything behind the cursor.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(super) fn byte(&mut self) -> Result<u8, HessianError> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], HessianError> {
        let end = self.at.checked_add(length).ok_or(HessianError::Cut)?;
        let taken = self.bytes.get(self.at..end).ok_or(HessianError::Cut)?;
        self.at = end;
        Ok(taken)
    }

    pub(super) fn u16(&mut self) -> Result<usize, HessianError> {
        let bytes = self.take(2)?;
        Ok(usize::from(bytes[0]) << 8 | usize::from(bytes[1]))
    }

    /// The next value, an int of any encoding (section 4.5 of the draft).
    pub fn int(&mut self) -> Result<i32, HessianError> {
        let tag = self.byte()?;
        Ok(match tag {
            0x80..=0xbf => i32::from(tag) - 0x90,
            0xc0..=0xcf => (i32::from(tag) - 0xc8) << 8 | i32::from(self.byte()?),
            0xd0..=0xd7 => {
                let low = self.u16()? as i32;
                (i32::from(tag) - 0xd4) << 16 | low
            }
            b'I' => {
                let bytes = self.take(4)?;
                i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
            }
            _ => return Err(HessianError::Malformed),
        })
    }

    /// A count, which is an int that is not negative.
    pub(super) fn count(&mut self) -> Result<u32, HessianError> {
        u32::try_from(self.int()?).map_err(|_| HessianError::Malformed)
    }

    /// Whether the next value is null, which is taken then.
    pub fn null(&mut self) -> Result<bool, HessianError> {
        let is_null = self.peek()? == b'N';
        self.at += usize::from(is_null);
        Ok(is_null)
    }

    /// Takes the beginning of a map, and its type if it names one; `false`, and nothing taken, if it is no map.
    pub fn begin_map(&mut self) -> Result<bool, HessianError> {
        match self.peek()? {
            b'H' => self.byte().map(|_| true),
            b'M' => {
                self.byte()?;
                self.skip_type().map(|()| true)
            }
            _ => Ok(false),
        }
    }

    /// Takes the end of a map, if that is what comes next.
    pub fn end_map(&mut self) -> Result<bool, HessianError> {
        let ends = self.peek()? == b'Z';
        self.at += usize::from(ends);
        Ok(ends)
    }
}
