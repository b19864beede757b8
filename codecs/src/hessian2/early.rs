//! Reads whole values of the early dialect (Caucho's library 3.1, Hessian2Input), which SOFARPC's still speaks over bolt.

use super::reader::{HessianError, Reader};
use super::value::{Document, Node, Value};
use std::rc::Rc;

impl Document {
    /// Reads the next value of the early dialect. Its references, classes and types are numbered apart from none: a document has
    /// values of one dialect.
    pub fn read_early(&mut self, reader: &mut Reader<'_>) -> Result<Value, HessianError> {
        self.early_value(reader, 0)
    }

    fn early_value(&mut self, reader: &mut Reader<'_>, depth: usize) -> Result<Value, HessianError> {
        self.count_value(depth)?;
        let tag = reader.peek()?;
        match tag {
            b'I' | 0x80..=0xd7 => reader.int().map(Value::Int),
            0x00..=0x1f | 0x30..=0x33 | b'S' | b's' => reader.early_text().map(Value::Text),
            0x20..=0x2f | 0x34..=0x37 | b'B' | b'b' => reader.early_bytes().map(Value::Bytes),
            b'J' | b'K' | b'R' => {
                let index = reader.early_reference()?;
                self.reference(index)
            }
            b'O' => {
                reader.byte()?;
                let name = reader.early_class_name()?;
                let count = reader.count()?;
                let mut fields = Vec::new();
                for _ in 0..count {
                    fields.push(reader.early_text()?);
                }
                self.define(name, fields)?;
                self.early_value(reader, depth + 1)
            }
            b'o' => {
                reader.byte()?;
                let class = reader.count()?;
                self.object(class, depth, |document, depth| document.early_value(reader, depth))
            }
            b'V' | b'v' => self.early_list(reader, depth),
            b'M' => self.early_map(reader, depth),
            _ => reader.early_scalar(),
        }
    }

    fn early_list(&mut self, reader: &mut Reader<'_>, depth: usize) -> Result<Value, HessianError> {
        let has_end = reader.byte()? == b'V';
        let (class, mut left) = if has_end {
            let class = self.early_type(reader)?;
            (class, reader.early_count()?)
        } else {
            let number = reader.count()?;
            (Some(self.named_type(number)?), Some(reader.count()?))
        };
        let index = self.enter(Node::List(class, Vec::new()))?;
        while left != Some(0) {
            if has_end && reader.early_end()? {
                return Ok(Value::Node(index));
            }
            let item = self.early_value(reader, depth + 1)?;
            self.append(index, item);
            left = left.map(|left| left - 1);
        }
        if has_end && !reader.early_end()? {
            return Err(HessianError::Malformed);
        }
        Ok(Value::Node(index))
    }

    fn early_map(&mut self, reader: &mut Reader<'_>, depth: usize) -> Result<Value, HessianError> {
        reader.byte()?;
        let class = self.early_type(reader)?;
        let index = self.enter(Node::Map(class, Vec::new()))?;
        while !reader.early_end()? {
            let key = self.early_value(reader, depth + 1)?;
            let value = self.early_value(reader, depth + 1)?;
            self.append_entry(index, key, value);
        }
        Ok(Value::Node(index))
    }

    /// A type's name, or the number of one that was named before, if there is either. No name is the same as none.
    fn early_type(&mut self, reader: &mut Reader<'_>) -> Result<Option<Rc<str>>, HessianError> {
        let class = match reader.peek()? {
            b't' => {
                reader.byte()?;
                let length = reader.u16()?;
                let name = String::from_utf8_lossy(reader.take(length)?).into_owned();
                self.name_type(name)?
            }
            b'T' | b'u' => {
                reader.byte()?;
                let number = reader.count()?;
                self.named_type(number)?
            }
            _ => return Ok(None),
        };
        Ok(Some(class).filter(|class| !class.is_empty()))
    }
}

impl Reader<'_> {
    fn early_scalar(&mut self) -> Result<Value, HessianError> {
        let tag = self.byte()?;
        Ok(match tag {
            b'N' => Value::Null,
            b'T' => Value::Bool(true),
            b'F' => Value::Bool(false),
            0x67 => Value::Double(0.0),
            0x68 => Value::Double(1.0),
            0x69 => Value::Double(f64::from(i8::from_be_bytes(self.number()?))),
            0x6a => Value::Double(f64::from(i16::from_be_bytes(self.number()?))),
            0x6b => Value::Double(f64::from(f32::from_be_bytes(self.number()?))),
            b'D' => Value::Double(f64::from_be_bytes(self.number()?)),
            b'L' => Value::Long(i64::from_be_bytes(self.number()?)),
            0x77 => Value::Long(i64::from(i32::from_be_bytes(self.number()?))),
            b'd' => Value::DateMs(i64::from_be_bytes(self.number()?)),
            _ => return self.short_long(tag),
        })
    }

    /// A string in any number of chunks.
    fn early_text(&mut self) -> Result<String, HessianError> {
        self.chunked_text(b's')
    }

    /// A class's name: its length, and so many characters.
    fn early_class_name(&mut self) -> Result<String, HessianError> {
        let characters = self.count()?;
        self.characters(characters as usize)
    }

    fn early_bytes(&mut self) -> Result<Vec<u8>, HessianError> {
        self.chunked_bytes(b'b')
    }

    fn early_reference(&mut self) -> Result<u32, HessianError> {
        Ok(match self.byte()? {
            b'J' => u32::from(self.byte()?),
            b'K' => self.u16()? as u32,
            _ => u32::from_be_bytes(self.number()?),
        })
    }

    /// How many values a list has, if it says so.
    fn early_count(&mut self) -> Result<Option<u32>, HessianError> {
        Ok(match self.peek()? {
            b'n' => {
                self.byte()?;
                Some(u32::from(self.byte()?))
            }
            b'l' => {
                self.byte()?;
                Some(u32::from_be_bytes(self.number()?))
            }
            _ => None,
        })
    }

    fn early_end(&mut self) -> Result<bool, HessianError> {
        let ends = self.peek()? == b'z';
        if ends {
            self.byte()?;
        }
        Ok(ends)
    }
}
