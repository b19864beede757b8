//! The terms of each protocol, as its peers know them: statuses, one-way calls, timeouts, and texts that tell calls apart.

use super::super::dialects::Dialect;

/// What an answer of the proxy's own says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Why {
    NoRoute,
    /// No endpoint, one that refuses, or too much.
    Busy,
    TimedOut,
    /// The connection was lost with the call on it.
    Lost,
}

/// An answer that says so: a protocol's own number (SOFABolt's ResponseStatus, Dubbo's Response, TarsCpp's Servant.h), or a
/// TApplicationException's type.
pub(super) fn status_of(dialect: &Dialect, why: Why) -> i32 {
    let [no_route, busy, timed_out, lost] = match dialect.protocol {
        "bolt" => [6, 4, 7, 4],
        "dubbo" => [60, 100, 31, 100],
        "tars" => [-4, -9, -7, -9],
        _ => [1, 6, 6, 6],
    };
    match why {
        Why::NoRoute => no_route,
        Why::Busy => busy,
        Why::TimedOut => timed_out,
        Why::Lost => lost,
    }
}

/// The status that an answer bears.
pub(super) fn status(dialect: &Dialect, answer: &[u8]) -> i32 {
    match dialect.protocol {
        "bolt" if answer[0] == 2 => i32::from(answer[12]) << 8 | i32::from(answer[13]),
        "bolt" => i32::from(answer[10]) << 8 | i32::from(answer[11]),
        "dubbo" => i32::from(answer[3]),
        "tars" => tars_status(answer),
        _ => exception(answer).unwrap_or(0),
    }
}

/// The field of tag 5, behind others of small numbers.
fn tars_status(answer: &[u8]) -> i32 {
    let mut at = 4;
    loop {
        let (tag, width) = (answer[at] >> 4, [1, 2, 4, 8].get(usize::from(answer[at] & 15)));
        let value = &answer[at + 1..at + 1 + width.copied().unwrap_or(0)];
        if tag == 5 {
            return match value {
                [] => 0,
                [byte] => i32::from(byte.cast_signed()),
                other => panic!("a status of {} bytes", other.len()),
            };
        }
        at += 1 + value.len();
    }
}

/// The type of an exception of Thrift's; `None` of a reply.
fn exception(answer: &[u8]) -> Option<i32> {
    let message = &answer[message_at(answer)..];
    let is_compact = message[0] == 0x82;
    let kind = if is_compact { message[1] >> 5 } else { message[3] };
    // The type is the last field, and an end of the struct behind it.
    let end = answer.len() - 1;
    match (kind, is_compact) {
        (3, true) => Some(i32::from(answer[end - 1]) >> 1),
        (3, false) => Some(i32::from_be_bytes(answer[end - 4..end].try_into().expect("four bytes"))),
        (kind, _) => {
            assert_eq!(kind, 2, "neither a reply nor an exception");
            None
        }
    }
}

/// Where the message of a Thrift frame begins, whatever stands in front of it.
fn message_at(frame: &[u8]) -> usize {
    let short = |at: usize| usize::from(frame[at]) << 8 | usize::from(frame[at + 1]);
    match frame[4..6] {
        // THeader: the header's length, in words, behind the sequence id.
        [0x0f, 0xff] => 14 + 4 * short(12),
        [0xda, 0xbc] => 4 + short(10),
        _ => 4,
    }
}

/// A call that nobody answers.
pub(super) fn one_way(dialect: &Dialect, mut call: Vec<u8>) -> Vec<u8> {
    match dialect.protocol {
        "bolt" => call[if dialect.name == "bolt 1" { 1 } else { 2 }] = 2,
        "dubbo" => call[2] &= !0x40,
        "tars" => {
            // The packet's type, which was zero and thus without a byte of its own.
            call.splice(6..7, [0x20, 1]);
            let length = call.len() as u32;
            call[..4].copy_from_slice(&length.to_be_bytes());
        }
        _ => {
            let at = message_at(&call);
            match call[at] {
                0x82 => call[at + 1] = 4 << 5 | 1,
                _ => call[at + 3] = 4,
            }
        }
    }
    dialect.sealed(call)
}

/// Whether nobody answers this call.
pub(super) fn is_one_way(dialect: &Dialect, call: &[u8]) -> bool {
    match dialect.protocol {
        "bolt" => call[if call[0] == 2 { 2 } else { 1 }] == 2,
        "dubbo" => call[2] & 0x40 == 0,
        "tars" => call[6] == 0x20,
        _ => match message_at(call) {
            at if call[at] == 0x82 => call[at + 1] >> 5 == 4,
            at => call[at + 3] == 4,
        },
    }
}

/// The text that all of the dialects' calls and answers have, replaced by a number.
pub(super) fn with_number(dialect: &Dialect, mut frame: Vec<u8>, number: u32) -> Vec<u8> {
    let at = text_at(&frame, b"hello");
    frame[at..at + 5].copy_from_slice(format!("{number:05}").as_bytes());
    dialect.sealed(frame)
}

/// The number that a frame was given.
pub(super) fn number(frame: &[u8], plain: &[u8]) -> u32 {
    let at = text_at(plain, b"hello");
    // From the end: nothing behind the text is written anew.
    let at = frame.len() - (plain.len() - at);
    let text = std::str::from_utf8(&frame[at..at + 5]).expect("digits");
    text.parse().unwrap_or_else(|_| panic!("no number: {text}"))
}

fn text_at(frame: &[u8], text: &[u8]) -> usize {
    frame.windows(text.len()).rposition(|window| window == text).expect("every frame has it")
}

/// How long its caller waits, as the call says itself; 0 where its dialect has no place for that.
pub(super) fn timeout_ms(dialect: &Dialect, call: &[u8]) -> u32 {
    let bytes = &call[timeout_place(dialect, call)];
    match dialect.protocol {
        "dubbo" => std::str::from_utf8(bytes).expect("digits").parse().expect("a number"),
        _ => bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)),
    }
}

/// A call whose caller waits so long.
pub(super) fn with_timeout(dialect: &Dialect, mut call: Vec<u8>, timeout_ms: u32) -> Vec<u8> {
    let place = timeout_place(dialect, &call);
    let bytes = match dialect.protocol {
        "dubbo" => format!("{timeout_ms:04}").into_bytes(),
        _ => timeout_ms.to_be_bytes()[4 - place.len()..].to_vec(),
    };
    call[place].copy_from_slice(&bytes);
    dialect.sealed(call)
}

fn timeout_place(dialect: &Dialect, call: &[u8]) -> std::ops::Range<usize> {
    let behind = |mark: &[u8], width: usize| {
        let at = text_at(call, mark) + mark.len();
        at..at + width
    };
    match dialect.protocol {
        "bolt" if call[0] == 2 => 12..16,
        "bolt" => 10..14,
        "dubbo" => behind(b"timeout\x04", 4),
        // Tag 8, two bytes, and an empty map behind.
        "tars" => {
            let end = call.len() - 4;
            end - 2..end
        }
        _ => 0..0,
    }
}

/// Whether a call says how long its caller waits.
pub(super) fn has_timeout(dialect: &Dialect) -> bool {
    matches!(dialect.protocol, "bolt" | "dubbo" | "tars")
}
