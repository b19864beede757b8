//! Hessian2 values as JSON. What it becomes is bounded: values may be referred to again and again, and by themselves.

use super::big_integer::{MAX_DIGITS, digits_of};
use super::date;
use crate::hessian2::{Class, Document, Node, Value};
use crate::json::{is_number, write_base64, write_double, write_text};

/// Values nested deeper, through references too, are not written.
const MAX_DEPTH: usize = 128;

/// Why a value is not written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unwritten {
    /// It would be longer than it may be.
    TooLong,
    /// It is nested too deeply.
    TooDeep,
}

/// Writes values of a document.
pub(super) struct Writer<'d, 'o> {
    pub(super) document: &'d Document,
    pub(super) out: &'o mut Vec<u8>,
    /// What `out` may come to.
    pub(super) max_bytes: usize,
    /// The lists, maps and objects that the value at hand is within, and where each of them stands.
    within: Vec<(u32, String)>,
}

impl<'d, 'o> Writer<'d, 'o> {
    pub(super) fn new(document: &'d Document, max_bytes: usize, out: &'o mut Vec<u8>) -> Self {
        Writer { document, out, max_bytes, within: vec![] }
    }

    /// Writes a value. One that is within itself is written as fastjson does: `{"$ref": "$.a[0]"}`.
    pub(super) fn value(&mut self, value: &Value) -> Result<(), Unwritten> {
        match value {
            Value::Null => self.out.extend_from_slice(b"null"),
            Value::Bool(true) => self.out.extend_from_slice(b"true"),
            Value::Bool(false) => self.out.extend_from_slice(b"false"),
            Value::Int(int) => self.plain(*int),
            Value::Long(long) => self.plain(*long),
            Value::Double(double) => write_double(*double, self.out),
            Value::DateMs(ms) => write_text(&date::text_of(*ms), self.out),
            Value::Text(text) => write_text(text, self.out),
            Value::Bytes(bytes) => write_base64(bytes, self.out),
            Value::Node(index) => self.node(*index)?,
        }
        if self.out.len() > self.max_bytes { Err(Unwritten::TooLong) } else { Ok(()) }
    }

    fn plain(&mut self, number: impl std::fmt::Display) {
        self.out.extend_from_slice(number.to_string().as_bytes());
    }

    fn node(&mut self, index: u32) -> Result<(), Unwritten> {
        if let Some(at) = self.within.iter().position(|(outer, _)| *outer == index) {
            // Its own place is not in its path.
            let path: String = self.within[..at].iter().map(|(_, part)| part.as_str()).collect();
            self.out.extend_from_slice(b"{\"$ref\":");
            write_text(&format!("${path}"), self.out);
            self.out.push(b'}');
            return Ok(());
        }
        if self.within.len() >= MAX_DEPTH {
            return Err(Unwritten::TooDeep);
        }
        let document = self.document;
        let Some(node) = document.node(index) else { return Ok(()) };
        self.within.push((index, String::new()));
        match node {
            Node::List(_, items) => self.list(items)?,
            Node::Map(_, entries) => self.map(entries)?,
            Node::Object(class, values) => self.object(class, values)?,
        }
        self.within.pop();
        Ok(())
    }

    /// What is written next stands in this part of the value at hand.
    fn go_to(&mut self, part: String) {
        if let Some((_, place)) = self.within.last_mut() {
            *place = part;
        }
    }

    fn list(&mut self, items: &[Value]) -> Result<(), Unwritten> {
        self.out.push(b'[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            if matches!(item, Value::Node(_)) {
                self.go_to(format!("[{index}]"));
            }
            self.value(item)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn map(&mut self, entries: &[(Value, Value)]) -> Result<(), Unwritten> {
        self.out.push(b'{');
        for (index, (key, value)) in entries.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            let name = self.name_of(key)?;
            self.member(&name, value)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// A key as a name: what is no text is the text of its JSON.
    fn name_of(&mut self, key: &Value) -> Result<String, Unwritten> {
        let enum_name = match key {
            Value::Text(text) => return Ok(text.clone()),
            Value::Node(index) => match self.document.node(*index) {
                Some(Node::Object(class, values)) if class.fields == ["name"] => values.first(),
                _ => None,
            },
            _ => None,
        };
        if let Some(Value::Text(name)) = enum_name {
            return Ok(name.clone());
        }
        let begin = self.out.len();
        self.value(key)?;
        let text = String::from_utf8_lossy(&self.out[begin..]).into_owned();
        self.out.truncate(begin);
        Ok(text.trim_matches('"').to_owned())
    }

    fn member(&mut self, name: &str, value: &Value) -> Result<(), Unwritten> {
        write_text(name, self.out);
        self.out.push(b':');
        if matches!(value, Value::Node(_)) {
            self.go_to(format!(".{name}"));
        }
        self.value(value)
    }

    fn object(&mut self, class: &Class, values: &[Value]) -> Result<(), Unwritten> {
        if let Some(number) = self.number_of(class, values) {
            match is_number(&number) {
                true => self.out.extend_from_slice(number.as_bytes()),
                false => write_text(&number, self.out),
            }
            return Ok(());
        }
        if let ("java.sql.Date" | "java.sql.Time" | "java.sql.Timestamp", [value @ Value::DateMs(_)]) =
            (class.name.as_str(), values)
        {
            return self.value(value);
        }
        self.out.push(b'{');
        for (index, (name, value)) in class.fields.iter().zip(values).enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.member(name, value)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// The number that an object of java.math is.
    fn number_of(&self, class: &Class, values: &[Value]) -> Option<String> {
        match (class.name.as_str(), values) {
            ("java.math.BigDecimal" | "java.math.BigInteger", [Value::Text(digits)]) => Some(digits.clone()),
            ("java.math.BigInteger", _) => {
                let field = |name: &str| {
                    let at = class.fields.iter().position(|field| field == name)?;
                    values.get(at)
                };
                let (Some(Value::Int(sign)), Some(Value::Node(words))) = (field("signum"), field("mag"))
                else {
                    return None;
                };
                let Some(Node::List(_, words)) = self.document.node(*words) else { return None };
                let words: Option<Vec<u32>> = words
                    .iter()
                    .map(|word| if let Value::Int(word) = word { Some(word.cast_unsigned()) } else { None })
                    .collect();
                let words = words.filter(|words| words.len() <= MAX_DIGITS / 9)?;
                Some(format!("{}{}", if *sign < 0 { "-" } else { "" }, digits_of(&words)))
            }
            _ => None,
        }
    }
}
