//! A check by the protocol's own heartbeat, which connections of calls send anyway: the endpoint's program must answer, not only
//! its kernel.

use super::Outcome;
use sidering_codecs::registry::{CodecOptions, protocol};
use sidering_codecs::{Control, Event, Scratch};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes that are looked at.
const ANSWER_BYTES: usize = 64 * 1024;

pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    name: &'static str,
) -> io::Result<Outcome> {
    let Some(protocol) = protocol(name) else { return Ok(Outcome::network("no such protocol")) };
    let mut codec = (protocol.client)(CodecOptions::DEFAULT);
    let mut outgoing = Vec::new();
    if !codec.encode_ping(&mut outgoing) {
        return Ok(Outcome::network("the protocol has no heartbeats"));
    }
    let (mut scratch, mut bytes, mut received) = (Scratch::default(), Vec::new(), 0);
    loop {
        stream.write_all(&outgoing).await?;
        outgoing.clear();
        bytes.clear();
        match stream.read_buf(&mut bytes).await? {
            0 => return Ok(Outcome::network("closed before the answer")),
            more => received += more,
        }
        let mut input = bytes.as_slice();
        loop {
            match codec.decode(&mut scratch, &mut input) {
                Ok(Some(Event::Control(Control::Pong))) => return Ok(Outcome::success("answered")),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return Ok(Outcome::network(error.reason)),
            }
        }
        if received > ANSWER_BYTES {
            return Ok(Outcome::network(format!("{received} bytes, and no answer among them")));
        }
        // Peers ask, too.
        codec.encode_control(&mut outgoing);
    }
}
