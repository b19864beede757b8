//! What nobody should send: requests that must be refused and never reach an upstream, and answers that must become 502 or
//! a visible cut.

/// Requests; `TAG` stands for the tag. All of them are refused with a status from 400 on, or their connection is closed.
pub(super) const REQUESTS: &[&[u8]] = &[
    b"GET /c0/TAG HTTP/1.1\r\nhost: h\r\nhost: h\r\n\r\n",
    b"GET /c0/TAG HTTP/1.1\r\n\r\n",
    b"GET /c0/TAG HTTP/1.1\nhost: h\n\n",
    b"GET /c0/TAG HTTP/1.1\r\nhost: h\r\nx: a\nb: c\r\n\r\n",
    b"GET  /c0/TAG HTTP/1.1\r\nhost: h\r\n\r\n",
    b"GET /c0/TAG HTTP/3.1\r\nhost: h\r\n\r\n",
    b"GET /c0/TAG HTTP/1.1\r\nhost: h\r\nx : a\r\n\r\n",
    b"GET /c0/TAG HTTP/1.1\r\nhost: h\r\n folded: a\r\n\r\n",
    b"POST /c0/TAG HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /c0/TAG HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc",
    b"POST /c0/TAG HTTP/1.1\r\nhost: h\r\ncontent-length: +3\r\n\r\nabc",
    b"POST /c0/TAG HTTP/1.1\r\nhost: h\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"POST /c0/TAG HTTP/1.0\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /c0/TAG HTTP/1.1\r\nhost: h\r\nconnection: close, host\r\n\r\n",
    b"GET /c0/TAG HTTP/1.1\r\nhost: h\r\nexpect: miracles\r\n\r\n",
    b"CONNECT hTAG HTTP/1.1\r\nhost: h\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"G\x00T /c0/TAG HTTP/1.1\r\nhost: h\r\n\r\n",
];

/// Answers; `TAG` stands for the tag. The first part goes out alone, so that what is wrong may come later.
pub(super) const ANSWERS: &[&[u8]] = &[
    b"junk\r\n\r\n",
    b"HTTP/2.0 200 OK\r\nx-tag: TAG\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 20 OK\r\nx-tag: TAG\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nx-tag: TAG\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
    b"HTTP/1.1 200 OK\r\nx-tag: TAG\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nx-tag: TAG\r\ntransfer-encoding: gzip\r\n\r\nabc",
    b"HTTP/1.1 200 OK\nx-tag: TAG\ncontent-length: 0\n\n",
    b"HTTP/1.1 200 OK\r\nx-tag: TAG\r\nx : y\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\nx-tag: TAG\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nx-tag: TAG\r\ntransfer-encoding: chunked\r\n\r\nno size\r\n",
    b"HTTP/1.1 200 OK\r\nx-tag: TAG\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n\r\n",
];

/// Behind the table there are requests beyond the bounds of heads.
pub(super) const BEYOND: usize = 4;

/// A request beyond a bound: fields, bytes of the target, bytes of the head.
fn beyond(number: usize, tag: u32) -> Vec<u8> {
    let request = match number {
        0 => format!("GET /c0/{tag} HTTP/1.1\r\nhost: h\r\n{}\r\n", "a: b\r\n".repeat(40)),
        1 => format!("GET /c0/{}/{tag} HTTP/1.1\r\nhost: h\r\n\r\n", "a".repeat(1024)),
        2 => format!("GET /c0/{tag} HTTP/1.1\r\nhost: h\r\na: {}\r\n\r\n", "b".repeat(4096)),
        _ => {
            // As long as a head may be, and not whole.
            let start = format!("GET /c0/{tag} HTTP/1.1\r\nhost: h\r\na: ");
            let rest = 4096 - start.len();
            start + &"b".repeat(rest)
        }
    };
    request.into_bytes()
}

/// A malformed request.
pub(super) fn request(number: u8, tag: u32) -> Vec<u8> {
    match usize::from(number).checked_sub(REQUESTS.len()) {
        Some(number) => beyond(number, tag),
        None => row(REQUESTS, number, tag),
    }
}

/// A row with its tag in place.
pub(super) fn row(table: &[&[u8]], number: u8, tag: u32) -> Vec<u8> {
    let row = table[usize::from(number) % table.len()];
    match row.windows(3).position(|three| three == b"TAG") {
        Some(at) => [&row[..at], tag.to_string().as_bytes(), &row[at + 3..]].concat(),
        None => row.to_vec(),
    }
}
