//! SOFABolt's frames: version 1, version 2, and version 2 with a checksum.

use super::frame::{Bytes, Frame, FrameKind, Traits, Wire, peek, put};

pub(super) struct Bolt;

/// Dialects.
const V1: u8 = 0;
const V2_CHECKED: u8 = 2;

const CLASS: &[u8] = b"com.alipay.sofa.rpc.core.request.SofaRequest";

impl Wire for Bolt {
    fn traits(&self) -> Traits {
        Traits {
            name: "bolt",
            dialects: 3,
            has_ids: true,
            id_bits: 32,
            has_pings: true,
            has_go_away: true,
            statuses: &[200, 500, 503, 504],
        }
    }

    fn read(&self, bytes: &[u8]) -> Option<(Frame, usize)> {
        let version = *bytes.first()?;
        assert!(matches!(version, 1 | 2), "a frame of the proxy has bolt's version {version}");
        let inner = usize::from(version == 2);
        let kind = peek(bytes, 1 + inner, 1)?;
        let fixed = 20 + 2 * inner + if kind == 0 { 0 } else { 2 };
        let lengths = fixed - 8;
        let [class, fields] = [0, 2].map(|at| peek(bytes, lengths + at, 2));
        let (class, fields) = (class? as usize, fields? as usize);
        let content = peek(bytes, lengths + 4, 4)? as usize;
        let is_checked = inner == 1 && bytes[1] > 1 && bytes[11] & 1 == 1;
        let behind = fixed + class + fields + content;
        let length = behind + if is_checked { 4 } else { 0 };
        let frame = bytes.get(..length)?;
        if is_checked {
            let told = peek(frame, behind, 4)? as u32;
            assert_eq!(told, checksum(&frame[..behind]), "the checksum of a frame of the proxy");
        }
        let mut reader = Bytes::of(frame, 2 + inner);
        let command = reader.number(2);
        reader.at += 1;
        let id = reader.number(4);
        let kind = match (kind, command) {
            (1, 1) => FrameKind::Call,
            (2, 1) => FrameKind::OneWay,
            (0, 2) => FrameKind::Answer,
            (1 | 2, 0) => FrameKind::Ping,
            (0, 0) => FrameKind::Pong,
            (1 | 2, 100) => FrameKind::GoAway,
            _ => panic!("the proxy writes a bolt frame of type {kind} with command {command}"),
        };
        let dialect = if is_checked { V2_CHECKED } else { inner as u8 };
        let mut read = Frame::new(kind, dialect, id);
        reader.at += 1 + inner;
        if matches!(kind, FrameKind::Answer | FrameKind::Pong) {
            read.status = reader.number(2) as i32;
        } else {
            read.timeout_ms = u32::try_from(reader.number(4) as u32 as i32).unwrap_or(0);
        }
        reader.at = fixed + class;
        while reader.at < fixed + class + fields {
            let length = reader.number(4) as usize;
            let name = reader.text(length);
            let length = reader.number(4) as usize;
            let value = reader.text(length);
            match name.as_str() {
                "service" => read.service = value,
                "sofa_head_method_name" => read.method = value,
                "x-pad" => read.pad = value.len(),
                _ => {}
            }
        }
        assert_eq!(
            reader.at,
            fixed + class + fields,
            "the fields of a bolt frame have another length than they say"
        );
        read.payload = reader.take(content).to_vec();
        Some((read, length))
    }

    fn write(&self, frame: &Frame, out: &mut Vec<u8>) {
        let begin = out.len();
        let is_second = frame.dialect != V1;
        let is_checked = frame.dialect == V2_CHECKED;
        let (kind, command) = match frame.kind {
            FrameKind::Call => (1, 1),
            FrameKind::OneWay => (2, 1),
            FrameKind::Answer => (0, 2),
            FrameKind::Ping => (1, 0),
            FrameKind::Pong => (0, 0),
            FrameKind::GoAway => (1, 100),
        };
        let (class, fields) = match frame.kind {
            FrameKind::Call | FrameKind::OneWay => (CLASS, fields_of(frame)),
            FrameKind::Answer => (&b"com.alipay.sofa.rpc.core.response.SofaResponse"[..], vec![]),
            _ => (&b""[..], vec![]),
        };
        out.push(if is_second { 2 } else { 1 });
        if is_second {
            out.push(if is_checked { 2 } else { 1 });
        }
        out.push(kind);
        put(command, 2, out);
        out.push(1);
        put(frame.id, 4, out);
        out.push(1);
        if is_second {
            out.push(u8::from(is_checked));
        }
        if kind == 0 {
            put(frame.status as u64 & 0xffff, 2, out);
        } else if frame.timeout_ms == 0 {
            put(0xffff_ffff, 4, out);
        } else {
            put(u64::from(frame.timeout_ms), 4, out);
        }
        put(class.len() as u64, 2, out);
        put(fields.len() as u64, 2, out);
        put(frame.payload.len() as u64, 4, out);
        out.extend_from_slice(class);
        out.extend_from_slice(&fields);
        out.extend_from_slice(&frame.payload);
        if is_checked {
            let sum = checksum(&out[begin..]);
            put(u64::from(sum), 4, out);
        }
    }

    fn status_of(&self, http: u16) -> i32 {
        match http {
            200 => 0,
            400 | 413 | 431 => 9,
            401 | 403 | 500 => 2,
            404 => 6,
            408 | 504 => 7,
            429 | 503 => 4,
            502 => 16,
            _ => 3,
        }
    }

    fn garbage(&self, number: u8) -> Vec<u8> {
        match number % 4 {
            0 => b"\x03\x01\x00\x01".to_vec(),
            // An unknown type, an unknown command, and a content of four gigabytes.
            1 => b"\x01\x09\x00\x01\x01\0\0\0\x07\x01\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
            2 => b"\x01\x01\x12\x34\x01\0\0\0\x07\x01\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
            _ => b"\x01\x01\x00\x01\x01\0\0\0\x07\x01\0\0\0\0\0\0\0\0\xff\xff\xff\xff".to_vec(),
        }
    }
}

fn fields_of(frame: &Frame) -> Vec<u8> {
    let mut block = vec![];
    let pad = "p".repeat(frame.pad);
    let named =
        [("x-pad", pad.as_str()), ("service", &frame.service), ("sofa_head_method_name", &frame.method)];
    for text in named.iter().flat_map(|(name, value)| [*name, *value]) {
        put(text.len() as u64, 4, &mut block);
        block.extend_from_slice(text.as_bytes());
    }
    block
}

/// CRC-32 as zip files have it, by half bytes.
fn checksum(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 16] = table();
    let mut sum = !0u32;
    for byte in bytes {
        sum ^= u32::from(*byte);
        sum = TABLE[(sum & 15) as usize] ^ (sum >> 4);
        sum = TABLE[(sum & 15) as usize] ^ (sum >> 4);
    }
    !sum
}

const fn table() -> [u32; 16] {
    let (mut table, mut at) = ([0; 16], 0);
    while at < 16 {
        let (mut sum, mut bit) = (at as u32, 0);
        while bit < 4 {
            sum = if sum & 1 == 1 { 0xedb8_8320 ^ (sum >> 1) } else { sum >> 1 };
            bit += 1;
        }
        table[at] = sum;
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_of_zip_files() {
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
    }
}
