//! What the model peers say to each other. Everything is derived from a request's tag, so that bytes which went to the
//! wrong place, twice, or not at all show.

use std::sync::LazyLock;

/// Bytes without a short period, made once: most of a run is making and comparing them.
static BYTES: LazyLock<Vec<u8>> =
    LazyLock::new(|| (0..600_000usize).map(|at| 33 + ((at ^ (at / 90)) % 90) as u8).collect());

/// The pattern of a body.
pub(crate) fn pattern(tag: u32, length: usize) -> Vec<u8> {
    let start = tag as usize * 13 % 65_521;
    BYTES[start..start + length].to_vec()
}

/// Tags from here on have large bodies more often, which go by relay or fill queues.
pub(crate) const BULKY_TAGS: u32 = 1 << 19;

fn size(tag: u32) -> usize {
    let hash = u64::from(tag).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    match hash % 100 {
        40.. if tag >= BULKY_TAGS => 270_000 + (hash / 100 % 200_000) as usize,
        0..10 => 0,
        10..80 => (hash / 100 % 200) as usize,
        80..96 => (hash / 100 % 20_000) as usize,
        _ => 270_000 + (hash / 100 % 200_000) as usize,
    }
}

/// The body of a request.
pub(crate) fn request_body(tag: u32) -> Vec<u8> {
    pattern(tag, size(tag ^ 0x1111))
}

/// The body of the answer to it.
pub(crate) fn answer_body(tag: u32) -> Vec<u8> {
    pattern(tag + 1_000_000, size(tag ^ 0x2222))
}

/// What a client says in a tunnel. The tag takes up the first [`TUNNEL_HEAD`] bytes.
pub(crate) fn tunnel_up(tag: u32) -> Vec<u8> {
    [format!("TAG{tag:08}").as_bytes(), &pattern(tag, size(tag ^ 0x3333))].concat()
}

pub(crate) const TUNNEL_HEAD: usize = 11;

/// What it is told in a tunnel.
pub(crate) fn tunnel_down(tag: u32) -> Vec<u8> {
    pattern(tag + 2_000_000, size(tag ^ 0x4444))
}

/// Whether the origin agrees to an upgrade.
pub(crate) fn agrees(tag: u32) -> bool {
    tag.is_multiple_of(2)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Get,
    Head,
    /// HTTP/1.0: the connection ends with the answer.
    Old,
    Post,
    PostChunked,
    Upgrade,
    Connect,
}

/// The request as a client writes it, without what follows in a tunnel.
pub(crate) fn request(tag: u32, kind: Kind, chunk: usize) -> Vec<u8> {
    let body = request_body(tag);
    let (method, version, fields) = match kind {
        Kind::Get => ("GET", "1.1", String::new()),
        Kind::Head => ("HEAD", "1.1", String::new()),
        Kind::Old => ("GET", "1.0", String::new()),
        Kind::Post => ("POST", "1.1", format!("content-length: {}\r\n", body.len())),
        Kind::PostChunked => ("POST", "1.1", "transfer-encoding: chunked\r\n".into()),
        Kind::Upgrade => ("GET", "1.1", "connection: upgrade\r\nupgrade: websocket\r\n".into()),
        Kind::Connect => {
            return format!("CONNECT h{tag}:1 HTTP/1.1\r\nhost: h{tag}:1\r\n\r\n").into_bytes();
        }
    };
    let mut bytes = format!("{method} /{tag} HTTP/{version}\r\nhost: h\r\n{fields}\r\n").into_bytes();
    match kind {
        Kind::Post => bytes.extend(body),
        Kind::PostChunked => bytes.extend(chunked(&body, chunk)),
        _ => {}
    }
    bytes
}

/// A body in chunks of at most this many bytes.
pub(crate) fn chunked(body: &[u8], chunk: usize) -> Vec<u8> {
    let mut bytes = vec![];
    for piece in body.chunks(chunk.max(1)) {
        bytes.extend(format!("{:x}\r\n", piece.len()).as_bytes());
        bytes.extend(piece);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

/// A head with the length it takes up, and its lines in lower case; `None` if it is not there whole.
pub(crate) fn head(bytes: &[u8]) -> Option<(usize, Vec<String>)> {
    let length = bytes.windows(4).take(2000).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..length]).expect("a head that is no text");
    Some((length, text.lines().map(str::to_ascii_lowercase).collect()))
}

pub(crate) fn field<'a>(lines: &'a [String], name: &str) -> Option<&'a str> {
    lines[1..].iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// What is there of a body, whether it is whole, and the bytes it takes up.
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_whole: bool,
    pub(crate) length: usize,
}

/// A body of a known length.
pub(crate) fn sized_body(bytes: &[u8], length: usize) -> Body {
    let there = bytes.len().min(length);
    Body { bytes: bytes[..there].to_vec(), is_whole: there == length, length: there }
}

/// A chunked body; panics if it is malformed.
pub(crate) fn chunked_body(bytes: &[u8]) -> Body {
    let mut body = Body { bytes: vec![], is_whole: false, length: 0 };
    let mut rest = bytes;
    while let Some(line) = rest.windows(2).take(20).position(|two| two == b"\r\n") {
        let size =
            std::str::from_utf8(&rest[..line]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let size = size.unwrap_or_else(|| panic!("a malformed chunk: {:?}", &rest[..line]));
        rest = &rest[line + 2..];
        let there = size.min(rest.len());
        body.bytes.extend(&rest[..there]);
        let Some(behind) = rest.get(size..size + 2) else { return body };
        assert_eq!(behind, b"\r\n", "a chunk that does not end where it should");
        rest = &rest[size + 2..];
        body.length = bytes.len() - rest.len();
        if size == 0 {
            body.is_whole = true;
            return body;
        }
    }
    body
}
