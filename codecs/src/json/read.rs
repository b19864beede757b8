//! Reads a whole JSON text into values that borrow it.

use std::borrow::Cow;
use std::fmt;

/// Values nested deeper are refused.
pub const MAX_DEPTH: usize = 64;
/// A text with more values is refused.
pub const MAX_VALUES: usize = 64 * 1024;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as it was written.
    Number(&'a str),
    /// A string without its escapes.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<Json<'a>>),
    /// An object: its members in their order, no name twice.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl Json<'_> {
    /// What it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "a boolean",
            Json::Number(_) => "a number",
            Json::Text(_) => "a string",
            Json::List(_) => "an array",
            Json::Object(_) => "an object",
        }
    }
}

/// Why a text is no JSON, or none that is read here, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JsonError {
    /// What is wrong.
    pub reason: &'static str,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

impl fmt::Display for JsonError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at line {}, column {}", self.reason, self.line, self.column)
    }
}

/// Reads a text that is one value, with nothing but whitespace around it.
///
/// # Errors
/// The first thing that is wrong.
pub fn read(bytes: &[u8]) -> Result<Json<'_>, JsonError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| place("not UTF-8", bytes.get(..error.valid_up_to()).unwrap_or_default()))?;
    let mut reader = Reader { text, at: 0, values: 0 };
    reader.skip_space();
    let value = reader.value(0).and_then(|value| {
        reader.skip_space();
        if reader.at < text.len() { Err("something behind the value") } else { Ok(value) }
    });
    value.map_err(|reason| place(reason, text.as_bytes().get(..reader.at).unwrap_or_default()))
}

/// The place behind `before`, which is valid UTF-8.
fn place(reason: &'static str, before: &[u8]) -> JsonError {
    let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
    let is_first_of_character = |byte: &&u8| **byte & 0xc0 != 0x80;
    let line = memchr::memchr_iter(b'\n', before).count() as u32 + 1;
    let column = before[line_start..].iter().filter(is_first_of_character).count() as u32 + 1;
    JsonError { reason, line, column }
}

/// A cursor. Where an error comes up, it stands.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    values: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn takes(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn value(&mut self, depth: usize) -> Result<Json<'a>, &'static str> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err("more values than are read");
        }
        match self.peek() {
            None => Err("the end where a value belongs"),
            Some(b'{' | b'[') if depth >= MAX_DEPTH => Err("values nested deeper than is read"),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.string().map(Json::Text),
            Some(b'-' | b'0'..=b'9') => self.number().map(Json::Number),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) => Err("something else where a value belongs"),
        }
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Result<Json<'a>, &'static str> {
        if !self.text[self.at..].starts_with(word) {
            return Err("something else where a value belongs");
        }
        self.at += word.len();
        Ok(value)
    }

    fn list(&mut self, depth: usize) -> Result<Json<'a>, &'static str> {
        self.at += 1;
        let mut items = vec![];
        self.skip_space();
        if self.takes(b']') {
            return Ok(Json::List(items));
        }
        loop {
            self.skip_space();
            items.push(self.value(depth + 1)?);
            self.skip_space();
            if self.takes(b']') {
                return Ok(Json::List(items));
            }
            if !self.takes(b',') {
                return Err("neither `,` nor `]` behind a value of an array");
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json<'a>, &'static str> {
        let begin = self.at;
        self.at += 1;
        let mut members: Vec<(Cow<'a, str>, Json<'a>)> = vec![];
        self.skip_space();
        if self.takes(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err("no name where a member of an object belongs");
            }
            let name = self.string()?;
            self.skip_space();
            if !self.takes(b':') {
                return Err("no `:` behind a name");
            }
            self.skip_space();
            members.push((name, self.value(depth + 1)?));
            self.skip_space();
            if self.takes(b'}') {
                break;
            }
            if !self.takes(b',') {
                return Err("neither `,` nor `}` behind a member of an object");
            }
        }
        let mut names: Vec<&str> = members.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            self.at = begin;
            return Err("an object with two members of one name");
        }
        Ok(Json::Object(members))
    }

    fn number(&mut self) -> Result<&'a str, &'static str> {
        let begin = self.at;
        self.takes(b'-');
        if !self.takes(b'0') {
            self.digits()?;
        }
        if self.takes(b'.') {
            self.digits()?;
        }
        if self.takes(b'e') || self.takes(b'E') {
            let _is_signed = self.takes(b'+') || self.takes(b'-');
            self.digits()?;
        }
        Ok(&self.text[begin..self.at])
    }

    fn digits(&mut self) -> Result<(), &'static str> {
        let begin = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == begin { Err("no digit where a number has one") } else { Ok(()) }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, &'static str> {
        self.at += 1;
        let mut unescaped = String::new();
        let mut begin = self.at;
        loop {
            match self.peek() {
                None => return Err("the end within a string"),
                Some(b'"') => {
                    let rest = &self.text[begin..self.at];
                    self.at += 1;
                    if unescaped.is_empty() {
                        return Ok(Cow::Borrowed(rest));
                    }
                    unescaped.push_str(rest);
                    return Ok(Cow::Owned(unescaped));
                }
                Some(b'\\') => {
                    unescaped.push_str(&self.text[begin..self.at]);
                    unescaped.push(self.escape()?);
                    begin = self.at;
                }
                Some(0..=0x1f) => return Err("a control character within a string"),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<char, &'static str> {
        const UNKNOWN: &str = "an unknown escape";
        self.at += 1;
        let escaped = match self.peek().ok_or(UNKNOWN)? {
            byte @ (b'"' | b'\\' | b'/') => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(UNKNOWN),
        };
        self.at += 1;
        Ok(escaped)
    }

    /// What follows `\u`; characters beyond the basic plane are two such escapes.
    fn unicode(&mut self) -> Result<char, &'static str> {
        const HALF: &str = "half of a surrogate pair";
        let first = self.hexadecimal()?;
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first).ok_or(HALF);
        }
        if !self.text[self.at..].starts_with("\\u") {
            return Err(HALF);
        }
        self.at += 1;
        let second = self.hexadecimal()?;
        if first >= 0xdc00 || !(0xdc00..0xe000).contains(&second) {
            return Err(HALF);
        }
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(HALF)
    }

    /// The cursor stands on the `u`.
    fn hexadecimal(&mut self) -> Result<u32, &'static str> {
        const NO_DIGITS: &str = "not four hexadecimal digits behind `\\u`";
        let digits = self.text.as_bytes().get(self.at + 1..self.at + 5).ok_or(NO_DIGITS)?;
        let number = digits.iter().try_fold(0, |number, digit| {
            char::from(*digit).to_digit(16).map(|digit| number << 4 | digit).ok_or(NO_DIGITS)
        })?;
        self.at += 5;
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        read(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn reads_values_as_they_were_written() {
        let text = " { \"a\" : [ 1 , -0.50e+3 , true, false, null, \"\" ] , \"b\\n\" : {} } ";
        let list = ["1", "-0.50e+3"].map(Json::Number).into_iter();
        let list = list.chain([Json::Bool(true), Json::Bool(false), Json::Null, Json::Text("".into())]);
        let expected = Json::Object(vec![
            ("a".into(), Json::List(list.collect())),
            ("b\n".into(), Json::Object(vec![])),
        ]);
        assert_eq!(read(text.as_bytes()), Ok(expected));
        assert_eq!(
            read(br#""\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00""#),
            Ok(Json::Text("\"\\/\u{8}\u{c}\n\r\tä😀".into()))
        );
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        for (text, expected) in [
            ("", "the end where a value belongs at line 1, column 1"),
            ("[1,\n ä]", "something else where a value belongs at line 2, column 2"),
            ("[1 2]", "neither `,` nor `]` behind a value of an array at line 1, column 4"),
            ("{\"ä\" 1}", "no `:` behind a name at line 1, column 6"),
            ("{1:1}", "no name where a member of an object belongs at line 1, column 2"),
            ("[{\"a\":1,\"a\":2}]", "an object with two members of one name at line 1, column 2"),
            ("01", "something behind the value at line 1, column 2"),
            ("1.", "no digit where a number has one at line 1, column 3"),
            ("-", "no digit where a number has one at line 1, column 2"),
            ("\"a\nb\"", "a control character within a string at line 1, column 3"),
            (r#""\ud83d""#, "half of a surrogate pair at line 1, column 8"),
            (r#""\x""#, "an unknown escape at line 1, column 3"),
            ("\"abc", "the end within a string at line 1, column 5"),
            ("nul", "something else where a value belongs at line 1, column 1"),
        ] {
            assert_eq!(error(text), expected, "{text}");
        }
        assert_eq!(read(b"[\"a\xff\"]").unwrap_err().to_string(), "not UTF-8 at line 1, column 4");
    }

    #[test]
    fn bounds_of_depth_and_number() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(read(nested(MAX_DEPTH - 1).as_bytes()).is_ok());
        assert!(read(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(error(&nested(MAX_DEPTH + 1)).starts_with("values nested deeper"));
        let many = |values: usize| format!("[{}1]", "1,".repeat(values - 2));
        assert!(read(many(MAX_VALUES - 1).as_bytes()).is_ok());
        assert!(read(many(MAX_VALUES).as_bytes()).is_ok());
        assert!(error(&many(MAX_VALUES + 1)).starts_with("more values"));
    }
}
