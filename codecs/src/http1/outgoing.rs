//! The body being sent: the framing around payload that the caller sends itself. It never sees a payload byte.

use super::write;
use crate::codec::Grant;
use crate::message::{BodyLength, Fields};

/// Where sending stands.
///
/// ```text
/// Idle --exchange opens--> Head --+--> Empty ---------+--end--> Idle
///  |                        |     +--> Sized ---------+
///  |                        |     +--> Chunked --+----+
///  |                        |     |              v    |
///  |                        |     |      Trailed -----+
///  |                        |     +--> UntilClose ----+
///  +--- the peer agreed to--|-----+--> Tunnel --------+
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outgoing {
    /// Nothing to send.
    Idle,
    /// A head is due.
    Head,
    /// The message has no payload.
    Empty,
    /// This many payload bytes are still to be sent, without framing.
    Sized(u64),
    /// Each piece of payload becomes a chunk.
    Chunked,
    /// The last chunk and the trailers are written.
    Trailed,
    /// The end of the connection ends the payload.
    UntilClose,
    /// The bytes are no longer HTTP.
    Tunnel,
}

impl Outgoing {
    /// What follows a head with this body, where chunked coding is understood.
    pub(super) fn for_body(body: BodyLength) -> Self {
        match body {
            BodyLength::None => Outgoing::Empty,
            BodyLength::Sized(length) => Outgoing::Sized(length),
            BodyLength::Streamed => Outgoing::Chunked,
        }
    }

    /// See [`Codec::encode_data`](crate::codec::Codec::encode_data). Payload that the message has no room for is not
    /// granted: sent nevertheless, it would be read as the next message.
    pub(super) fn encode_data(&mut self, length: usize, out: &mut Vec<u8>) -> Grant {
        match self {
            Outgoing::Chunked => {
                write::chunk_size(length, out);
                Grant { allowed: length, suffix: b"\r\n" }
            }
            Outgoing::Sized(remaining) => {
                let allowed = (*remaining).min(length as u64);
                *remaining -= allowed;
                Grant { allowed: allowed as usize, suffix: b"" }
            }
            Outgoing::UntilClose | Outgoing::Tunnel => Grant { allowed: length, suffix: b"" },
            Outgoing::Idle | Outgoing::Head | Outgoing::Empty | Outgoing::Trailed => {
                Grant { allowed: 0, suffix: b"" }
            }
        }
    }

    /// See [`Codec::encode_trailers`](crate::codec::Codec::encode_trailers).
    pub(super) fn encode_trailers(&mut self, fields: &Fields<'_>, out: &mut Vec<u8>) {
        if *self == Outgoing::Chunked {
            out.extend_from_slice(b"0\r\n");
            write::lines(fields, |_, _| true, out);
            out.extend_from_slice(b"\r\n");
            *self = Outgoing::Trailed;
        }
    }

    /// Ends the message. Tells whether it was whole, so that another may follow on the connection.
    pub(super) fn encode_end(&mut self, out: &mut Vec<u8>) -> bool {
        let is_whole = match self {
            Outgoing::Chunked => {
                out.extend_from_slice(b"0\r\n\r\n");
                true
            }
            Outgoing::Sized(remaining) => *remaining == 0,
            Outgoing::Idle | Outgoing::Empty | Outgoing::Trailed => true,
            Outgoing::Head | Outgoing::UntilClose | Outgoing::Tunnel => false,
        };
        *self = Outgoing::Idle;
        is_whole
    }

    /// See [`Codec::skip_out`](crate::codec::Codec::skip_out).
    pub(super) fn skip(&mut self, length: u64) {
        if let Outgoing::Sized(remaining) = self {
            *remaining = remaining.saturating_sub(length);
        }
    }

    /// See [`Codec::relayable_out`](crate::codec::Codec::relayable_out).
    pub(super) fn is_relayable(&self) -> bool {
        matches!(self, Outgoing::Sized(_) | Outgoing::UntilClose | Outgoing::Tunnel)
    }
}
