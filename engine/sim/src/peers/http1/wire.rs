//! Heads and bodies as the models read them: plainly, and strictly enough that nothing dubious passes.

use crate::bytes::{Purpose, pattern};

/// A head with the bytes it takes up: its first line, and its fields with names in lower case.
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) start: String,
    pub(super) fields: Vec<(String, String)>,
}

/// The head at the front of these bytes, if it is there whole.
#[track_caller]
pub(super) fn head(bytes: &[u8]) -> Option<Head> {
    let length = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..length]).expect("a head that is no text");
    let mut lines = text[..length - 4].split("\r\n");
    let start = lines.next().unwrap_or_default().to_owned();
    let fields = lines.map(|line| {
        assert!(!line.contains(['\r', '\n', '\0']), "a bare line end in a head: {line:?}");
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no field: {line:?}"));
        (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned())
    });
    Some(Head { length, start, fields: fields.collect() })
}

impl Head {
    /// The value of a field that may stand there once.
    #[track_caller]
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(known, _)| known == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} stands twice in the head {:?}", self.start);
        value
    }

    /// All values under a name.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    /// How its body is framed, apart from what the method or status say.
    #[track_caller]
    pub(super) fn coding(&self) -> Option<Coding> {
        match (self.field("content-length"), self.field("transfer-encoding")) {
            (Some(length), None) => Some(Coding::Sized(length.parse().expect("a content-length"))),
            (None, Some(coding)) => {
                assert_eq!(coding, "chunked", "a transfer coding");
                Some(Coding::Chunked(Chunk::Size))
            }
            (None, None) => None,
            both => panic!("two framings in one head: {both:?}"),
        }
    }

    pub(super) fn says_close(&self) -> bool {
        self.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// The field that made the head long is there as it was written.
    #[track_caller]
    pub(super) fn check_pad(&self, tag: u32, length: usize) {
        let found = self.field("x-pad").unwrap_or_default().as_bytes();
        assert_eq!(found, pattern(tag, Purpose::Request, 0, length), "a long field of request {tag}");
    }

    pub(super) fn tag(&self) -> Option<u32> {
        self.field("x-tag").map(|tag| tag.parse().expect("a tag"))
    }
}

/// A field as long as a head may be told to be.
pub(super) fn pad(tag: u32, length: usize) -> String {
    let text: String =
        pattern(tag, Purpose::Request, 0, length).iter().map(|byte| char::from(*byte)).collect();
    if length == 0 { text } else { format!("X-Pad: {text}\r\n") }
}

/// Where a chunked body stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Chunk {
    Size,
    Data(usize),
    DataEnd,
    Trailers,
    Done,
}

/// How a body's end is known, and what of it is to come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Coding {
    Sized(usize),
    Chunked(Chunk),
    UntilClose,
}

/// A body being read, each byte compared with what it should be.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) coding: Coding,
    pub(super) received: usize,
    pub(super) trailers: Vec<String>,
    /// Whose bytes they are, and how many at most; `None` if anything may come.
    source: Option<(u32, Purpose, usize)>,
}

impl Body {
    pub(super) fn new(coding: Coding, source: Option<(u32, Purpose, usize)>) -> Self {
        Body { coding, received: 0, trailers: vec![], source }
    }

    /// Whether nothing more belongs to it. An end of the connection may still be needed to know that.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.coding, Coding::Sized(0) | Coding::Chunked(Chunk::Done))
    }

    /// Takes what it can; tells how many bytes that were.
    #[track_caller]
    pub(super) fn feed(&mut self, bytes: &[u8]) -> usize {
        match self.coding {
            Coding::Sized(left) => {
                let length = bytes.len().min(left);
                self.accept(&bytes[..length]);
                self.coding = Coding::Sized(left - length);
                length
            }
            Coding::UntilClose => {
                self.accept(bytes);
                bytes.len()
            }
            Coding::Chunked(_) => self.feed_chunks(bytes),
        }
    }

    #[track_caller]
    fn feed_chunks(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Coding::Chunked(state) = self.coding {
            let rest = &bytes[at..];
            let next = match state {
                Chunk::Done => break,
                Chunk::Data(left) => {
                    let length = rest.len().min(left);
                    if length == 0 {
                        break;
                    }
                    self.accept(&rest[..length]);
                    at += length;
                    if length == left { Chunk::DataEnd } else { Chunk::Data(left - length) }
                }
                Chunk::DataEnd => {
                    let Some(end) = rest.get(..2) else { break };
                    assert_eq!(end, b"\r\n", "a chunk that does not end where it should");
                    at += 2;
                    Chunk::Size
                }
                Chunk::Size | Chunk::Trailers => {
                    let Some(line) = line(rest) else { break };
                    at += line.len() + 2;
                    self.read_line(state, line)
                }
            };
            self.coding = Coding::Chunked(next);
        }
        at
    }

    #[track_caller]
    fn read_line(&mut self, state: Chunk, line: &[u8]) -> Chunk {
        let text = std::str::from_utf8(line).expect("a line that is no text");
        if state == Chunk::Trailers {
            if text.is_empty() {
                return Chunk::Done;
            }
            self.trailers.push(text.to_ascii_lowercase());
            return Chunk::Trailers;
        }
        match usize::from_str_radix(text, 16) {
            Ok(0) => Chunk::Trailers,
            Ok(size) => Chunk::Data(size),
            Err(_) => panic!("a malformed chunk size: {text:?}"),
        }
    }

    #[track_caller]
    fn accept(&mut self, bytes: &[u8]) {
        if let Some((tag, purpose, length)) = self.source {
            let end = self.received + bytes.len();
            assert!(
                end <= length,
                "more bytes than were sent in the {purpose:?} of {tag}: {end} of {length}"
            );
            let expected = pattern(tag, purpose, self.received, bytes.len());
            assert!(bytes == expected, "wrong bytes in the {purpose:?} of {tag} at {}", self.received);
        }
        self.received += bytes.len();
    }
}

/// The bytes in front of the first CRLF.
fn line(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.windows(2).position(|two| two == b"\r\n");
    assert!(end.is_some() || bytes.len() < 1000, "a chunk's line without an end");
    end.map(|end| &bytes[..end])
}

/// How a body is cut into chunks: the most in one, and the bytes of each one's extension.
#[derive(Clone, Copy)]
pub(super) struct Chunks {
    pub(super) most: usize,
    pub(super) extension: usize,
}

/// All extensions of a body together have fewer bytes than a careful reader allows.
const EXTENSIONS_MAX: usize = 3500;

/// A body in chunks, with its last chunk and these trailers.
pub(super) fn chunked(body: &[u8], chunks: Chunks, trailers: &str, out: &mut Vec<u8>) {
    let mut left = EXTENSIONS_MAX;
    for piece in body.chunks(chunks.most.max(1)) {
        out.extend(format!("{:x}", piece.len()).as_bytes());
        if chunks.extension > 0 && left > chunks.extension + 1 {
            left -= chunks.extension + 1;
            out.push(b';');
            out.extend(std::iter::repeat_n(b'e', chunks.extension));
        }
        out.extend(b"\r\n");
        out.extend(piece);
        out.extend(b"\r\n");
    }
    out.extend(b"0\r\n");
    out.extend(trailers.as_bytes());
    out.extend(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunked_body_is_read_in_any_pieces() {
        let mut bytes = vec![];
        chunked(
            pattern(3, Purpose::Answer, 0, 500),
            Chunks { most: 70, extension: 0 },
            "x-tag: 3\r\n",
            &mut bytes,
        );
        bytes.extend(b"behind");
        for step in [1, 2, 7, 1000] {
            let mut body = Body::new(Coding::Chunked(Chunk::Size), Some((3, Purpose::Answer, 500)));
            let (mut start, mut end) = (0, 0);
            while !body.is_whole() {
                end = (end + step).min(bytes.len());
                start += body.feed(&bytes[start..end]);
            }
            assert_eq!((body.received, &bytes[start..]), (500, &b"behind"[..]));
            assert_eq!(body.trailers, ["x-tag: 3"]);
        }
    }

    #[test]
    #[should_panic(expected = "wrong bytes in the Answer of 3 at 2")]
    fn other_bytes_are_noticed() {
        let mut body = Body::new(Coding::Sized(10), Some((3, Purpose::Answer, 10)));
        body.feed(pattern(3, Purpose::Answer, 0, 2));
        body.feed(b"\0");
    }
}
