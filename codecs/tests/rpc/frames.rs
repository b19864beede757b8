//! Frames made of the golden ones: with another id, with a payload of any length, one-way, with a checksum.

use crate::proxy::Kind;
use crate::support::{LIMITS, golden, outline, rewritten};
use sidering_codecs::bolt::Bolt;
use sidering_codecs::dubbo::Dubbo;
use sidering_codecs::dubbo_thrift::DubboThrift;
use sidering_codecs::edits::Edits;
use sidering_codecs::rpc::Frame;
use sidering_codecs::tars::Tars;
use sidering_codecs::thrift::Thrift;

impl Kind {
    /// The frame with another id.
    pub(crate) fn with_id(self, frame: &[u8], id: u64) -> Vec<u8> {
        let edits = Edits::default();
        match self.protocol {
            "bolt" => rewritten::<Bolt>(frame, id, &edits),
            "dubbo" => rewritten::<Dubbo>(frame, id, &edits),
            "tars" => rewritten::<Tars>(frame, id, &edits),
            "thrift" => rewritten::<Thrift>(frame, id, &edits),
            _ => rewritten::<DubboThrift>(frame, id, &edits),
        }
    }

    /// The outline of the frame that these bytes begin with.
    pub(crate) fn outline(self, bytes: &[u8]) -> Frame {
        match self.protocol {
            "bolt" => outline::<Bolt>(bytes, &LIMITS),
            "dubbo" => outline::<Dubbo>(bytes, &LIMITS),
            "tars" => outline::<Tars>(bytes, &LIMITS),
            "thrift" => outline::<Thrift>(bytes, &LIMITS),
            _ => outline::<DubboThrift>(bytes, &LIMITS),
        }
    }

    pub(crate) fn id_of(self, bytes: &[u8]) -> u64 {
        self.outline(bytes).id
    }

    /// The frames that these bytes are.
    pub(crate) fn split(self, mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let (frame, rest) = bytes.split_at(self.outline(bytes).total_bytes() as usize);
            frames.push(frame.to_vec());
            bytes = rest;
        }
        frames
    }

    /// A call with so many bytes of payload behind what the golden one has.
    pub(crate) fn request_of(self, payload: &[u8]) -> Vec<u8> {
        let content_length_at = if self.title == "boltv2" { 20 } else { 18 };
        self.grown(self.request(), content_length_at, payload)
    }

    /// An answer likewise.
    pub(crate) fn response_of(self, payload: &[u8]) -> Vec<u8> {
        let content_length_at = if self.title == "boltv2" { 18 } else { 16 };
        self.grown(self.response(), content_length_at, payload)
    }

    fn grown(self, mut frame: Vec<u8>, content_length_at: usize, payload: &[u8]) -> Vec<u8> {
        let more = payload.len() as u32;
        match self.protocol {
            "tars" => {
                let at = find(&frame, b"\x0d\x00\x00\x05hello", 0x0f);
                let length = u32::to_be_bytes(5 + more);
                frame.splice(at + 9..at + 9, payload.iter().copied());
                frame.splice(at + 2..at + 4, [2, length[0], length[1], length[2], length[3]]);
                let total = frame.len() as u32;
                frame[..4].copy_from_slice(&total.to_be_bytes());
            }
            protocol => {
                frame.extend_from_slice(payload);
                let places: &[usize] = match protocol {
                    "bolt" => &[content_length_at],
                    "dubbo" => &[12],
                    "thrift" => &[0],
                    _ => &[0, 6],
                };
                for &at in places {
                    let length = u32::from_be_bytes(frame[at..at + 4].try_into().unwrap()) + more;
                    frame[at..at + 4].copy_from_slice(&length.to_be_bytes());
                }
            }
        }
        frame
    }

    /// The call that wants no answer.
    pub(crate) fn one_way(self) -> Vec<u8> {
        let mut frame = self.request();
        match self.title {
            "bolt" => frame[1] = 2,
            "boltv2" => frame[2] = 2,
            "dubbo" => frame[2] &= !0x40,
            "tars" => {
                assert_eq!(frame[6], 0x2c, "the packet's type is a zero");
                frame.splice(6..7, [0x20, 1]);
                frame[3] += 1;
            }
            _ => {
                let at = find(&frame, b"\x80\x01\x00\x01", 0xff);
                frame[at + 3] = 4;
            }
        }
        frame
    }
}

/// Where `part` begins, of whose first byte only `mask` is compared.
fn find(frame: &[u8], part: &[u8], mask: u8) -> usize {
    let begins = |window: &[u8]| window[0] & mask == part[0] & mask && window[1..] == part[1..];
    frame.windows(part.len()).position(begins).expect("the part is there")
}

/// A frame of bolt v2 with its checksum.
pub(crate) fn with_checksum(mut frame: Vec<u8>) -> Vec<u8> {
    frame[1] = 2;
    frame[11] |= 1;
    let checksum = crc32(&frame);
    frame.extend_from_slice(&checksum.to_be_bytes());
    frame
}

/// CRC-32, bit by bit.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

/// Thrift, whose frames are made here: its calls have no ids.
pub(crate) const THRIFT: Kind = Kind { title: "thrift", protocol: "thrift" };

/// A framed message of the binary protocol.
pub(crate) fn thrift(kind: u8, sequence_id: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0, 0, 0, 0, 0x80, 1, 0, kind, 0, 0, 0, 8];
    frame.extend_from_slice(b"svc:ping");
    frame.extend_from_slice(&sequence_id.to_be_bytes());
    frame.extend_from_slice(payload);
    let length = frame.len() as u32 - 4;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame
}

/// A heartbeat of a peer's.
pub(crate) fn heartbeat(kind: Kind) -> Vec<u8> {
    golden(&format!("{} heartbeat request", kind.title))
}
