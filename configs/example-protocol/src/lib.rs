//! The protocol `example`: a worked example of a codec that lives outside of Sidering. It is small, and has all that a protocol of
//! calls can have.
//!
//! A frame is 20 bytes, the service, the method, the fields and the body; numbers are big endian:
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 2 | `e7 58` |
//! | 2 | 1 | kind: 0 request, 1 one-way request, 2 response, 3 ping, 4 pong, 5 go-away |
//! | 3 | 1 | status of a response: see [`status`] |
//! | 4 | 4 | id, which a response repeats |
//! | 8 | 4 | how many milliseconds the caller waits; 0: it does not say |
//! | 12 | 1 | length of the service |
//! | 13 | 1 | length of the method |
//! | 14 | 2 | length of the fields |
//! | 16 | 4 | length of the body |
//! | 20 | | service, method, fields (each a length of 1 byte, the name, a length of 1 byte, the value), body |

pub mod status;

use sidering_codecs::detection::Detection;
use sidering_codecs::message::{FieldName, FieldSpan};
use sidering_codecs::registry::Protocol;
use sidering_codecs::rpc::{Call, Frame, FrameKind, Layout, NewCall, PoolMode, Scan, ScanLimits, Span};
use sidering_codecs::{Edits, ProtocolError};

/// What [`sidering::run`] takes.
pub static PROTOCOLS: &[Protocol] = &[Protocol::of_layout::<Example>()];

/// Where each part of a head stands.
pub const MAGIC: [u8; 2] = [0xe7, b'X'];
const KIND_AT: usize = 2;
const STATUS_AT: usize = 3;
const ID_AT: usize = 4;
const TIMEOUT_AT: usize = 8;
const SERVICE_LENGTH_AT: usize = 12;
const METHOD_LENGTH_AT: usize = 13;
const FIELDS_LENGTH_AT: usize = 14;
const BODY_LENGTH_AT: usize = 16;
/// In front of the service.
pub const FIXED_BYTES: usize = 20;
/// The longest body. It is never held, so that the bound is no matter of memory.
pub const MAX_BODY_BYTES: u32 = 1 << 30;

/// The protocol; it has no state, as all that it does is to read and write single frames.
#[derive(Debug)]
pub struct Example;

impl Layout for Example {
    const NAME: &'static str = "example";
    // Ids tell calls apart, so that many share a connection.
    const POOL_MODE: PoolMode = PoolMode::Multiplex;
    const ID_BITS: u32 = 32;
    // An error says the text it was given; of the call it needs nothing but the id.
    const REPLY_REPEATS_HEAD: bool = false;
    const IS_GO_AWAY_KNOWN: bool = true;
    // A proxy cannot add fields here: to allow that, `write_head` would have to write the fields anew.
    const CAN_CHANGE_FIELDS: bool = false;

    fn detect(first: &[u8]) -> Detection {
        let begins = first.iter().zip(MAGIC).all(|(&byte, expected)| byte == expected);
        match (begins, first.get(KIND_AT)) {
            (false, _) => Detection::NoMatch,
            (true, None) => Detection::NeedMore,
            // A client begins with nothing else.
            (true, Some(0 | 1 | 3)) => Detection::Match,
            (true, Some(_)) => Detection::NoMatch,
        }
    }

    fn scan(bytes: &[u8], limits: &ScanLimits) -> Result<Scan, ProtocolError> {
        let Some(fixed) = bytes.first_chunk::<FIXED_BYTES>() else { return Ok(Scan::More(FIXED_BYTES)) };
        if fixed[..KIND_AT] != MAGIC {
            return Err(malformed("no frame of the example protocol"));
        }
        let kind = kind_of(fixed[KIND_AT]).ok_or(malformed("an unknown kind of frame"))?;
        let head_bytes = FIXED_BYTES as u32 + parts(fixed).iter().sum::<u32>();
        let body_bytes = number(fixed, BODY_LENGTH_AT);
        if body_bytes > MAX_BODY_BYTES {
            return Err(ProtocolError { status: 413, reason: "a body of more than 1 GiB" });
        }
        if head_bytes > limits.head_bytes {
            return Err(ProtocolError { status: 431, reason: "a head above the limit of header bytes" });
        }
        if bytes.len() < head_bytes as usize {
            return Ok(Scan::More(head_bytes as usize));
        }
        Ok(Scan::Frame(Frame {
            kind,
            dialect: 0,
            serialization: 0,
            id: u64::from(number(fixed, ID_AT)),
            head_bytes,
            seen_bytes: head_bytes,
            payload_bytes: u64::from(body_bytes),
            trailer_bytes: 0,
            timeout_ms: Some(number(fixed, TIMEOUT_AT)).filter(|&timeout| timeout > 0),
            status: if kind == FrameKind::Response { status::to_http(fixed[STATUS_AT]) } else { 0 },
            own_status: fixed[STATUS_AT].into(),
        }))
    }

    fn read(
        frame: &Frame,
        seen: &[u8],
        max_fields: u16,
        fields: &mut Vec<FieldSpan>,
    ) -> Result<Call, ProtocolError> {
        let (Some(fixed), Some(head)) = (seen.first_chunk(), seen.get(..frame.head_bytes as usize)) else {
            return Err(malformed("a cut head"));
        };
        let [service, method, _] = parts(fixed);
        let method_at = FIXED_BYTES as u32 + service;
        read_fields(head, method_at + method, max_fields, fields)?;
        Ok(Call {
            service: Span { start: FIXED_BYTES as u32, len: service },
            method: Span { start: method_at, len: method },
            ..Call::default()
        })
    }

    fn write_head(
        _: &Frame,
        head: &[u8],
        _: &[FieldSpan],
        id: u64,
        _: &Edits,
        out: &mut Vec<u8>,
    ) -> Result<(), ProtocolError> {
        let begin = out.len();
        out.extend_from_slice(head);
        if let Some(place) = out.get_mut(begin + ID_AT..begin + ID_AT + 4) {
            place.copy_from_slice(&(id as u32).to_be_bytes());
        }
        Ok(())
    }

    fn write_call(call: &NewCall<'_>, id: u64, out: &mut Vec<u8>) -> bool {
        let fits = |text: &str| u8::try_from(text.len()).is_ok();
        if !fits(call.service) || !fits(call.method) || call.payload.len() > MAX_BODY_BYTES as usize {
            return false;
        }
        let mut fields = vec![];
        for (name, value) in call.fields.iter().filter(|(name, value)| fits(name) && fits(value)) {
            for text in [name, value] {
                fields.push(text.len() as u8);
                fields.extend_from_slice(text.as_bytes());
            }
        }
        fields.truncate(if fields.len() > usize::from(u16::MAX) { 0 } else { fields.len() });
        let head = Head { fields_bytes: fields.len(), body_bytes: call.payload.len(), ..Head::of(0, id) };
        head.write(call.service.as_bytes(), call.method.as_bytes(), out);
        out.extend_from_slice(&fields);
        out.extend_from_slice(call.payload);
        true
    }

    fn write_reply(request: &Frame, _: &[u8], http_status: u16, text: &[u8], out: &mut Vec<u8>) {
        let status = status::from_http(http_status);
        Head { status, body_bytes: text.len(), ..Head::of(2, request.id) }.write(b"", b"", out);
        out.extend_from_slice(text);
    }

    fn own_status(http_status: u16) -> i32 {
        status::from_http(http_status).into()
    }

    fn write_ping(_: u8, id: u64, out: &mut Vec<u8>) -> bool {
        Head::of(3, id).write(b"", b"", out);
        true
    }

    fn write_pong(ping: &Frame, _: &[u8], out: &mut Vec<u8>) {
        Head::of(4, ping.id).write(b"", b"", out);
    }

    fn write_go_away(_: u8, id: u64, out: &mut Vec<u8>) -> bool {
        Head::of(5, id).write(b"", b"", out);
        true
    }
}

/// A frame of our own.
struct Head {
    kind: u8,
    status: u8,
    id: u64,
    fields_bytes: usize,
    body_bytes: usize,
}

impl Head {
    fn of(kind: u8, id: u64) -> Self {
        Head { kind, status: 0, id, fields_bytes: 0, body_bytes: 0 }
    }

    /// Lengths fit: whoever calls has checked them.
    fn write(&self, service: &[u8], method: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[self.kind, self.status]);
        out.extend_from_slice(&(self.id as u32).to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&[service.len() as u8, method.len() as u8]);
        out.extend_from_slice(&(self.fields_bytes as u16).to_be_bytes());
        out.extend_from_slice(&(self.body_bytes as u32).to_be_bytes());
        out.extend_from_slice(service);
        out.extend_from_slice(method);
    }
}

fn kind_of(kind: u8) -> Option<FrameKind> {
    Some(match kind {
        0 => FrameKind::Request,
        1 => FrameKind::OneWay,
        2 => FrameKind::Response,
        3 => FrameKind::Ping,
        4 => FrameKind::Pong,
        5 => FrameKind::GoAway,
        _ => return None,
    })
}

/// The lengths of service, method and fields.
fn parts(fixed: &[u8; FIXED_BYTES]) -> [u32; 3] {
    let fields = u16::from_be_bytes([fixed[FIELDS_LENGTH_AT], fixed[FIELDS_LENGTH_AT + 1]]);
    [fixed[SERVICE_LENGTH_AT].into(), fixed[METHOD_LENGTH_AT].into(), fields.into()]
}

fn number(fixed: &[u8; FIXED_BYTES], at: usize) -> u32 {
    u32::from_be_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]])
}

/// The fields from `at` to the end of the head, which is at most 66 KB long, so that its offsets fit.
fn read_fields(
    head: &[u8],
    at: u32,
    max_fields: u16,
    fields: &mut Vec<FieldSpan>,
) -> Result<(), ProtocolError> {
    let most = fields.len() + usize::from(max_fields);
    let mut at = at as usize;
    while at < head.len() {
        let name = text(head, &mut at)?;
        let value = text(head, &mut at)?;
        if fields.len() == most {
            return Err(ProtocolError { status: 431, reason: "too many fields" });
        }
        fields.push(FieldSpan {
            line_start: name.start,
            name_len: name.len as u16,
            value_start: value.start,
            value_len: value.len,
            line_end: at as u32,
            name: FieldName::Other,
            hop_by_hop: false,
        });
    }
    Ok(())
}

/// The text at `at`, which moves behind it.
fn text(head: &[u8], at: &mut usize) -> Result<Span, ProtocolError> {
    let length = *head.get(*at).ok_or(CUT_FIELD)?;
    let start = *at + 1;
    *at = start + usize::from(length);
    if *at > head.len() {
        return Err(CUT_FIELD);
    }
    Ok(Span { start: start as u32, len: length.into() })
}

const CUT_FIELD: ProtocolError = malformed("a field reaches beyond the fields");

const fn malformed(reason: &'static str) -> ProtocolError {
    ProtocolError { status: 400, reason }
}
