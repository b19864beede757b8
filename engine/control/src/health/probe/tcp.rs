//! A check by TCP: connecting, and, if configured, an answer to what is sent.

use super::Outcome;
use sidering_dataplane::config::TcpProbe;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes of an answer that are looked at.
const ANSWER_BYTES: usize = 64 * 1024;

pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    probe: &TcpProbe,
) -> io::Result<Outcome> {
    stream.write_all(&probe.send).await?;
    let mut answer = Vec::new();
    while !matches(&answer, &probe.receive) {
        if answer.len() >= ANSWER_BYTES {
            return Ok(Outcome::network(format!("{} bytes, and not those expected", answer.len())));
        }
        if stream.read_buf(&mut answer).await? == 0 {
            return Ok(Outcome::network("closed before the expected answer"));
        }
    }
    Ok(Outcome::success("connected"))
}

/// Whether all of these are there, one behind the other, whatever is between them.
fn matches(mut answer: &[u8], receive: &[Vec<u8>]) -> bool {
    for payload in receive {
        let Some(at) = answer.windows(payload.len()).position(|window| window == payload) else {
            return false;
        };
        answer = &answer[at + payload.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_in_order_with_anything_between() {
        let table: &[(&str, &[&str], bool)] = &[
            ("", &[], true),
            ("", &["a"], false),
            ("ab", &["a", "b"], true),
            ("a--b", &["a", "b"], true),
            ("ba", &["a", "b"], false),
            ("aba", &["ab", "ba"], false),
            ("abba", &["ab", "ba"], true),
        ];
        for (answer, receive, expected) in table {
            let receive: Vec<Vec<u8>> = receive.iter().map(|text| text.as_bytes().to_vec()).collect();
            assert_eq!(matches(answer.as_bytes(), &receive), *expected, "{answer} {receive:?}");
        }
    }
}
