//! Whole hessian2 values, for bridging. They are read into a document of nodes, because a value may refer to one that was read
//! before it, or to itself.

use super::reader::{HessianError, Reader};
use std::rc::Rc;

/// Values nested deeper are not read.
const MAX_DEPTH: usize = 64;
/// Values in one document, those in lists, maps and objects included.
pub const MAX_VALUES: usize = 256 * 1024;
/// Class definitions in one document, and fields in one of them.
const MAX_CLASSES: usize = 1024;

/// A value of a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Null.
    Null,
    /// A boolean.
    Bool(bool),
    /// 32 bits.
    Int(i32),
    /// 64 bits.
    Long(i64),
    /// 64 bits.
    Double(f64),
    /// Milliseconds since 1970, UTC.
    DateMs(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// The index of a list, a map or an object in its document.
    Node(u32),
}

/// What has other values in it.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A list, with its class if it names one.
    List(Option<Rc<str>>, Vec<Value>),
    /// A map, with its class if it names one.
    Map(Option<Rc<str>>, Vec<(Value, Value)>),
    /// An object: its values are in the order of its class's fields.
    Object(Rc<Class>, Vec<Value>),
}

/// A class definition.
#[derive(Debug, PartialEq, Eq)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// The names of its fields.
    pub fields: Vec<String>,
}

/// The values of one body: references, classes and types are numbered across all of them.
#[derive(Debug, Default)]
pub struct Document {
    nodes: Vec<Node>,
    classes: Vec<Rc<Class>>,
    types: Vec<Rc<str>>,
    values: usize,
}

impl Document {
    /// A node that a value of this document names.
    pub fn node(&self, index: u32) -> Option<&Node> {
        self.nodes.get(index as usize)
    }

    /// Reads the next value.
    pub fn read(&mut self, reader: &mut Reader<'_>) -> Result<Value, HessianError> {
        self.value(reader, 0)
    }

    fn value(&mut self, reader: &mut Reader<'_>, depth: usize) -> Result<Value, HessianError> {
        self.count_value(depth)?;
        let tag = reader.peek()?;
        match tag {
            b'N'
            | b'T'
            | b'F'
            | 0x5b..=0x5f
            | b'D'
            | b'L'
            | 0x38..=0x3f
            | 0x59
            | 0xd8..=0xff
            | 0x4a
            | 0x4b => reader.scalar(),
            b'I' | 0x80..=0xd7 => reader.int().map(Value::Int),
            0x00..=0x1f | 0x30..=0x33 | b'S' | b'R' => reader.whole_text().map(Value::Text),
            0x20..=0x2f | 0x34..=0x37 | b'A' | b'B' => reader.whole_bytes().map(Value::Bytes),
            0x51 => {
                reader.byte()?;
                let index = reader.count()?;
                self.reference(index)
            }
            b'C' => {
                reader.byte()?;
                let name = reader.whole_text()?;
                let count = reader.count()?;
                let mut fields = Vec::new();
                for _ in 0..count {
                    fields.push(reader.whole_text()?);
                }
                self.define(name, fields)?;
                self.value(reader, depth + 1)
            }
            b'O' => {
                reader.byte()?;
                let class = reader.count()?;
                self.object(class, depth, |document, depth| document.value(reader, depth))
            }
            0x60..=0x6f => {
                reader.byte()?;
                let class = u32::from(tag - 0x60);
                self.object(class, depth, |document, depth| document.value(reader, depth))
            }
            _ => self.container(reader, depth),
        }
    }

    /// Another value at this depth.
    pub(super) fn count_value(&mut self, depth: usize) -> Result<(), HessianError> {
        self.values += 1;
        if depth > MAX_DEPTH || self.values > MAX_VALUES { Err(HessianError::TooComplex) } else { Ok(()) }
    }

    /// What has begun to be read before.
    pub(super) fn reference(&self, index: u32) -> Result<Value, HessianError> {
        let is_known = (index as usize) < self.nodes.len();
        if is_known { Ok(Value::Node(index)) } else { Err(HessianError::Malformed) }
    }

    pub(super) fn define(&mut self, name: String, fields: Vec<String>) -> Result<(), HessianError> {
        if self.classes.len() >= MAX_CLASSES {
            return Err(HessianError::TooComplex);
        }
        self.classes.push(Rc::new(Class { name, fields }));
        Ok(())
    }

    /// An object of a class that was defined before; `read` reads the value of a field, at a depth.
    pub(super) fn object(
        &mut self,
        class: u32,
        depth: usize,
        mut read: impl FnMut(&mut Self, usize) -> Result<Value, HessianError>,
    ) -> Result<Value, HessianError> {
        let class = self.classes.get(class as usize).cloned().ok_or(HessianError::Malformed)?;
        let index = self.enter(Node::Object(Rc::clone(&class), Vec::new()))?;
        for _ in 0..class.fields.len() {
            let value = read(self, depth + 1)?;
            if let Node::Object(_, values) = &mut self.nodes[index as usize] {
                values.push(value);
            }
        }
        Ok(Value::Node(index))
    }

    /// Adds to a list.
    pub(super) fn append(&mut self, list: u32, item: Value) {
        if let Node::List(_, items) = &mut self.nodes[list as usize] {
            items.push(item);
        }
    }

    /// Adds to a map.
    pub(super) fn append_entry(&mut self, map: u32, key: Value, value: Value) {
        if let Node::Map(_, entries) = &mut self.nodes[map as usize] {
            entries.push((key, value));
        }
    }

    /// Lists and maps. A count says how much will come; without it an end mark does.
    fn container(&mut self, reader: &mut Reader<'_>, depth: usize) -> Result<Value, HessianError> {
        let tag = reader.byte()?;
        let class = match tag {
            b'M' | 0x55 | b'V' | 0x70..=0x77 => Some(self.class_name(reader)?),
            b'H' | 0x57 | 0x58 | 0x78..=0x7f => None,
            _ => return Err(HessianError::Malformed),
        };
        let count = match tag {
            b'V' | 0x58 => Some(reader.count()?),
            0x70..=0x77 => Some(u32::from(tag - 0x70)),
            0x78..=0x7f => Some(u32::from(tag - 0x78)),
            _ => None,
        };
        let is_map = matches!(tag, b'M' | b'H');
        let empty = if is_map { Node::Map(class, Vec::new()) } else { Node::List(class, Vec::new()) };
        let index = self.enter(empty)?;
        let mut left = count;
        loop {
            match &mut left {
                Some(0) => break,
                Some(left) => *left -= 1,
                None if reader.end_map()? => break,
                None => {}
            }
            let first = self.value(reader, depth + 1)?;
            if is_map {
                let second = self.value(reader, depth + 1)?;
                self.append_entry(index, first, second);
            } else {
                self.append(index, first);
            }
        }
        Ok(Value::Node(index))
    }

    /// A type's name, or the number of one that was named before.
    fn class_name(&mut self, reader: &mut Reader<'_>) -> Result<Rc<str>, HessianError> {
        if matches!(reader.peek()?, 0x00..=0x1f | 0x30..=0x33 | b'S' | b'R') {
            return self.name_type(reader.whole_text()?);
        }
        let number = reader.count()?;
        self.named_type(number)
    }

    /// A type is named for the first time.
    pub(super) fn name_type(&mut self, name: String) -> Result<Rc<str>, HessianError> {
        let name: Rc<str> = name.into();
        self.types.push(Rc::clone(&name));
        Ok(name)
    }

    /// A type that was named before.
    pub(super) fn named_type(&self, number: u32) -> Result<Rc<str>, HessianError> {
        self.types.get(number as usize).cloned().ok_or(HessianError::Malformed)
    }

    pub(super) fn enter(&mut self, node: Node) -> Result<u32, HessianError> {
        self.nodes.push(node);
        Ok(self.nodes.len() as u32 - 1)
    }
}

impl Reader<'_> {
    /// A value that is no text, no bytes, no int and holds no other.
    fn scalar(&mut self) -> Result<Value, HessianError> {
        let tag = self.byte()?;
        Ok(match tag {
            b'N' => Value::Null,
            b'T' => Value::Bool(true),
            b'F' => Value::Bool(false),
            0x5b => Value::Double(0.0),
            0x5c => Value::Double(1.0),
            0x5d => Value::Double(f64::from(i8::from_be_bytes(self.number()?))),
            0x5e => Value::Double(f64::from(i16::from_be_bytes(self.number()?))),
            // Caucho's library and its descendants write thousandths, whatever the draft says of a float.
            0x5f => Value::Double(f64::from(i32::from_be_bytes(self.number()?)) * 0.001),
            b'D' => Value::Double(f64::from_be_bytes(self.number()?)),
            b'L' => Value::Long(i64::from_be_bytes(self.number()?)),
            0x59 => Value::Long(i64::from(i32::from_be_bytes(self.number()?))),
            0x4a => Value::DateMs(i64::from_be_bytes(self.number()?)),
            0x4b => Value::DateMs(i64::from(i32::from_be_bytes(self.number()?)) * 60_000),
            _ => return self.short_long(tag),
        })
    }

    /// A long of one to three bytes, whose first was taken.
    pub(super) fn short_long(&mut self, tag: u8) -> Result<Value, HessianError> {
        Ok(match tag {
            0xd8..=0xef => Value::Long(i64::from(tag) - 0xe0),
            0xf0..=0xff => Value::Long((i64::from(tag) - 0xf8) << 8 | i64::from(self.byte()?)),
            0x38..=0x3f => {
                let low: [u8; 2] = self.number()?;
                Value::Long((i64::from(tag) - 0x3c) << 16 | i64::from(u16::from_be_bytes(low)))
            }
            _ => return Err(HessianError::Malformed),
        })
    }

    pub(super) fn number<const N: usize>(&mut self) -> Result<[u8; N], HessianError> {
        self.take(N)?.try_into().map_err(|_| HessianError::Cut)
    }
}
