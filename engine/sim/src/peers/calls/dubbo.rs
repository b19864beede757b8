//! Dubbo's frames with hessian2 bodies.

use super::frame::{Bytes, Frame, FrameKind, Traits, Wire, peek, put};

pub(super) struct Dubbo;

const HEADER: usize = 16;
const OK: i32 = 20;
/// Bytes in one chunk of binary data.
const CHUNK: usize = 32_768;

impl Wire for Dubbo {
    fn traits(&self) -> Traits {
        Traits {
            name: "dubbo",
            dialects: 1,
            has_ids: true,
            id_bits: 64,
            has_pings: true,
            has_go_away: true,
            statuses: &[200, 500, 503, 504],
        }
    }

    fn read(&self, bytes: &[u8]) -> Option<(Frame, usize)> {
        let begin = &bytes[..bytes.len().min(2)];
        assert!(b"\xda\xbb".starts_with(begin), "the proxy writes what is no Dubbo frame: {begin:?}");
        let length = HEADER + peek(bytes, 12, 4)? as usize;
        let frame = bytes.get(..length)?;
        let (flags, status, id) = (frame[2], i32::from(frame[3]), peek(frame, 4, 8)?);
        assert_eq!(flags & 0x1f, 2, "the serialization of a Dubbo frame of the proxy");
        let mut reader = Bytes::of(frame, HEADER);
        let is_event = flags & 0x20 != 0;
        let kind = match (flags & 0x80 != 0, is_event, flags & 0x40 != 0) {
            (true, false, true) => FrameKind::Call,
            (true, false, false) => FrameKind::OneWay,
            (true, true, true) => FrameKind::Ping,
            (true, true, false) => {
                assert_eq!(&frame[HEADER..], b"\x01R", "an event that nobody knows");
                FrameKind::GoAway
            }
            (false, true, _) => FrameKind::Pong,
            (false, false, _) => FrameKind::Answer,
        };
        let mut read = Frame::new(kind, 0, id);
        match kind {
            FrameKind::Call | FrameKind::OneWay => {
                let [_, service, _, method, _] = [(); 5].map(|()| read_text(&mut reader));
                (read.service, read.method) = (service, method);
                read.payload = read_binary(&mut reader);
                assert_eq!(reader.take(1), b"H", "the attachments of a Dubbo call");
                while reader.bytes[reader.at] != b'Z' {
                    let (name, value) = (read_text(&mut reader), read_text(&mut reader));
                    if name == "x-pad" {
                        read.pad = value.len();
                    }
                }
                reader.at += 1;
                assert!(reader.is_at_end(), "bytes behind the attachments of a Dubbo call");
            }
            FrameKind::Answer => {
                read.status = status;
                if frame.get(HEADER) == Some(&0x91) {
                    reader.at += 1;
                    read.payload = read_binary(&mut reader);
                } else if status != OK && matches!(frame.get(HEADER), Some(b'A' | b'B')) {
                    read.payload = read_binary(&mut reader);
                }
            }
            FrameKind::Ping | FrameKind::Pong => {
                assert_eq!(&frame[HEADER..], b"N", "the body of a heartbeat");
            }
            FrameKind::GoAway => {}
        }
        Some((read, length))
    }

    fn write(&self, frame: &Frame, out: &mut Vec<u8>) {
        let begin = out.len();
        let flags = match frame.kind {
            FrameKind::Call => 0xc2,
            FrameKind::OneWay => 0x82,
            FrameKind::Answer => 0x02,
            FrameKind::Ping => 0xe2,
            FrameKind::Pong => 0x22,
            FrameKind::GoAway => 0xa2,
        };
        out.extend_from_slice(b"\xda\xbb");
        let status = match frame.kind {
            FrameKind::Answer => frame.status as u8,
            FrameKind::Pong => OK as u8,
            _ => 0,
        };
        out.extend_from_slice(&[flags, status]);
        put(frame.id, 8, out);
        put(0, 4, out);
        match frame.kind {
            FrameKind::Call | FrameKind::OneWay => {
                for text in ["2.0.2", &frame.service, "1.0", &frame.method, "[B"] {
                    write_text(text, out);
                }
                write_binary(&frame.payload, out);
                out.push(b'H');
                write_text("x-pad", out);
                write_text(&"p".repeat(frame.pad), out);
                out.push(b'Z');
            }
            FrameKind::Answer => {
                if frame.status == OK {
                    out.push(0x91);
                }
                write_binary(&frame.payload, out);
            }
            FrameKind::Ping | FrameKind::Pong => out.push(b'N'),
            FrameKind::GoAway => out.extend_from_slice(b"\x01R"),
        }
        let length = (out.len() - begin - HEADER) as u32;
        out[begin + 12..begin + HEADER].copy_from_slice(&length.to_be_bytes());
    }

    fn status_of(&self, http: u16) -> i32 {
        match http {
            200 => OK,
            400 | 413 | 431 => 40,
            404 => 60,
            408 | 504 => 31,
            401 | 403 | 502 => 80,
            429 | 503 => 100,
            _ => 70,
        }
    }

    fn garbage(&self, number: u8) -> Vec<u8> {
        match number % 2 {
            0 => b"\xda\xbc\xc2\0".to_vec(),
            _ => b"\xda\xbb\xc2\0\0\0\0\0\0\0\0\x01\xff\xff\xff\xff".to_vec(),
        }
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    match text.len() {
        length @ 0..32 => out.push(length as u8),
        length @ 32..1024 => put(0x3000 | length as u64, 2, out),
        length => {
            out.push(b'S');
            put(length as u64, 2, out);
        }
    }
    out.extend_from_slice(text.as_bytes());
}

fn read_text(reader: &mut Bytes<'_>) -> String {
    let length = match reader.number(1) as usize {
        length @ 0..32 => length,
        high @ 0x30..=0x33 => (high & 3) << 8 | reader.number(1) as usize,
        0x53 => reader.number(2) as usize,
        other => panic!("no text of hessian2 begins with {other:#x}"),
    };
    reader.text(length)
}

fn write_binary(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    while rest.len() > CHUNK {
        let (chunk, behind) = rest.split_at(CHUNK);
        out.push(b'A');
        put(CHUNK as u64, 2, out);
        out.extend_from_slice(chunk);
        rest = behind;
    }
    out.push(b'B');
    put(rest.len() as u64, 2, out);
    out.extend_from_slice(rest);
}

fn read_binary(reader: &mut Bytes<'_>) -> Vec<u8> {
    let mut bytes = vec![];
    loop {
        let kind = reader.number(1) as u8;
        assert!(matches!(kind, b'A' | b'B'), "no binary data of hessian2 begins with {kind:#x}");
        let length = reader.number(2) as usize;
        bytes.extend_from_slice(reader.take(length));
        if kind == b'B' {
            return bytes;
        }
    }
}
