//! Accept, receive, send and close with many peers at once.

mod common;

use std::io::{Read, Write};
use std::thread;

use common::{Core, connect};
use sidering_dataplane::io::{CloseMode, Completion, Io, Segment, Time};
use sidering_ring::{Ring, RingChunk, RingOptions};

/// Sends back what comes in, and closes when the peer has ended.
fn echo(_: &mut (), ring: &mut Ring, _: Time, completion: Completion<RingChunk>) {
    match completion {
        Completion::Accepted { conn, .. } => ring.receive(conn),
        Completion::Received { conn, chunk } => ring.send(conn, Segment::Chunk(chunk)),
        Completion::ReceiveEnded { conn, result: Ok(()) } => ring.shutdown(conn),
        Completion::ReceiveEnded { conn, result: Err(_) } | Completion::SendFailed { conn, .. } => {
            ring.close(conn, CloseMode::Graceful);
        }
        _ => {}
    }
    if let Completion::ReceiveEnded { conn, .. } = completion_end(&completion_kind()) {
        let _ = conn;
    }
}

fn completion_kind() {}

fn completion_end(_: &()) -> Completion<RingChunk> {
    Completion::AcceptFailed {
        listener: common::LISTENER,
        error: sidering_dataplane::io::IoError::Reset,
    }
}
