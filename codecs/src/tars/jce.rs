//! JCE, the encoding of Tars' structs: fields with a tag and a type, skipped without recursion.

/// Types of a field.
pub(super) const INT8: u8 = 0;
pub(super) const INT16: u8 = 1;
pub(super) const INT32: u8 = 2;
pub(super) const INT64: u8 = 3;
const FLOAT: u8 = 4;
const DOUBLE: u8 = 5;
pub(super) const STRING1: u8 = 6;
pub(super) const STRING4: u8 = 7;
pub(super) const MAP: u8 = 8;
const LIST: u8 = 9;
const STRUCT_BEGIN: u8 = 10;
const STRUCT_END: u8 = 11;
pub(super) const ZERO: u8 = 12;
pub(super) const SIMPLE_LIST: u8 = 13;

/// Values nested deeper are not followed.
const MAX_DEPTH: usize = 64;

/// Why bytes are no JCE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum JceError {
    /// They end within a field.
    Cut,
    Malformed,
}

/// A field's tag and type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Tag {
    pub(super) number: u8,
    pub(super) kind: u8,
}

/// A cursor over the fields of a struct.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], JceError> {
        let end = self.at.checked_add(length).ok_or(JceError::Cut)?;
        let taken = self.bytes.get(self.at..end).ok_or(JceError::Cut)?;
        self.at = end;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], JceError> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| JceError::Cut)
    }

    /// The next field's tag; tags from 15 on take a second byte.
    pub(super) fn tag(&mut self) -> Result<Tag, JceError> {
        let [byte] = self.number()?;
        let number = if byte >> 4 == 15 { self.number::<1>()?[0] } else { byte >> 4 };
        Ok(Tag { number, kind: byte & 15 })
    }

    /// The value of an integer field of any width.
    pub(super) fn int(&mut self, kind: u8) -> Result<i64, JceError> {
        Ok(match kind {
            ZERO => 0,
            INT8 => i64::from(i8::from_be_bytes(self.number()?)),
            INT16 => i64::from(i16::from_be_bytes(self.number()?)),
            INT32 => i64::from(i32::from_be_bytes(self.number()?)),
            INT64 => i64::from_be_bytes(self.number()?),
            _ => return Err(JceError::Malformed),
        })
    }

    /// The value of a string field.
    pub(super) fn text(&mut self, kind: u8) -> Result<&'a [u8], JceError> {
        let length = match kind {
            STRING1 => usize::from(self.number::<1>()?[0]),
            STRING4 => u32::from_be_bytes(self.number()?) as usize,
            _ => return Err(JceError::Malformed),
        };
        self.take(length)
    }

    /// A length or a count: an integer field of its own, with tag 0.
    pub(super) fn length(&mut self) -> Result<usize, JceError> {
        let tag = self.tag()?;
        let length = self.int(tag.kind)?;
        u32::try_from(length).map(|length| length as usize).map_err(|_| JceError::Malformed)
    }

    /// The length of a simple list, whose bytes follow; the field's tag was taken.
    pub(super) fn bytes_length(&mut self) -> Result<usize, JceError> {
        let element = self.tag()?;
        if element.kind != INT8 {
            return Err(JceError::Malformed);
        }
        self.length()
    }

    /// Takes the value of a field, whatever it is.
    pub(super) fn skip(&mut self, kind: u8) -> Result<(), JceError> {
        // How many fields are left at each level; a struct has as many as it likes.
        let mut levels = [0u64; MAX_DEPTH];
        let mut depth = 0;
        let mut next = Some(kind);
        while let Some(kind) = next {
            if let Some(nested) = self.skip_one(kind)? {
                *levels.get_mut(depth).ok_or(JceError::Malformed)? = nested;
                depth += 1;
            }
            next = None;
            while depth > 0 {
                let left = &mut levels[depth - 1];
                if *left == 0 {
                    depth -= 1;
                    continue;
                }
                let tag = self.tag()?;
                if *left == UNTIL_END && tag.kind == STRUCT_END {
                    depth -= 1;
                    continue;
                }
                if *left != UNTIL_END {
                    *left -= 1;
                }
                next = Some(tag.kind);
                break;
            }
        }
        Ok(())
    }

    /// Takes what belongs to a field alone; tells how many fields are nested in it.
    fn skip_one(&mut self, kind: u8) -> Result<Option<u64>, JceError> {
        let length = match kind {
            ZERO => 0,
            INT8 => 1,
            INT16 => 2,
            INT32 | FLOAT => 4,
            INT64 | DOUBLE => 8,
            STRING1 => usize::from(self.number::<1>()?[0]),
            STRING4 => u32::from_be_bytes(self.number()?) as usize,
            SIMPLE_LIST => self.bytes_length()?,
            MAP => return Ok(Some(2 * self.length()? as u64)),
            LIST => return Ok(Some(self.length()? as u64)),
            STRUCT_BEGIN => return Ok(Some(UNTIL_END)),
            _ => return Err(JceError::Malformed),
        };
        self.take(length)?;
        Ok(None)
    }
}

/// A struct's fields are not counted.
const UNTIL_END: u64 = u64::MAX;

/// Writes a field's tag.
pub(super) fn put_tag(number: u8, kind: u8, out: &mut Vec<u8>) {
    debug_assert!(number < 15);
    out.push(number << 4 | kind);
}

/// Writes an integer field in the least width, as every encoder of Tars does.
pub(super) fn put_int(number: u8, value: i64, out: &mut Vec<u8>) {
    if value == 0 {
        put_tag(number, ZERO, out);
    } else if let Ok(value) = i8::try_from(value) {
        put_tag(number, INT8, out);
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = i16::try_from(value) {
        put_tag(number, INT16, out);
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        put_tag(number, INT32, out);
        out.extend_from_slice(&value.to_be_bytes());
    } else {
        put_tag(number, INT64, out);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// Writes a string field of at most 255 bytes in the short form, else in the long one.
pub(super) fn put_text(number: u8, text: &[u8], out: &mut Vec<u8>) {
    match u8::try_from(text.len()) {
        Ok(length) => {
            put_tag(number, STRING1, out);
            out.push(length);
        }
        Err(_) => {
            put_tag(number, STRING4, out);
            out.extend_from_slice(&(text.len() as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(text);
}

/// Writes an empty list of bytes.
pub(super) fn put_no_bytes(number: u8, out: &mut Vec<u8>) {
    put_tag(number, SIMPLE_LIST, out);
    put_tag(0, INT8, out);
    put_int(0, 0, out);
}

/// Writes an empty map.
pub(super) fn put_no_map(number: u8, out: &mut Vec<u8>) {
    put_tag(number, MAP, out);
    put_int(0, 0, out);
}

/// Writes a list of bytes.
pub(super) fn put_bytes(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    put_tag(number, SIMPLE_LIST, out);
    put_tag(0, INT8, out);
    put_int(0, bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}

/// Writes a map of texts.
pub(super) fn put_map(number: u8, pairs: &[(String, String)], out: &mut Vec<u8>) {
    put_tag(number, MAP, out);
    put_int(0, pairs.len() as i64, out);
    for (key, value) in pairs {
        put_text(0, key.as_bytes(), out);
        put_text(1, value.as_bytes(), out);
    }
}
