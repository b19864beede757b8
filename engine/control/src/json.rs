//! Writes JSON, indented like Envoy's admin. It only writes what it is told, in that order.

use crate::access_log::escape_json;
use std::io::Write;

/// A JSON value being written.
#[derive(Debug, Default)]
pub struct Json {
    out: Vec<u8>,
    depth: usize,
    /// Whether the object or list being written has something in it.
    begun: bool,
    /// Whether a key waits for its value.
    keyed: bool,
}

impl Json {
    /// An object as a whole document.
    pub fn document(write: impl FnOnce(&mut Json)) -> String {
        let mut json = Json { keyed: true, ..Json::default() };
        json.object(write);
        json.out.push(b'\n');
        String::from_utf8(json.out).unwrap_or_default()
    }

    /// The key of the value that is written next.
    pub fn key(&mut self, key: &str) -> &mut Json {
        self.element();
        escape_json(key.as_bytes(), &mut self.out);
        self.out.extend_from_slice(b": ");
        self.keyed = true;
        self
    }

    pub fn object(&mut self, write: impl FnOnce(&mut Json)) {
        self.nested(b'{', b'}', write);
    }

    pub fn list<T>(&mut self, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Json, T)) {
        self.nested(b'[', b']', |json| items.into_iter().for_each(|item| write(json, item)));
    }

    pub fn text(&mut self, text: &str) {
        self.element();
        escape_json(text.as_bytes(), &mut self.out);
    }

    pub fn number(&mut self, number: u64) {
        self.element();
        // Writing to a Vec cannot fail.
        let _ = write!(self.out, "{number}");
    }

    /// A number that is written already.
    pub fn decimal(&mut self, digits: &str) {
        self.element();
        self.out.extend_from_slice(digits.as_bytes());
    }

    pub fn boolean(&mut self, value: bool) {
        self.element();
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    pub fn null(&mut self) {
        self.element();
        self.out.extend_from_slice(b"null");
    }

    fn nested(&mut self, open: u8, close: u8, write: impl FnOnce(&mut Json)) {
        self.element();
        self.out.push(open);
        self.depth += 1;
        self.begun = false;
        write(self);
        self.depth -= 1;
        if self.begun {
            self.line();
        }
        self.out.push(close);
        self.begun = true;
    }

    /// What comes before a key, or before a value without one.
    fn element(&mut self) {
        if std::mem::take(&mut self.keyed) {
            return;
        }
        if self.begun {
            self.out.push(b',');
        }
        self.line();
        self.begun = true;
    }

    fn line(&mut self) {
        self.out.push(b'\n');
        self.out.resize(self.out.len() + self.depth, b' ');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_json() {
        let text = Json::document(|json| {
            json.key("a").text("x\"y");
            json.key("b").list([1, 2], Json::number);
            json.key("c").list([true, false], |json, value| json.object(|json| json.key("d").boolean(value)));
            json.key("e").object(|_| {});
            json.key("f").null();
        });
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!({
            "a": "x\"y", "b": [1, 2], "c": [{ "d": true }, { "d": false }], "e": {}, "f": null
        });
        assert_eq!(read, expected);
        assert!(text.starts_with("{\n \"a\": "), "{text}");
    }
}
