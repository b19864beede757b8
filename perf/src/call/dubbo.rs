//! Frames of Dubbo with hessian2. The body is one binary value among the arguments.

use super::IdPlace;
use super::frames::{NoFrame, u32_at};

pub(super) const FIRST_BYTE: u8 = 0xda;
pub(super) const ID_PLACE: IdPlace = 4..12;
const MAGIC: [u8; 2] = [FIRST_BYTE, 0xbb];
const HEAD_BYTES: usize = 16;
const REQUEST_OF_HESSIAN: u8 = 0x80 | 0x40 | 2;
const ANSWER_OF_HESSIAN: u8 = 2;
const OK: u8 = 20;
/// What stands in front of an answer's value: a value follows, and attachments behind it.
const VALUE_WITH_ATTACHMENTS: u8 = 0x94;
/// Dubbo's version, the service, its version, the method, and the types of the arguments.
const CALL: [&str; 5] = ["2.0.2", "com.alipay.test.TestService", "1.0.0", "echo", "[B"];
const ATTACHMENTS: [(&str, &str); 2] = [("path", "com.alipay.test.TestService"), ("group", "g1")];
/// The longest chunk of a binary value.
const CHUNK_BYTES: usize = 0x8000;

/// A request, its id 0, whose argument is `body`, and where the body's first byte is.
pub(super) fn request(body: &[u8]) -> (Vec<u8>, usize) {
    let mut rest = Vec::new();
    CALL.iter().for_each(|text| write_string(text, &mut rest));
    // A chunk's mark and length.
    let body_at = HEAD_BYTES + rest.len() + 3;
    let chunks = body.len().div_ceil(CHUNK_BYTES).max(1);
    for index in 0..chunks {
        let chunk = &body[index * CHUNK_BYTES..body.len().min((index + 1) * CHUNK_BYTES)];
        rest.push(if index + 1 == chunks { b'B' } else { b'A' });
        rest.extend_from_slice(&(chunk.len() as u16).to_be_bytes());
        rest.extend_from_slice(chunk);
    }
    rest.push(b'H');
    for text in ATTACHMENTS.iter().flat_map(|&(name, value)| [name, value]) {
        write_string(text, &mut rest);
    }
    rest.push(b'Z');
    let mut frame = head(REQUEST_OF_HESSIAN, 0, &[0; 8], rest.len());
    frame.extend_from_slice(&rest);
    (frame, body_at)
}

fn head(flags: u8, status: u8, id: &[u8], rest_bytes: usize) -> Vec<u8> {
    let mut head = Vec::from(MAGIC);
    head.extend_from_slice(&[flags, status]);
    head.extend_from_slice(id);
    head.extend_from_slice(&(rest_bytes as u32).to_be_bytes());
    head
}

/// Only strings of up to 31 bytes, which begin with their length.
fn write_string(text: &str, out: &mut Vec<u8>) {
    debug_assert!(text.len() < 32 && text.is_ascii());
    out.push(text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn frame_bytes(bytes: &[u8]) -> Result<Option<usize>, NoFrame> {
    if !MAGIC.starts_with(&bytes[..bytes.len().min(2)]) {
        return Err(NoFrame);
    }
    Ok((bytes.len() >= HEAD_BYTES).then(|| HEAD_BYTES + u32_at(bytes, 12)))
}

pub(super) fn is_success(answer: &[u8]) -> bool {
    answer[2] == ANSWER_OF_HESSIAN && answer[3] == OK
}

/// The argument and the attachments come back as the value and its attachments.
pub(super) fn echo(request: &[u8], out: &mut Vec<u8>) -> Result<(), NoFrame> {
    if request[2] != REQUEST_OF_HESSIAN {
        return Err(NoFrame);
    }
    let mut rest = &request[HEAD_BYTES..];
    for _ in CALL {
        let (&length, behind) = rest.split_first().ok_or(NoFrame)?;
        rest = behind.get(usize::from(length)..).filter(|_| length < 32).ok_or(NoFrame)?;
    }
    out.extend_from_slice(&head(ANSWER_OF_HESSIAN, OK, &request[ID_PLACE], rest.len() + 1));
    out.push(VALUE_WITH_ATTACHMENTS);
    out.extend_from_slice(rest);
    Ok(())
}
