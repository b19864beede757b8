//! A well-behaved HTTP/1.1 upstream. The path says what it answers:
//!
//! - `/sized/N`, `/chunked/N`, `/close/N`: N bytes of the pattern, framed by Content-Length, chunks, or the close
//! - `/check/N`: whether the request's body is the first N bytes of the pattern
//! - everything else: `hello`

use super::Origin;
use super::pattern::{self, Checker};
use super::wire::{Head, Wire};
use std::io;

/// Sizes of chunks, in turn: around the sizes of buffers, and tiny ones.
const CHUNKS: [u64; 8] = [1, 2048, 16_384, 5, 65_536, 16_383, 100_000, 300];

/// Serves requests until the connection ends.
pub(crate) fn serve(wire: &mut Wire) -> io::Result<()> {
    loop {
        let head = wire.head()?;
        let mut checker = Checker::default();
        if head.value("expect").is_some() {
            wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        wire.body(&head, |bytes| checker.feed(bytes))?;
        if !answer(wire, &head, &checker)? {
            return Ok(());
        }
    }
}

/// An upstream that answers with its name, the target and the Host that it was asked for.
pub(crate) fn named(name: &'static str) -> Origin {
    Origin::start(move |wire, _| {
        loop {
            let head = wire.head()?;
            wire.body(&head, |_| {})?;
            let host = head.value("host").unwrap_or_default();
            reply(wire, 200, &format!("{name} {} {host}", head.target()))?;
        }
    })
}

/// Answers one request; `false` if the connection ends behind it.
fn answer(wire: &mut Wire, head: &Head, checker: &Checker) -> io::Result<bool> {
    let mut words = head.target().trim_start_matches('/').split('/');
    let (what, number) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let length = number.parse().unwrap_or(0);
    match what {
        "sized" => {
            let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            wire.send(text.as_bytes())?;
            if head.method() != "HEAD" {
                pattern::write(&mut wire.stream(), length)?;
            }
        }
        "chunked" => {
            wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            send_chunks(wire, length)?;
        }
        "close" => {
            wire.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            pattern::write(&mut wire.stream(), length)?;
            return Ok(false);
        }
        "check" => match checker.verdict(length) {
            Ok(()) => reply(wire, 200, "equal\n")?,
            Err(reason) => reply(wire, 500, &format!("{reason}\n"))?,
        },
        _ => reply(wire, 200, "hello\n")?,
    }
    Ok(true)
}

/// A small answer.
pub(crate) fn reply(wire: &mut Wire, status: u16, body: &str) -> io::Result<()> {
    let text = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    wire.send(text.as_bytes())
}

/// The first `length` bytes of the pattern in chunks of many sizes, and the last chunk.
pub(crate) fn send_chunks(wire: &mut Wire, length: u64) -> io::Result<()> {
    let mut at = 0;
    for size in CHUNKS.iter().cycle() {
        let size = (*size).min(length - at);
        if size == 0 {
            break;
        }
        let mut chunk = format!("{size:x}\r\n").into_bytes();
        let end = at + size;
        while at < end {
            let piece = pattern::piece(at, end - at);
            chunk.extend_from_slice(piece);
            at += piece.len() as u64;
        }
        chunk.extend_from_slice(b"\r\n");
        wire.send(&chunk)?;
    }
    wire.send(b"0\r\n\r\n")
}
