//! Tars' packets.

use super::frame::{Bytes, Frame, FrameKind, Traits, Wire, peek, put};

pub(super) struct Tars;

/// The dialects differ in how wide integers are written, which a reader must not mind.
const WIDE: u8 = 1;

/// A field's value, as far as anybody looks at it.
enum Value {
    Int(i64),
    Bytes(Vec<u8>),
    Pairs(Vec<(String, String)>),
}

impl Wire for Tars {
    fn traits(&self) -> Traits {
        Traits {
            name: "tars",
            dialects: 2,
            has_ids: true,
            id_bits: 32,
            has_pings: true,
            has_go_away: false,
            statuses: &[200, 500, 503, 504],
        }
    }

    fn read(&self, bytes: &[u8]) -> Option<(Frame, usize)> {
        let length = peek(bytes, 0, 4)? as usize;
        assert!(length < 1 << 24, "the proxy writes a Tars packet of {length} bytes");
        let mut reader = Bytes::of(bytes.get(..length)?, 4);
        let mut fields: Vec<Option<Value>> = (0..16).map(|_| None).collect();
        while !reader.is_at_end() {
            let (tag, kind) = read_tag(&mut reader);
            let value = read_value(&mut reader, kind);
            assert!(fields[tag].replace(value).is_none(), "a Tars packet has field {tag} twice");
        }
        Some((frame_of(&fields), length))
    }

    fn write(&self, frame: &Frame, out: &mut Vec<u8>) {
        let begin = out.len();
        put(0, 4, out);
        let is_wide = frame.dialect == WIDE;
        let id = i64::from(frame.id as u32 as i32);
        put_int(1, 1, is_wide, out);
        put_int(2, i64::from(frame.kind == FrameKind::OneWay), is_wide, out);
        if matches!(frame.kind, FrameKind::Answer | FrameKind::Pong) {
            put_int(3, id, is_wide, out);
            put_int(4, 0, is_wide, out);
            put_int(5, i64::from(frame.status), is_wide, out);
            put_bytes(6, &frame.payload, out);
            put_pairs(7, &[], out);
            put_text(8, "", out);
            put_pairs(9, &[], out);
        } else {
            let method = if frame.kind == FrameKind::Ping { "tars_ping" } else { &frame.method };
            put_int(3, 0, is_wide, out);
            put_int(4, id, is_wide, out);
            put_text(5, &frame.service, out);
            put_text(6, method, out);
            put_bytes(7, &frame.payload, out);
            put_int(8, i64::from(frame.timeout_ms), is_wide, out);
            put_pairs(9, &[("x-pad", "p".repeat(frame.pad))], out);
            put_pairs(10, &[], out);
        }
        let length = (out.len() - begin) as u32;
        out[begin..begin + 4].copy_from_slice(&length.to_be_bytes());
    }

    fn status_of(&self, http: u16) -> i32 {
        match http {
            200 => 0,
            400 | 413 | 431 => -1,
            404 => -4,
            408 | 504 => -7,
            502 => -8,
            429 | 503 => -9,
            _ => -99,
        }
    }

    fn garbage(&self, number: u8) -> Vec<u8> {
        match number % 3 {
            // Shorter than itself, longer than there is room for, and a field of no type.
            0 => b"\0\0\0\x03\x10\x01".to_vec(),
            1 => b"\xff\xff\xff\xff\x10\x01".to_vec(),
            _ => b"\0\0\0\x20\x1e\x1e\x1e\x1e".to_vec(),
        }
    }
}

fn frame_of(fields: &[Option<Value>]) -> Frame {
    let int = |tag: usize| match &fields[tag] {
        Some(Value::Int(number)) => *number,
        _ => panic!("field {tag} of a Tars packet is no integer"),
    };
    let bytes = |tag: usize| match &fields[tag] {
        Some(Value::Bytes(bytes)) => bytes.clone(),
        _ => panic!("field {tag} of a Tars packet is neither bytes nor a text"),
    };
    let text = |tag| String::from_utf8_lossy(&bytes(tag)).into_owned();
    if matches!(fields[5], Some(Value::Int(_))) {
        let mut frame = Frame::new(FrameKind::Answer, 0, u64::from(int(3) as i32 as u32));
        frame.status = int(5) as i32;
        frame.payload = bytes(6);
        return frame;
    }
    let method = text(6);
    let kind = match (method.as_str(), int(2)) {
        ("tars_ping", _) => FrameKind::Ping,
        (_, 1) => FrameKind::OneWay,
        _ => FrameKind::Call,
    };
    let mut frame = Frame::new(kind, 0, u64::from(int(4) as i32 as u32));
    (frame.service, frame.method, frame.payload) = (text(5), method, bytes(7));
    frame.timeout_ms = u32::try_from(int(8)).unwrap_or(0);
    if let Some(Value::Pairs(pairs)) = &fields[9] {
        frame.pad = pairs.iter().filter(|(name, _)| name == "x-pad").map(|(_, value)| value.len()).sum();
    }
    frame
}

fn read_tag(reader: &mut Bytes<'_>) -> (usize, u8) {
    let byte = reader.number(1) as u8;
    let tag = usize::from(byte >> 4);
    let tag = if tag == 15 { reader.number(1) as usize } else { tag };
    (tag, byte & 15)
}

fn read_int(reader: &mut Bytes<'_>) -> i64 {
    let (_, kind) = read_tag(reader);
    match read_value(reader, kind) {
        Value::Int(number) => number,
        _ => panic!("a length of a Tars packet is no integer"),
    }
}

fn read_value(reader: &mut Bytes<'_>, kind: u8) -> Value {
    match kind {
        0 => Value::Int(i64::from(reader.number(1) as i8)),
        1 => Value::Int(i64::from(reader.number(2) as i16)),
        2 => Value::Int(i64::from(reader.number(4) as i32)),
        3 => Value::Int(reader.number(8) as i64),
        12 => Value::Int(0),
        6 | 7 => {
            let length = reader.number(if kind == 6 { 1 } else { 4 }) as usize;
            Value::Bytes(reader.take(length).to_vec())
        }
        13 => {
            assert_eq!(read_tag(reader), (0, 0), "a simple list of anything but bytes");
            let length = read_int(reader) as usize;
            Value::Bytes(reader.take(length).to_vec())
        }
        8 => {
            let count = read_int(reader);
            let mut next = || {
                let (_, kind) = read_tag(reader);
                match read_value(reader, kind) {
                    Value::Bytes(text) => String::from_utf8_lossy(&text).into_owned(),
                    _ => panic!("a map of anything but texts"),
                }
            };
            Value::Pairs((0..count).map(|_| (next(), next())).collect())
        }
        other => panic!("the proxy writes a Tars field of type {other}"),
    }
}

fn put_int(tag: u8, number: i64, is_wide: bool, out: &mut Vec<u8>) {
    let (kind, bytes) = match number {
        _ if is_wide => (2, 4),
        0 => (12, 0),
        -128..=127 => (0, 1),
        -32_768..=32_767 => (1, 2),
        _ => (2, 4),
    };
    out.push(tag << 4 | kind);
    put(number as u64, bytes, out);
}

fn put_text(tag: u8, text: &str, out: &mut Vec<u8>) {
    let is_short = text.len() < 256;
    out.push(tag << 4 | if is_short { 6 } else { 7 });
    put(text.len() as u64, if is_short { 1 } else { 4 }, out);
    out.extend_from_slice(text.as_bytes());
}

fn put_bytes(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&[tag << 4 | 13, 0]);
    put_int(0, bytes.len() as i64, false, out);
    out.extend_from_slice(bytes);
}

fn put_pairs(tag: u8, pairs: &[(&str, String)], out: &mut Vec<u8>) {
    out.push(tag << 4 | 8);
    put_int(0, pairs.len() as i64, false, out);
    for (name, value) in pairs {
        put_text(0, name, out);
        put_text(1, value, out);
    }
}
