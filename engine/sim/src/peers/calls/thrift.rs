//! Thrift's frames: binary, compact, and with a THeader; and Dubbo's, which have an envelope around binary messages.

use super::frame::{Bytes, Frame, FrameKind, Traits, Wire, peek, put};

pub(super) struct Thrift;
pub(super) struct DubboThrift;

/// Dialects.
const BINARY: u8 = 0;
const COMPACT: u8 = 1;
const HEADER: u8 = 2;

/// The status of what is no exception; others are an exception's type.
const REPLY: i32 = -1;
const INTERNAL_ERROR: i32 = 6;

impl Wire for Thrift {
    fn traits(&self) -> Traits {
        Traits {
            name: "thrift",
            dialects: 3,
            has_ids: false,
            id_bits: 32,
            has_pings: false,
            has_go_away: false,
            statuses: &[200, 500],
        }
    }

    fn read(&self, bytes: &[u8]) -> Option<(Frame, usize)> {
        let length = 4 + peek(bytes, 0, 4)? as usize;
        assert!(length < 1 << 24, "the proxy writes a Thrift frame of {length} bytes");
        let frame = bytes.get(..length)?;
        let mut reader = Bytes::of(frame, 4);
        let mut pad = 0;
        let is_header = frame[4..6] == [0x0f, 0xff];
        if is_header {
            pad = read_header(&mut reader);
        }
        let mut read = read_message(&mut reader);
        if is_header {
            assert_eq!(read.dialect, BINARY, "the encoding behind a THeader");
            (read.dialect, read.pad) = (HEADER, pad);
        }
        Some((read, length))
    }

    fn write(&self, frame: &Frame, out: &mut Vec<u8>) {
        let begin = out.len();
        put(0, 4, out);
        if frame.dialect == HEADER {
            put(0x0fff_0000, 4, out);
            put(frame.id, 4, out);
            put(0, 2, out);
            let header = out.len();
            // Protocol, transforms, and a block of one pair.
            out.extend_from_slice(&[0, 0, 1, 1, 5]);
            out.extend_from_slice(b"x-pad");
            put_varint(frame.pad as u32, out);
            out.resize(out.len() + frame.pad, b'p');
            while !(out.len() - header).is_multiple_of(4) {
                out.push(0);
            }
            let words = ((out.len() - header) / 4) as u16;
            out[header - 2..header].copy_from_slice(&words.to_be_bytes());
        }
        write_message(frame, out);
        let length = (out.len() - begin - 4) as u32;
        out[begin..begin + 4].copy_from_slice(&length.to_be_bytes());
    }

    fn status_of(&self, http: u16) -> i32 {
        status_of(http)
    }

    fn garbage(&self, number: u8) -> Vec<u8> {
        match number % 3 {
            0 => b"\0\0\0\x20GET / HT".to_vec(),
            1 => b"\xff\xff\xff\xff\x80\x01\0\x01".to_vec(),
            _ => b"\0\0\0\x08\x80\x01\0\x09\0\0\0\0".to_vec(),
        }
    }
}

impl Wire for DubboThrift {
    fn traits(&self) -> Traits {
        let has_ids = true;
        Traits { name: "dubbo_thrift", dialects: 1, has_ids, id_bits: 64, ..Thrift.traits() }
    }

    fn read(&self, bytes: &[u8]) -> Option<(Frame, usize)> {
        let length = 4 + peek(bytes, 0, 4)? as usize;
        assert!(length < 1 << 24, "the proxy writes a frame of {length} bytes");
        let mut reader = Bytes::of(bytes.get(..length)?, 4);
        assert_eq!(reader.number(2), 0xdabc, "the magic number of a frame of Dubbo's Thrift");
        assert_eq!(reader.number(4) as usize, length - 4, "the second length of a frame of Dubbo's Thrift");
        let header = reader.number(2) as usize;
        assert_eq!(reader.number(1), 1, "the version of Dubbo's Thrift");
        let service_bytes = reader.number(4) as usize;
        let service = reader.text(service_bytes);
        let id = reader.number(8);
        assert_eq!(reader.at, 4 + header, "the length of the header of Dubbo's Thrift");
        let mut read = read_message(&mut reader);
        (read.id, read.service) = (id, service);
        Some((read, length))
    }

    fn write(&self, frame: &Frame, out: &mut Vec<u8>) {
        let begin = out.len();
        put(0, 4, out);
        put(0xdabc, 2, out);
        put(0, 4, out);
        put(frame.service.len() as u64 + 21, 2, out);
        out.push(1);
        put(frame.service.len() as u64, 4, out);
        out.extend_from_slice(frame.service.as_bytes());
        put(frame.id, 8, out);
        let plain = Frame { service: String::new(), ..frame.clone() };
        write_message(&plain, out);
        let length = ((out.len() - begin - 4) as u32).to_be_bytes();
        out[begin..begin + 4].copy_from_slice(&length);
        out[begin + 6..begin + 10].copy_from_slice(&length);
    }

    fn status_of(&self, http: u16) -> i32 {
        status_of(http)
    }

    fn garbage(&self, number: u8) -> Vec<u8> {
        match number % 3 {
            0 => b"\0\0\0\x20\xda\xbb\0\0".to_vec(),
            1 => b"\xff\xff\xff\xff\xda\xbc".to_vec(),
            // The two lengths differ.
            _ => b"\0\0\0\x40\xda\xbc\0\0\0\x41\0\x15\x01\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
        }
    }
}

fn status_of(http: u16) -> i32 {
    match http {
        200 => REPLY,
        404 => 1,
        400 | 413 | 431 => 7,
        401 | 403 | 408 | 429 | 500..=599 => INTERNAL_ERROR,
        _ => 0,
    }
}

/// Takes a THeader; tells the length of the pad among its pairs.
fn read_header(reader: &mut Bytes<'_>) -> usize {
    reader.at += 8;
    let words = reader.number(2) as usize;
    let end = reader.at + 4 * words;
    assert_eq!([read_varint(reader), read_varint(reader)], [0, 0], "a THeader's protocol and transforms");
    let mut pad = 0;
    if reader.at < end && read_varint(reader) == 1 {
        for _ in 0..read_varint(reader) {
            let mut next = || {
                let length = read_varint(reader) as usize;
                reader.text(length)
            };
            let (name, value) = (next(), next());
            if name == "x-pad" {
                pad = value.len();
            }
        }
    }
    assert!(reader.at <= end, "a THeader is longer than it says");
    reader.at = end;
    pad
}

/// Reads a message with a struct of one binary field, or an exception of the proxy's own.
fn read_message(reader: &mut Bytes<'_>) -> Frame {
    let is_compact = reader.bytes[reader.at] == 0x82;
    let kind;
    let id;
    let name;
    if is_compact {
        reader.at += 1;
        let byte = reader.number(1) as u8;
        assert_eq!(byte & 0x1f, 1, "the version of the compact protocol");
        kind = byte >> 5;
        id = read_varint(reader);
        let length = read_varint(reader) as usize;
        name = reader.text(length);
    } else {
        assert_eq!(reader.number(3), 0x0080_0100, "the version of the binary protocol");
        kind = reader.number(1) as u8;
        let length = reader.number(4) as usize;
        name = reader.text(length);
        id = reader.number(4) as u32;
    }
    let frame_kind = match kind {
        1 => FrameKind::Call,
        2 | 3 => FrameKind::Answer,
        4 => FrameKind::OneWay,
        other => panic!("the proxy writes a Thrift message of type {other}"),
    };
    let mut frame = Frame::new(frame_kind, u8::from(is_compact), u64::from(id));
    let (service, method) = name.split_once(':').unwrap_or(("", &name));
    (frame.service, frame.method) = (service.into(), method.into());
    frame.status = if kind == 2 { REPLY } else { 0 };
    read_struct(reader, is_compact, &mut frame);
    assert!(reader.is_at_end(), "bytes behind the struct of a Thrift message");
    frame
}

/// Field 1 is the payload, or an exception's text; field 2 its type.
fn read_struct(reader: &mut Bytes<'_>, is_compact: bool, frame: &mut Frame) {
    loop {
        let byte = reader.number(1) as u8;
        if byte == 0 {
            return;
        }
        if is_compact {
            match byte & 15 {
                8 => {
                    let length = read_varint(reader) as usize;
                    frame.payload = reader.take(length).to_vec();
                }
                5 => frame.status = (read_varint(reader) >> 1) as i32,
                other => panic!("a field of type {other} in a compact struct"),
            }
        } else {
            reader.at += 2;
            let number = reader.number(4);
            match byte {
                11 => frame.payload = reader.take(number as usize).to_vec(),
                8 => frame.status = number as i32,
                other => panic!("a field of type {other} in a binary struct"),
            }
        }
    }
}

fn write_message(frame: &Frame, out: &mut Vec<u8>) {
    let is_exception = frame.kind == FrameKind::Answer && frame.status != REPLY;
    let kind = match frame.kind {
        FrameKind::Call => 1,
        FrameKind::OneWay => 4,
        _ => 2 + u8::from(is_exception),
    };
    let separator = if frame.service.is_empty() { "" } else { ":" };
    let name = format!("{}{separator}{}", frame.service, frame.method);
    if frame.dialect == COMPACT {
        out.extend_from_slice(&[0x82, kind << 5 | 1]);
        put_varint(frame.id as u32, out);
        put_varint(name.len() as u32, out);
        out.extend_from_slice(name.as_bytes());
        out.push(0x18);
        put_varint(frame.payload.len() as u32, out);
        out.extend_from_slice(&frame.payload);
        if is_exception {
            out.push(0x15);
            put_varint((frame.status as u32) << 1, out);
        }
    } else {
        put(0x8001_0000 | u64::from(kind), 4, out);
        put(name.len() as u64, 4, out);
        out.extend_from_slice(name.as_bytes());
        put(frame.id & 0xffff_ffff, 4, out);
        out.extend_from_slice(&[11, 0, 1]);
        put(frame.payload.len() as u64, 4, out);
        out.extend_from_slice(&frame.payload);
        if is_exception {
            out.extend_from_slice(&[8, 0, 2]);
            put(frame.status as u64 & 0xffff_ffff, 4, out);
        }
    }
    out.push(0);
}

fn put_varint(mut number: u32, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn read_varint(reader: &mut Bytes<'_>) -> u32 {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = reader.number(1) as u32;
        number |= (byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return number;
        }
        shift += 7;
    }
}
