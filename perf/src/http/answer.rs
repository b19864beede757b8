//! A reader of HTTP/1 answers that counts body bytes and copies none of them.

use super::chunked::ChunkedReader;
use super::head::{self, Framing, MAX_HEAD_BYTES};

/// One complete answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body_bytes: u64,
    /// The connection cannot carry another request.
    pub(crate) close: bool,
}

/// Why bytes are no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerFault {
    /// Not HTTP/1, or framing that makes no sense.
    Malformed,
    /// Bytes came after the end of the answer, though nothing more was asked for.
    Excess,
    /// The connection ended before the answer did.
    Short,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Head,
    Length { left: u64 },
    Chunked(ChunkedReader),
    UntilClose,
}

/// Reads one answer after the other off a connection.
pub(crate) struct AnswerReader {
    state: State,
    status: u16,
    framing: Framing,
    body_bytes: u64,
    /// A head of which only the beginning has come.
    partial: Vec<u8>,
    /// The last head that was parsed: proxies repeat themselves, and comparing is far cheaper than parsing.
    known: Vec<u8>,
    known_meaning: (u16, Framing),
    bodiless: bool,
}

impl AnswerReader {
    /// `bodiless`: the requests are HEAD, so no answer has a body whatever its length says.
    pub(crate) fn new(bodiless: bool) -> Self {
        Self {
            state: State::Head,
            status: 0,
            framing: Framing::default(),
            body_bytes: 0,
            partial: Vec::new(),
            known: Vec::new(),
            known_meaning: (0, Framing::default()),
            bodiless,
        }
    }

    /// Takes the bytes of one receive; gives the answer when they complete it.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Option<Answer>, AnswerFault> {
        let mut rest = bytes;
        loop {
            let answer = match self.state {
                State::Head => match self.feed_head(&mut rest)? {
                    true => self.begin_body(),
                    false => return Ok(None),
                },
                State::Length { left } => self.feed_length(left, &mut rest),
                State::Chunked(reader) => self.feed_chunked(reader, &mut rest)?,
                State::UntilClose => {
                    self.body_bytes += rest.len() as u64;
                    rest = &[];
                    None
                }
            };
            match answer {
                Some(_) if !rest.is_empty() => return Err(AnswerFault::Excess),
                Some(answer) => return Ok(Some(answer)),
                None if rest.is_empty() => return Ok(None),
                None => {}
            }
        }
    }

    /// The peer closed: an answer that ends that way is complete now.
    pub(crate) fn end(&mut self) -> Result<Answer, AnswerFault> {
        match self.state {
            State::UntilClose => Ok(self.complete()),
            _ => Err(AnswerFault::Short),
        }
    }

    /// No byte of an answer has come yet.
    pub(crate) fn is_fresh(&self) -> bool {
        matches!(self.state, State::Head) && self.partial.is_empty()
    }

    fn feed_head(&mut self, rest: &mut &[u8]) -> Result<bool, AnswerFault> {
        if self.partial.is_empty() && !self.known.is_empty() && rest.starts_with(&self.known) {
            (self.status, self.framing) = self.known_meaning;
            *rest = &rest[self.known.len()..];
            return Ok(true);
        }
        // Only the new bytes are taken from `rest` when a head was cut, so look for its end across the seam.
        let before = self.partial.len();
        self.partial.extend_from_slice(&rest[..rest.len().min(MAX_HEAD_BYTES)]);
        let Some(end) = head::head_bytes(&self.partial) else {
            *rest = &[];
            let too_long = self.partial.len() >= MAX_HEAD_BYTES;
            return if too_long { Err(AnswerFault::Malformed) } else { Ok(false) };
        };
        *rest = &rest[end - before..];
        self.partial.truncate(end);
        self.status = status_of(&self.partial).ok_or(AnswerFault::Malformed)?;
        self.framing = head::framing(&self.partial).ok_or(AnswerFault::Malformed)?;
        std::mem::swap(&mut self.known, &mut self.partial);
        self.partial.clear();
        self.known_meaning = (self.status, self.framing);
        Ok(true)
    }

    fn begin_body(&mut self) -> Option<Answer> {
        self.body_bytes = 0;
        match (self.status, self.framing) {
            (100..=199, _) => None,
            (204 | 304, _) => Some(self.complete()),
            _ if self.bodiless => Some(self.complete()),
            (_, Framing { chunked: true, .. }) => {
                self.state = State::Chunked(ChunkedReader::new());
                None
            }
            (_, Framing { content_length: Some(0), .. }) => Some(self.complete()),
            (_, Framing { content_length: Some(left), .. }) => {
                self.state = State::Length { left };
                None
            }
            _ => {
                self.state = State::UntilClose;
                self.framing.close = true;
                None
            }
        }
    }

    fn feed_length(&mut self, left: u64, rest: &mut &[u8]) -> Option<Answer> {
        let taken = left.min(rest.len() as u64);
        *rest = &rest[taken as usize..];
        self.body_bytes += taken;
        self.state = State::Length { left: left - taken };
        (taken == left).then(|| self.complete())
    }

    fn feed_chunked(
        &mut self,
        mut reader: ChunkedReader,
        rest: &mut &[u8],
    ) -> Result<Option<Answer>, AnswerFault> {
        let taken = reader.feed(rest).map_err(|_| AnswerFault::Malformed)?;
        *rest = &rest[taken..];
        self.body_bytes = reader.body_bytes();
        self.state = State::Chunked(reader);
        Ok(reader.is_done().then(|| self.complete()))
    }

    fn complete(&mut self) -> Answer {
        self.state = State::Head;
        Answer { status: self.status, body_bytes: self.body_bytes, close: self.framing.close }
    }
}

fn status_of(head: &[u8]) -> Option<u16> {
    let line = head.strip_prefix(b"HTTP/1.")?;
    let digits = line.get(2..5)?;
    u16::try_from(head::decimal(digits)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &[u8]) -> Result<Option<Answer>, AnswerFault> {
        AnswerReader::new(false).feed(bytes)
    }

    #[test]
    fn any_cut_gives_the_same_answer_twice_over() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        let expected = Answer { status: 200, body_bytes: 5, close: false };
        for cut in 0..answer.len() {
            let mut reader = AnswerReader::new(false);
            for _ in 0..2 {
                assert_eq!(reader.feed(&answer[..cut]), Ok(None), "cut at {cut}");
                assert_eq!(reader.feed(&answer[cut..]), Ok(Some(expected)), "cut at {cut}");
            }
        }
    }

    #[test]
    fn chunked_and_interim_answers_are_understood() {
        let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 502 Bad\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
        assert_eq!(read_all(answer), Ok(Some(Answer { status: 502, body_bytes: 2, close: false })));
    }

    #[test]
    fn wrong_answers_are_told_apart() {
        assert_eq!(read_all(b"SSH-2.0-nothing\r\n\r\n"), Err(AnswerFault::Malformed));
        assert_eq!(read_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab"), Err(AnswerFault::Excess));
        let mut reader = AnswerReader::new(false);
        assert_eq!(reader.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab"), Ok(None));
        assert_eq!(reader.end(), Err(AnswerFault::Short));
    }

    #[test]
    fn an_answer_without_length_ends_with_its_connection() {
        let mut reader = AnswerReader::new(false);
        assert_eq!(reader.feed(b"HTTP/1.1 200 OK\r\n\r\nab"), Ok(None));
        assert_eq!(reader.end(), Ok(Answer { status: 200, body_bytes: 2, close: true }));
    }
}
