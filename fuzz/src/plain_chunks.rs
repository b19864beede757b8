//! A plain reading of chunked coding (RFC 9112 section 7.1), too simple to be wrong: it has all bytes at hand, reads them
//! from the front and keeps no state. It shares no code with the codec.

/// At most this many digits in a size.
const DIGITS: usize = 16;
/// At most this many bytes of extension in a line, its semicolon included.
const LINE_EXTENSION: usize = 256;
/// At most this many bytes of extension in a message.
const TOTAL_EXTENSION: usize = 4096;

/// A field line of trailers: name and value.
pub type Line = (Vec<u8>, Vec<u8>);

/// How the reading ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The body is whole, with these trailers, and took this many bytes.
    Whole { trailers: Vec<Line>, length: usize },
    /// The bytes end within the chunks.
    Cut,
    /// The bytes end within the trailers, of which the whole lines are right.
    CutInTrailers,
    /// The bytes break the coding.
    Wrong,
    /// A line of the trailers is none; a receiver may wait for the section's end to say so.
    WrongInTrailers,
}

/// A body: the payload in front of wherever the reading ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chunks {
    pub payload: Vec<u8>,
    pub outcome: Outcome,
}

/// What one line, or one piece, came to.
enum Read<T> {
    Whole(T),
    Cut,
    Wrong,
}

/// Reads a chunked body with at most `fields` trailers, which take at most `bytes` bytes with their empty line.
pub fn read(body: &[u8], fields: usize, bytes: usize) -> Chunks {
    let mut payload = Vec::new();
    let mut at = 0;
    let mut extensions = 0;
    let outcome = loop {
        let (size, extension, line) = match size_line(&body[at..], TOTAL_EXTENSION - extensions) {
            Read::Whole(read) => read,
            Read::Cut => break Outcome::Cut,
            Read::Wrong => break Outcome::Wrong,
        };
        at += line;
        extensions += extension;
        if size == 0 {
            break trailers(&body[at..], fields, bytes, at);
        }
        let available = size.min((body.len() - at) as u64) as usize;
        payload.extend_from_slice(&body[at..at + available]);
        at += available;
        if (available as u64) < size {
            break Outcome::Cut;
        }
        match &body[at..] {
            [b'\r', b'\n', ..] => at += 2,
            [] | [b'\r'] => break Outcome::Cut,
            _ => break Outcome::Wrong,
        }
    };
    Chunks { payload, outcome }
}

/// The size, the bytes of extension, and the bytes of the whole line.
fn size_line(bytes: &[u8], extensions_left: usize) -> Read<(u64, usize, usize)> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if digits > DIGITS {
        return Read::Wrong;
    }
    let behind = &bytes[digits..];
    let has_extension = behind.first() == Some(&b';');
    let is_text = |byte: u8| byte == b'\t' || byte >= b' ' && byte != 0x7f;
    let extension = if has_extension { behind.iter().take_while(|byte| is_text(**byte)).count() } else { 0 };
    if digits == 0 && !behind.is_empty() || extension > LINE_EXTENSION.min(extensions_left) {
        return Read::Wrong;
    }
    match &behind[extension..] {
        [b'\r', b'\n', ..] => {
            let text = std::str::from_utf8(&bytes[..digits]).expect("hexadecimal digits are text");
            let size = u64::from_str_radix(text, 16).expect("at most 16 digits fit");
            Read::Whole((size, extension, digits + extension + 2))
        }
        [] | [b'\r'] => Read::Cut,
        _ => Read::Wrong,
    }
}

/// Reads the trailer section that begins at `start` of the body.
fn trailers(section: &[u8], fields: usize, bound: usize, start: usize) -> Outcome {
    let mut lines = Vec::new();
    let mut at = 0;
    loop {
        let rest = &section[at..];
        if rest.starts_with(b"\r\n") {
            let length = at + 2;
            // An empty section is no section, and is not measured.
            let fits = lines.is_empty() || length <= bound;
            return if fits {
                Outcome::Whole { trailers: lines, length: start + length }
            } else {
                Outcome::Wrong
            };
        }
        match field_line(rest) {
            Read::Whole((line, length)) => {
                lines.push(line);
                at += length;
            }
            Read::Cut if section.len() >= bound => return Outcome::Wrong,
            Read::Cut => return Outcome::CutInTrailers,
            Read::Wrong if section.len() >= bound => return Outcome::Wrong,
            Read::Wrong => return Outcome::WrongInTrailers,
        }
        if lines.len() > fields {
            return Outcome::Wrong;
        }
    }
}

/// A field line and its length with the CRLF.
fn field_line(bytes: &[u8]) -> Read<(Line, usize)> {
    let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else { return Read::Cut };
    match split_field(&bytes[..end]) {
        Some(line) => Read::Whole((line, end + 2)),
        None => Read::Wrong,
    }
}

/// Name and value of a field line without its CRLF, if it is one.
pub fn split_field(line: &[u8]) -> Option<Line> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let is_value = value.iter().all(|&byte| byte == b'\t' || byte >= b' ' && byte != 0x7f);
    (is_token(name) && is_value).then(|| (name.to_vec(), value.trim_ascii().to_vec()))
}

/// Whether this is a token (RFC 9110 section 5.6.2).
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|&byte| byte > b' ' && byte < 0x7f && !b"\"(),/:;<=>?@[\\]{}".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::{Outcome, is_token, read, split_field};

    #[test]
    fn what_is_whole_cut_and_wrong() {
        let outcome = |body: &[u8]| read(body, 2, 20).outcome;
        let whole = |length| Outcome::Whole { trailers: vec![], length };
        assert_eq!(outcome(b"0\r\n\r\nrest"), whole(5));
        assert_eq!(outcome(b"2;x\r\nab\r\n00\r\n\r\n"), whole(15));
        let trailers = vec![(b"a".to_vec(), b"b".to_vec())];
        assert_eq!(outcome(b"0\r\na: b \r\n\r\n"), Outcome::Whole { trailers, length: 12 });
        for cut in ["", "0", "0\r", "2\r\na", "2\r\nab", "2\r\nab\r"] {
            assert_eq!(outcome(cut.as_bytes()), Outcome::Cut, "{cut:?}");
        }
        for cut in ["0\r\n", "0\r\n\r", "0\r\na", "0\r\na: b\r\n"] {
            assert_eq!(outcome(cut.as_bytes()), Outcome::CutInTrailers, "{cut:?}");
        }
        for wrong in ["0\r\na\r\n", "0\r\n a: b\r\n", "0\r\na: b\nc: d\r\n"] {
            assert_eq!(outcome(wrong.as_bytes()), Outcome::WrongInTrailers, "{wrong:?}");
        }
        for wrong in ["x", "0\n", ";", "1 \r\n", "2\r\nabc", "00000000000000000", "0;\x01"] {
            assert_eq!(outcome(wrong.as_bytes()), Outcome::Wrong, "{wrong:?}");
        }
        for (trailers, is_wrong) in [("a: 1\r\nb: 2\r\n\r\n", false), ("a:\r\nb:\r\nc:\r\n\r\n", true)] {
            assert_eq!(outcome(format!("0\r\n{trailers}").as_bytes()) == Outcome::Wrong, is_wrong);
        }
    }

    #[test]
    fn fields_and_tokens() {
        assert_eq!(split_field(b"a:\tb c "), Some((b"a".to_vec(), b"b c".to_vec())));
        for wrong in ["", "a", ": b", "a : b", "a: b\0", "a: b\r"] {
            assert_eq!(split_field(wrong.as_bytes()), None, "{wrong:?}");
        }
        assert!(
            is_token(b"!#$%&'*+-.^_`|~aZ09") && !is_token(b"") && !is_token(b"a b") && !is_token(b"\xe4")
        );
    }
}
