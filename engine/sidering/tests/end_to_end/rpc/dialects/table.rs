//! The table of the layouts, and their frames byte by byte.

use super::super::others::golden;
use super::{Dialect, Length, Width};

const fn length(what: &'static str, places: &'static [usize], width: Width, max: u32) -> Length {
    Length { what, places, width, max }
}

const SIGNED: u32 = i32::MAX as u32;
const SHORT: u32 = u16::MAX as u32;

/// Every layout of every protocol of calls.
pub(in crate::rpc) static DIALECTS: [Dialect; 9] = [
    Dialect {
        name: "bolt 1",
        protocol: "bolt",
        call: || golden("bolt request"),
        answer: || golden("bolt response"),
        id_at: (5, 5),
        id_bytes: 4,
        id: |call| number(&call[5..9]),
        length: bolt_length,
        call_lengths: &[
            length("class", &[14], Width::Two, SHORT),
            length("fields", &[16], Width::Two, SHORT),
            length("content", &[18], Width::Four, SIGNED),
            length("a field's name", &[66], Width::Four, SHORT),
            length("a field's value", &[77], Width::Four, SHORT),
        ],
        answer_lengths: &[
            length("class", &[12], Width::Two, SHORT),
            length("fields", &[14], Width::Two, SHORT),
            length("content", &[16], Width::Four, SIGNED),
        ],
        has_ids: true,
        ping: Some(|| golden("bolt heartbeat request")),
        pong: Some(|| golden("bolt heartbeat reply")),
        seal: |_| {},
    },
    Dialect {
        name: "bolt 2",
        protocol: "bolt",
        call: || golden("boltv2 request"),
        answer: || golden("boltv2 response"),
        id_at: (6, 6),
        id_bytes: 4,
        id: |call| number(&call[6..10]),
        length: bolt_length,
        call_lengths: BOLT_2_CALL,
        answer_lengths: BOLT_2_ANSWER,
        has_ids: true,
        ping: Some(|| golden("boltv2 heartbeat request")),
        pong: Some(|| golden("boltv2 heartbeat reply")),
        seal: |_| {},
    },
    Dialect {
        name: "bolt 2 with a checksum",
        protocol: "bolt",
        call: || with_room_for_checksum(golden("boltv2 request")),
        answer: || with_room_for_checksum(golden("boltv2 response")),
        id_at: (6, 6),
        id_bytes: 4,
        id: |call| number(&call[6..10]),
        length: bolt_length,
        call_lengths: BOLT_2_CALL,
        answer_lengths: BOLT_2_ANSWER,
        has_ids: true,
        ping: None,
        pong: None,
        seal: |frame| {
            let end = frame.len() - 4;
            let checksum = crc32(&frame[..end]);
            frame[end..].copy_from_slice(&checksum.to_be_bytes());
        },
    },
    Dialect {
        name: "Dubbo",
        protocol: "dubbo",
        call: || golden("dubbo request"),
        answer: || golden("dubbo response"),
        id_at: (4, 4),
        id_bytes: 8,
        id: |call| number(&call[8..12]),
        length: |bytes| Some(16 + number(bytes.get(12..16)?) as usize),
        call_lengths: &[
            length("body", &[12], Width::Four, SIGNED),
            length("protocol version", &[16], Width::One, 0x1f),
            length("service", &[22], Width::One, 0x1f),
            length("method", &[48], Width::One, 0x1f),
            length("argument", &[72], Width::One, 0x1f),
        ],
        answer_lengths: &[length("body", &[12], Width::Four, SIGNED)],
        has_ids: true,
        ping: Some(|| golden("dubbo heartbeat request")),
        pong: Some(|| golden("dubbo heartbeat reply")),
        seal: |_| {},
    },
    Dialect {
        name: "Tars",
        protocol: "tars",
        call: tars_call,
        answer: tars_answer,
        id_at: (9, 8),
        id_bytes: 4,
        id: super::super::others::tars_id,
        length: |bytes| Some(number(bytes.get(..4)?) as usize),
        call_lengths: &[
            length("packet", &[0], Width::Four, SIGNED),
            length("servant", &[14], Width::Four, SIGNED),
            length("function", &[27], Width::Four, SIGNED),
            length("buffer", &[38], Width::Four, SIGNED),
        ],
        answer_lengths: &[
            length("packet", &[0], Width::Four, SIGNED),
            length("buffer", &[17], Width::Four, SIGNED),
        ],
        has_ids: true,
        ping: Some(|| golden("tars heartbeat request")),
        pong: Some(|| golden("tars heartbeat reply")),
        seal: |_| {},
    },
    Dialect {
        name: "Dubbo Thrift",
        protocol: "dubbo_thrift",
        call: || golden("dubbo-thrift request"),
        answer: || golden("dubbo-thrift response"),
        id_at: (36, 36),
        id_bytes: 8,
        id: |call| number(&call[40..44]),
        length: |bytes| Some(4 + number(bytes.get(..4)?) as usize),
        call_lengths: DUBBO_THRIFT,
        answer_lengths: DUBBO_THRIFT,
        has_ids: true,
        ping: None,
        pong: None,
        seal: |_| {},
    },
    Dialect {
        name: "Thrift, binary",
        protocol: "thrift",
        call: || thrift_binary(1),
        answer: || thrift_binary(2),
        id_at: (16, 16),
        id_bytes: 4,
        id: |call| number(&call[16..20]),
        length: thrift_length,
        call_lengths: THRIFT_BINARY,
        answer_lengths: THRIFT_BINARY,
        has_ids: false,
        ping: None,
        pong: None,
        seal: |_| {},
    },
    Dialect {
        name: "Thrift, compact",
        protocol: "thrift",
        call: || thrift_compact(1),
        answer: || thrift_compact(2),
        id_at: (10, 10),
        // Its highest seven bits, so ids are small.
        id_bytes: 1,
        id: |call| u32::from(call[10]),
        length: thrift_length,
        call_lengths: THRIFT_COMPACT,
        answer_lengths: THRIFT_COMPACT,
        has_ids: false,
        ping: None,
        pong: None,
        seal: |_| {},
    },
    Dialect {
        name: "Thrift with headers",
        protocol: "thrift",
        call: || thrift_header(1),
        answer: || thrift_header(2),
        id_at: (38, 38),
        id_bytes: 4,
        id: |call| number(&call[38..42]),
        length: thrift_length,
        call_lengths: THRIFT_HEADER,
        answer_lengths: THRIFT_HEADER,
        has_ids: false,
        ping: None,
        pong: None,
        seal: |_| {},
    },
];

const BOLT_2_CALL: &[Length] = &[
    length("class", &[16], Width::Two, SHORT),
    length("fields", &[18], Width::Two, SHORT),
    length("content", &[20], Width::Four, SIGNED),
    length("a field's name", &[68], Width::Four, SHORT),
];
const BOLT_2_ANSWER: &[Length] = &[
    length("class", &[14], Width::Two, SHORT),
    length("fields", &[16], Width::Two, SHORT),
    length("content", &[18], Width::Four, SIGNED),
];
const DUBBO_THRIFT: &[Length] = &[
    length("both", &[0, 6], Width::Four, SIGNED),
    length("frame", &[0], Width::Four, SIGNED),
    length("message", &[6], Width::Four, SIGNED),
    length("header", &[10], Width::Two, SHORT),
    length("service", &[13], Width::Four, SIGNED),
    length("method", &[48], Width::Four, SIGNED),
];
/// From there on lengths mean another framing.
const THRIFT_FRAME: u32 = 0x3fff_ffff;
const THRIFT_BINARY: &[Length] =
    &[length("frame", &[0], Width::Four, THRIFT_FRAME), length("method", &[8], Width::Four, SIGNED)];
const THRIFT_COMPACT: &[Length] =
    &[length("frame", &[0], Width::Four, THRIFT_FRAME), length("method", &[11], Width::Varint, SIGNED)];
const THRIFT_HEADER: &[Length] = &[
    length("frame", &[0], Width::Four, THRIFT_FRAME),
    length("header", &[12], Width::Two, SHORT),
    length("info headers", &[17], Width::One, 0x7f),
    length("a name", &[18], Width::One, 0x7f),
    length("a value", &[20], Width::One, 0x7f),
    length("method", &[30], Width::Four, SIGNED),
];

fn bolt_length(bytes: &[u8]) -> Option<usize> {
    let [version, ..] = *bytes else { return None };
    let is_second = version == 2;
    let kind = *bytes.get(if is_second { 2 } else { 1 })?;
    let fixed = 20 + 2 * usize::from(is_second) + if kind == 0 { 0 } else { 2 };
    let lengths = bytes.get(fixed - 8..fixed)?;
    let rest =
        number(&lengths[..2]) as usize + number(&lengths[2..4]) as usize + number(&lengths[4..]) as usize;
    let has_checksum = is_second && bytes[1] > 1 && bytes[11] & 1 == 1;
    Some(fixed + rest + if has_checksum { 4 } else { 0 })
}

fn thrift_length(bytes: &[u8]) -> Option<usize> {
    Some(4 + number(bytes.get(..4)?) as usize)
}

/// As a frame of bolt 2 whose inner version and switch announce a checksum.
fn with_room_for_checksum(mut frame: Vec<u8>) -> Vec<u8> {
    frame[1] = 2;
    frame[11] = 1;
    frame.extend_from_slice(&[0; 4]);
    frame
}

/// In whose every length four bytes tell it.
fn tars_call() -> Vec<u8> {
    let mut packet = vec![0x10, 1, 0x2c, 0x3c, 0x42, 0, 0, 0, 0];
    packet.extend_from_slice(b"\x57\x00\x00\x00\x08Test.Obj");
    packet.extend_from_slice(b"\x67\x00\x00\x00\x04echo");
    packet.extend_from_slice(b"\x7d\x00\x02\x00\x00\x00\x05hello");
    packet.extend_from_slice(&[0x81, 0x0b, 0xb8, 0x98, 0x0c, 0xa8, 0x0c]);
    [&(packet.len() as u32 + 4).to_be_bytes()[..], &packet].concat()
}

fn tars_answer() -> Vec<u8> {
    let mut packet = vec![0x10, 1, 0x2c, 0x32, 0, 0, 0, 0, 0x4c, 0x5c];
    packet.extend_from_slice(b"\x6d\x00\x02\x00\x00\x00\x05hello");
    packet.extend_from_slice(&[0x78, 0x0c, 0x86, 0, 0x98, 0x0c]);
    [&(packet.len() as u32 + 4).to_be_bytes()[..], &packet].concat()
}

fn thrift_binary(kind: u8) -> Vec<u8> {
    framed(&thrift_message(kind))
}

fn thrift_message(kind: u8) -> Vec<u8> {
    let mut message = vec![0x80, 1, 0, kind, 0, 0, 0, 4];
    message.extend_from_slice(b"echo\0\0\0\0");
    message.extend_from_slice(b"\x0b\x00\x01\x00\x00\x00\x05hello\x00");
    message
}

fn thrift_compact(kind: u8) -> Vec<u8> {
    let mut message = vec![0x82, kind << 5 | 1];
    message.extend_from_slice(&[0x80, 0x80, 0x80, 0x80, 0]);
    message.extend_from_slice(&padded_varint(4));
    message.extend_from_slice(b"echo\x18\x05hello\x00");
    framed(&message)
}

/// Binary, behind one info header.
fn thrift_header(kind: u8) -> Vec<u8> {
    let mut frame = vec![0x0f, 0xff, 0, 0, 0, 0, 0, 7, 0, 3];
    frame.extend_from_slice(&[0, 0, 1, 1, 1, b'k', 1, b'v', 0, 0, 0, 0]);
    frame.extend_from_slice(&thrift_message(kind));
    framed(&frame)
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u32).to_be_bytes()[..], message].concat()
}

pub(super) fn padded_varint(value: u32) -> [u8; 5] {
    let mut bytes = [0; 5];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = (value >> (7 * index)) as u8 & 0x7f | if index < 4 { 0x80 } else { 0 };
    }
    bytes
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// As java.util.zip.CRC32 has it, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let mut checksum = u32::MAX;
    for byte in bytes {
        checksum ^= u32::from(*byte);
        for _ in 0..8 {
            checksum = checksum >> 1 ^ if checksum & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    !checksum
}
