//! The answers of the HTTP origin, composed once and then sent as they are.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::http::request::{Request, Wanted};

/// Bytes of the pattern that every body repeats. A power of two, so that any offset in a body is cheap to check.
const PATTERN_BYTES: usize = 1 << 20;
/// Answers up to this size are kept whole, head and body in one piece, so that they leave in one send.
const WHOLE_ANSWER_BYTES: u64 = 1 << 20;
/// So many different sizes are kept at most; a client that asks for more gets answers composed on the spot.
const KEPT_ANSWERS: usize = 64;

/// The byte at `offset` of every body the origin sends.
pub(crate) fn body_byte(offset: u64) -> u8 {
    b'a' + ((offset % PATTERN_BYTES as u64) % 23) as u8
}

/// What goes out for one request.
pub(crate) enum Outgoing {
    /// A kept answer.
    Kept(&'static [u8]),
    /// A head and so many bytes of the pattern.
    Composed { head: Vec<u8>, pattern_bytes: u64 },
}

/// The answers kept so far, and the pattern of all bodies.
pub(crate) struct Answers {
    pattern: &'static [u8],
    kept: RefCell<HashMap<u64, &'static [u8]>>,
}

impl Answers {
    /// The pattern and the kept answers are leaked on purpose: sends borrow them for the life of the process, and
    /// their number is bounded.
    pub(crate) fn new() -> Self {
        let pattern: Vec<u8> = (0..PATTERN_BYTES as u64).map(body_byte).collect();
        Self { pattern: pattern.leak(), kept: RefCell::new(HashMap::new()) }
    }

    pub(crate) fn pattern(&self) -> &'static [u8] {
        self.pattern
    }

    pub(crate) fn for_request(&self, request: &Request) -> Outgoing {
        match request.wanted {
            Wanted::Bytes(bytes) if bytes <= WHOLE_ANSWER_BYTES && !request.head_only && !request.close => {
                self.kept(bytes)
            }
            Wanted::Bytes(bytes) => Outgoing::Composed {
                head: head("200 OK", bytes, request.close),
                pattern_bytes: if request.head_only { 0 } else { bytes },
            },
            Wanted::BodySize => text("200 OK", request, &format!("{}\n", request.body_bytes)),
            Wanted::Nothing => text("404 Not Found", request, "the origin has /, /bytes/N and /echo\n"),
        }
    }

    fn kept(&self, bytes: u64) -> Outgoing {
        let mut kept = self.kept.borrow_mut();
        if let Some(answer) = kept.get(&bytes) {
            return Outgoing::Kept(answer);
        }
        let mut answer = head("200 OK", bytes, false);
        if kept.len() == KEPT_ANSWERS {
            return Outgoing::Composed { head: answer, pattern_bytes: bytes };
        }
        answer.extend_from_slice(&self.pattern[..bytes as usize]);
        let answer: &'static [u8] = answer.leak();
        kept.insert(bytes, answer);
        Outgoing::Kept(answer)
    }
}

fn text(status: &str, request: &Request, text: &str) -> Outgoing {
    let mut answer = head(status, text.len() as u64, request.close);
    if !request.head_only {
        answer.extend_from_slice(text.as_bytes());
    }
    Outgoing::Composed { head: answer, pattern_bytes: 0 }
}

/// A head of the size that servers usually send. The date stands still: answers must not differ between runs.
fn head(status: &str, body_bytes: u64, close: bool) -> Vec<u8> {
    let connection = if close { "connection: close\r\n" } else { "" };
    format!(
        "HTTP/1.1 {status}\r\nserver: origin\r\ndate: Sun, 22 Nov 2026 18:00:00 GMT\r\n\
         content-type: text/plain\r\n{connection}content-length: {body_bytes}\r\n\r\n"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(wanted: Wanted, close: bool) -> Request {
        Request { wanted, body_bytes: 5, head_only: false, close }
    }

    #[test]
    fn small_answers_are_kept_and_closing_ones_are_not() {
        let answers = Answers::new();
        let Outgoing::Kept(first) = answers.for_request(&request(Wanted::Bytes(100), false)) else {
            panic!("a small answer is kept");
        };
        let Outgoing::Kept(second) = answers.for_request(&request(Wanted::Bytes(100), false)) else {
            panic!("a small answer is kept");
        };
        assert!(std::ptr::eq(first, second));
        let closing = answers.for_request(&request(Wanted::Bytes(100), true));
        assert!(matches!(closing, Outgoing::Composed { pattern_bytes: 100, .. }));
    }

    #[test]
    fn the_body_is_the_same_at_every_offset() {
        let answers = Answers::new();
        let pattern = answers.pattern();
        assert!(pattern.iter().enumerate().all(|(at, &byte)| byte == body_byte(at as u64)));
        assert_eq!(body_byte(0), body_byte(PATTERN_BYTES as u64));
    }
}
