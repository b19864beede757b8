//! A reader of HTTP/1 requests for the origin: it keeps the path, counts the body and allows pipelining.

use super::chunked::ChunkedReader;
use super::head::{self, Framing, MAX_HEAD_BYTES};

/// What a request asks the origin for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// So many bytes of body.
    Bytes(u64),
    /// The size of the request's own body, as text.
    BodySize,
    /// A path the origin doesn't have.
    Nothing,
}

/// One complete request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) wanted: Wanted,
    pub(crate) body_bytes: u64,
    pub(crate) head_only: bool,
    pub(crate) close: bool,
}

/// The peer sent something that is no HTTP/1 request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadRequest;

#[derive(Clone, Copy, Debug)]
enum State {
    Head,
    Length { left: u64 },
    Chunked(ChunkedReader),
}

#[derive(Clone, Copy, Debug)]
struct Meaning {
    wanted: Wanted,
    head_only: bool,
    framing: Framing,
}

/// The body of `GET /`, in bytes.
const SMALL_BODY_BYTES: u64 = 100;
/// The largest body of `GET /bytes/N`.
const MAX_BODY_BYTES: u64 = 100 * 1024 * 1024;

/// Reads the requests of one connection.
pub(crate) struct RequestReader {
    state: State,
    meaning: Meaning,
    body_bytes: u64,
    partial: Vec<u8>,
    /// The last head: a proxy's requests are all alike, and comparing is far cheaper than parsing.
    known: Vec<u8>,
}

impl RequestReader {
    pub(crate) fn new() -> Self {
        let meaning = Meaning { wanted: Wanted::Nothing, head_only: false, framing: Framing::default() };
        Self { state: State::Head, meaning, body_bytes: 0, partial: Vec::new(), known: Vec::new() }
    }

    /// Takes the bytes of one receive and adds the requests that they complete to `requests`.
    pub(crate) fn feed(&mut self, bytes: &[u8], requests: &mut Vec<Request>) -> Result<(), BadRequest> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let done = match self.state {
                State::Head => self.feed_head(&mut rest)? && self.begin_body(),
                State::Length { left } => {
                    let taken = left.min(rest.len() as u64);
                    rest = &rest[taken as usize..];
                    self.body_bytes += taken;
                    self.state = State::Length { left: left - taken };
                    taken == left
                }
                State::Chunked(mut reader) => {
                    rest = &rest[reader.feed(rest).map_err(|_| BadRequest)?..];
                    self.body_bytes = reader.body_bytes();
                    self.state = State::Chunked(reader);
                    reader.is_done()
                }
            };
            if done {
                self.state = State::Head;
                requests.push(self.complete());
            }
        }
        Ok(())
    }

    fn feed_head(&mut self, rest: &mut &[u8]) -> Result<bool, BadRequest> {
        if self.partial.is_empty() && !self.known.is_empty() && rest.starts_with(&self.known) {
            *rest = &rest[self.known.len()..];
            return Ok(true);
        }
        let before = self.partial.len();
        self.partial.extend_from_slice(&rest[..rest.len().min(MAX_HEAD_BYTES)]);
        let Some(end) = head::head_bytes(&self.partial) else {
            *rest = &[];
            return if self.partial.len() >= MAX_HEAD_BYTES { Err(BadRequest) } else { Ok(false) };
        };
        *rest = &rest[end - before..];
        self.partial.truncate(end);
        self.meaning = meaning_of(&self.partial)?;
        std::mem::swap(&mut self.known, &mut self.partial);
        self.partial.clear();
        Ok(true)
    }

    /// True if the request has no body and so is complete with its head.
    fn begin_body(&mut self) -> bool {
        self.body_bytes = 0;
        match self.meaning.framing {
            Framing { chunked: true, .. } => self.state = State::Chunked(ChunkedReader::new()),
            Framing { content_length: Some(left @ 1..), .. } => self.state = State::Length { left },
            _ => return true,
        }
        false
    }

    fn complete(&self) -> Request {
        let Meaning { wanted, head_only, framing } = self.meaning;
        Request { wanted, body_bytes: self.body_bytes, head_only, close: framing.close }
    }
}

fn meaning_of(request_head: &[u8]) -> Result<Meaning, BadRequest> {
    let mut words = head::first_line(request_head).split(|&byte| byte == b' ');
    let method = words.next().ok_or(BadRequest)?;
    let path = words.next().ok_or(BadRequest)?;
    let version = words.next().ok_or(BadRequest)?;
    if !version.starts_with(b"HTTP/1.") {
        return Err(BadRequest);
    }
    let mut framing = head::framing(request_head).ok_or(BadRequest)?;
    framing.close |= version == b"HTTP/1.0";
    Ok(Meaning { wanted: wanted(path), head_only: method == b"HEAD", framing })
}

fn wanted(path: &[u8]) -> Wanted {
    if path == b"/echo" {
        return Wanted::BodySize;
    }
    if path == b"/" {
        return Wanted::Bytes(SMALL_BODY_BYTES);
    }
    match path.strip_prefix(b"/bytes/").and_then(head::decimal) {
        Some(bytes) if bytes <= MAX_BODY_BYTES => Wanted::Bytes(bytes),
        _ => Wanted::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\nPOST /echo HTTP/1.1\r\ncontent-length: 3\r\n\r\nabcGET /bytes/7 HTTP/1.1\r\nconnection: close\r\n\r\n";

    #[test]
    fn pipelined_requests_survive_any_cut() {
        for cut in 0..STREAM.len() {
            let (mut reader, mut requests) = (RequestReader::new(), Vec::new());
            reader.feed(&STREAM[..cut], &mut requests).expect("the first part is sound");
            reader.feed(&STREAM[cut..], &mut requests).expect("the second part is sound");
            let wanted: Vec<_> = requests.iter().map(|request| request.wanted).collect();
            assert_eq!(wanted, [Wanted::Bytes(100), Wanted::BodySize, Wanted::Bytes(7)], "cut at {cut}");
            assert_eq!(requests[1].body_bytes, 3);
            assert!(requests[2].close && !requests[0].close);
        }
    }

    #[test]
    fn paths_are_bounded() {
        assert_eq!(wanted(b"/bytes/104857600"), Wanted::Bytes(104_857_600));
        assert_eq!(wanted(b"/bytes/104857601"), Wanted::Nothing);
        assert_eq!(wanted(b"/bytes/-1"), Wanted::Nothing);
    }
}
