//! One request through a proxy, checked to the last byte: is it up, and does it answer rightly?

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::call::{Exchange, Protocol};
use crate::http::head;
use crate::origin::body_byte;

const PATIENCE: Duration = Duration::from_secs(2);

/// Why a probe did not get its answer.
#[derive(Debug)]
pub(crate) enum ProbeFault {
    /// Nothing listens yet, or the connection broke: try again.
    NotReady(io::Error),
    /// Something answers, but not what the origin sent.
    Wrong(String),
}

impl fmt::Display for ProbeFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReady(error) => write!(formatter, "no answer ({error})"),
            Self::Wrong(what) => write!(formatter, "a wrong answer: {what}"),
        }
    }
}

impl From<io::Error> for ProbeFault {
    fn from(error: io::Error) -> Self {
        Self::NotReady(error)
    }
}

/// Fetches `body_bytes` and compares every byte with what the origin sends.
pub(crate) fn fetch(proxy: SocketAddr, body_bytes: u64) -> Result<(), ProbeFault> {
    let mut conn = connect(proxy)?;
    write!(conn, "GET /bytes/{body_bytes} HTTP/1.1\r\nHost: {proxy}\r\n\r\n")?;
    check(&read_answer(&mut conn)?, body_bytes)
}

/// Reads as much as the head announces, or up to the end if it announces nothing.
fn read_answer(conn: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut block = [0; 16 * 1024];
    loop {
        if let Some(head_bytes) = head::head_bytes(&answer) {
            let framing = head::framing(&answer[..head_bytes]).unwrap_or_default();
            let body_bytes = framing.content_length.unwrap_or(u64::MAX);
            if (answer.len() - head_bytes) as u64 >= body_bytes {
                return Ok(answer);
            }
        }
        match conn.read(&mut block)? {
            0 => return Ok(answer),
            bytes => answer.extend_from_slice(&block[..bytes]),
        }
    }
}

/// Makes one call and compares every byte of its answer.
pub(crate) fn call(proxy: SocketAddr, protocol: Protocol) -> Result<(), ProbeFault> {
    let exchange = Exchange::new(protocol, 100);
    let mut conn = connect(proxy)?;
    let mut request = Vec::new();
    exchange.write_request(1, &mut request);
    conn.write_all(&request)?;
    let mut answer = vec![0; exchange.answer_bytes()];
    conn.read_exact(&mut answer)?;
    exchange.check(&answer).map_err(|fault| ProbeFault::Wrong(format!("{fault:?} of the answer to a call")))
}

/// The sum of one of our counters over its labels.
pub(crate) fn counter(admin: SocketAddr, name: &str) -> Result<f64, ProbeFault> {
    let mut conn = connect(admin)?;
    write!(conn, "GET /stats/prometheus HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    conn.read_to_string(&mut text)?;
    let values = text.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        (series.split('{').next() == Some(name)).then(|| value.parse::<f64>().ok())?
    });
    values.reduce(|sum, value| sum + value).ok_or_else(|| ProbeFault::Wrong(format!("no counter {name}")))
}

/// Receives some bytes of the stream that a source sends.
pub(crate) fn receive(proxy: SocketAddr) -> Result<(), ProbeFault> {
    let mut conn = connect(proxy)?;
    let mut block = [0; 1000];
    conn.read_exact(&mut block)?;
    if block.iter().all(|&byte| byte == crate::origin::STREAM_BLOCK[0]) {
        Ok(())
    } else {
        Err(ProbeFault::Wrong("the stream holds bytes that the source never sent".to_owned()))
    }
}

fn connect(proxy: SocketAddr) -> io::Result<TcpStream> {
    let conn = TcpStream::connect_timeout(&proxy, PATIENCE)?;
    conn.set_read_timeout(Some(PATIENCE))?;
    conn.set_write_timeout(Some(PATIENCE))?;
    Ok(conn)
}

fn check(answer: &[u8], body_bytes: u64) -> Result<(), ProbeFault> {
    let Some(head_bytes) = head::head_bytes(answer) else {
        if answer.is_empty() {
            return Err(ProbeFault::NotReady(io::ErrorKind::UnexpectedEof.into()));
        }
        return Err(ProbeFault::Wrong("no complete head".to_owned()));
    };
    let (answer_head, body) = answer.split_at(head_bytes);
    let status_line = head::first_line(answer_head);
    if !status_line.starts_with(b"HTTP/1.1 200") {
        // A proxy may listen before it knows its cluster; only if it stays like this is it an error.
        let line = status_line.escape_ascii();
        return Err(ProbeFault::NotReady(io::Error::other(format!("status line '{line}'"))));
    }
    if head::framing(answer_head).is_none_or(|framing| framing.content_length != Some(body_bytes)) {
        return Err(ProbeFault::Wrong(
            "the head doesn't give the content-length that the origin sent".to_owned(),
        ));
    }
    if body.len() as u64 != body_bytes {
        return Err(ProbeFault::Wrong(format!("{} bytes of body instead of {body_bytes}", body.len())));
    }
    match (0..).zip(body).find(|&(at, &byte)| byte != body_byte(at)) {
        Some((at, _)) => Err(ProbeFault::Wrong(format!("the body differs from the origin's at byte {at}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts() {
        let good = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc";
        assert!(check(good, 3).is_ok());
        assert!(matches!(
            check(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabd", 3),
            Err(ProbeFault::Wrong(_))
        ));
        assert!(matches!(check(good, 4), Err(ProbeFault::Wrong(_))));
        assert!(matches!(check(b"HTTP/1.1 503 No\r\n\r\n", 3), Err(ProbeFault::NotReady(_))));
        assert!(matches!(check(b"", 3), Err(ProbeFault::NotReady(_))));
    }
}
