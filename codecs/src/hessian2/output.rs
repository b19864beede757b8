//! Writes whole values in either dialect, with the class definitions that objects need.

use super::write;

/// How values are laid out. Ints, short texts and short bytes are the same in both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// Hessian 2.0 as it was specified (2007), which Dubbo speaks.
    Final,
    /// What Caucho's library wrote before (3.1), which SOFARPC's still speaks over bolt.
    Early,
}

/// Characters of one chunk of a long string in the early dialect.
const CHUNK_CHARACTERS: usize = 0x7fff;
/// Bytes of one chunk of long bytes in the early dialect.
const CHUNK_BYTES: usize = 0x7fff;

/// The values of one body. What is begun must be ended.
#[derive(Debug)]
pub struct Output<'o> {
    out: &'o mut Vec<u8>,
    dialect: Dialect,
    /// Defined so far; objects name them by their number.
    classes: Vec<(String, Vec<String>)>,
}

impl<'o> Output<'o> {
    /// Writes behind what is in `out`.
    pub fn new(dialect: Dialect, out: &'o mut Vec<u8>) -> Self {
        Output { out, dialect, classes: vec![] }
    }

    fn is_early(&self) -> bool {
        self.dialect == Dialect::Early
    }

    /// Null.
    pub fn null(&mut self) {
        write::write_null(self.out);
    }

    /// A boolean.
    pub fn bool(&mut self, value: bool) {
        write::write_bool(value, self.out);
    }

    /// An int.
    pub fn int(&mut self, value: i32) {
        write::write_int(value, self.out);
    }

    /// A long.
    pub fn long(&mut self, value: i64) {
        let begin = self.out.len();
        write::write_long(value, self.out);
        if self.is_early() && self.out[begin] == 0x59 {
            self.out[begin] = 0x77;
        }
    }

    /// A double.
    pub fn double(&mut self, value: f64) {
        let begin = self.out.len();
        write::write_double(value, self.out);
        if self.is_early() {
            self.out[begin] = match self.out[begin] {
                0x5b => 0x67,
                0x5c => 0x68,
                tag => tag,
            };
        }
    }

    /// Milliseconds since 1970, UTC.
    pub fn date_ms(&mut self, value: i64) {
        self.out.push(if self.is_early() { b'd' } else { 0x4a });
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    /// A string.
    pub fn text(&mut self, text: &str) {
        if !self.is_early() {
            write::write_string(text, self.out);
            return;
        }
        let mut units = text.encode_utf16().count();
        let mut halves = text.encode_utf16();
        while units > CHUNK_CHARACTERS {
            self.early_length(b's', CHUNK_CHARACTERS);
            write::put_units(halves.by_ref().take(CHUNK_CHARACTERS), self.out);
            units -= CHUNK_CHARACTERS;
        }
        match units {
            0..=31 => self.out.push(units as u8),
            _ => self.early_length(b'S', units),
        }
        write::put_units(halves, self.out);
    }

    /// Bytes.
    pub fn bytes(&mut self, mut bytes: &[u8]) {
        if !self.is_early() {
            write::write_bytes(bytes, self.out);
            return;
        }
        while let Some((chunk, rest)) =
            bytes.split_at_checked(CHUNK_BYTES).filter(|(_, rest)| !rest.is_empty())
        {
            self.early_length(b'b', chunk.len());
            self.out.extend_from_slice(chunk);
            bytes = rest;
        }
        match bytes.len() {
            length @ 0..=15 => self.out.push(0x20 + length as u8),
            length => self.early_length(b'B', length),
        }
        self.out.extend_from_slice(bytes);
    }

    fn early_length(&mut self, tag: u8, length: usize) {
        self.out.push(tag);
        self.out.extend_from_slice(&(length as u16).to_be_bytes());
    }

    /// Begins a list of so many values, which names its class or none.
    pub fn begin_list(&mut self, class: Option<&str>, count: usize) {
        if !self.is_early() {
            write::begin_list(class, count, self.out);
            return;
        }
        self.out.push(b'V');
        self.early_type(class);
        match u8::try_from(count) {
            Ok(count) => self.out.extend_from_slice(&[b'n', count]),
            Err(_) => {
                self.out.push(b'l');
                self.out.extend_from_slice(&(count as u32).to_be_bytes());
            }
        }
    }

    /// Ends a list.
    pub fn end_list(&mut self) {
        if self.is_early() {
            self.out.push(b'z');
        }
    }

    /// Begins a map, which names its class or none.
    pub fn begin_map(&mut self, class: Option<&str>) {
        match (self.dialect, class) {
            (Dialect::Early, class) => {
                self.out.push(b'M');
                self.early_type(class);
            }
            (Dialect::Final, None) => write::begin_map(self.out),
            (Dialect::Final, Some(class)) => {
                self.out.push(b'M');
                write::write_string(class, self.out);
            }
        }
    }

    /// Ends a map.
    pub fn end_map(&mut self) {
        self.out.push(if self.is_early() { b'z' } else { b'Z' });
    }

    fn early_type(&mut self, class: Option<&str>) {
        if let Some(class) = class {
            self.early_length(b't', class.len());
            self.out.extend_from_slice(class.as_bytes());
        }
    }

    /// Begins an object: as many values follow as there are fields. Nothing ends it.
    pub fn begin_object<'f>(&mut self, class: &str, fields: impl Iterator<Item = &'f str> + Clone) {
        let is_same = |(known, names): &(String, Vec<String>)| {
            known == class && names.iter().map(String::as_str).eq(fields.clone())
        };
        let known = self.classes.iter().position(is_same);
        let number = known.unwrap_or_else(|| {
            self.define(class, fields.clone());
            self.classes.len() - 1
        });
        self.out.push(if self.is_early() { b'o' } else { b'O' });
        self.int(number as i32);
    }

    fn define<'f>(&mut self, class: &str, fields: impl Iterator<Item = &'f str>) {
        let fields: Vec<String> = fields.map(str::to_owned).collect();
        if self.is_early() {
            self.out.push(b'O');
            self.int(class.encode_utf16().count() as i32);
            write::put_units(class.encode_utf16(), self.out);
        } else {
            self.out.push(b'C');
            self.text(class);
        }
        self.int(fields.len() as i32);
        for field in &fields {
            self.text(field);
        }
        self.classes.push((class.to_owned(), fields));
    }
}
