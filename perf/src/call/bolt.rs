//! Frames of bolt version 1.

use super::IdPlace;
use super::frames::{NoFrame, u16_at, u32_at};

pub(super) const FIRST_BYTE: u8 = 1;
pub(super) const ID_PLACE: IdPlace = 5..9;
const REQUEST_HEAD_BYTES: usize = 22;
const ANSWER_HEAD_BYTES: usize = 20;
const IS_ANSWER: u8 = 0;
const IS_REQUEST: u8 = 1;
const COMMAND_REQUEST: u16 = 1;
const COMMAND_ANSWER: u16 = 2;
const HESSIAN: u8 = 1;
const REQUEST_CLASS: &str = "com.alipay.sofa.rpc.core.request.SofaRequest";
const ANSWER_CLASS: &str = "com.alipay.sofa.rpc.core.response.SofaResponse";
/// What a SOFARPC client sends along.
const HEADER: [(&str, &str); 4] = [
    ("sofa_head_target_service", "com.alipay.test.TestService:1.0"),
    ("sofa_head_method_name", "echo"),
    ("service", "com.alipay.test.TestService:1.0"),
    ("rpc_trace_context.sofaTraceId", "0a0fe8a1160514813200110022123"),
];

/// A request, its id 0, whose content is `body`.
pub(super) fn request(body: &[u8]) -> Vec<u8> {
    let mut header = Vec::new();
    for text in HEADER.iter().flat_map(|&(name, value)| [name, value]) {
        header.extend_from_slice(&(text.len() as u32).to_be_bytes());
        header.extend_from_slice(text.as_bytes());
    }
    let mut frame = vec![FIRST_BYTE, IS_REQUEST];
    frame.extend_from_slice(&COMMAND_REQUEST.to_be_bytes());
    frame.extend_from_slice(&[1, 0, 0, 0, 0, HESSIAN]);
    frame.extend_from_slice(&60_000_u32.to_be_bytes());
    frame.extend_from_slice(&(REQUEST_CLASS.len() as u16).to_be_bytes());
    frame.extend_from_slice(&(header.len() as u16).to_be_bytes());
    frame.extend_from_slice(&(body.len() as u32).to_be_bytes());
    frame.extend_from_slice(REQUEST_CLASS.as_bytes());
    frame.extend_from_slice(&header);
    frame.extend_from_slice(body);
    frame
}

pub(super) fn frame_bytes(bytes: &[u8]) -> Result<Option<usize>, NoFrame> {
    let Some(&[first, kind]) = bytes.first_chunk() else { return Ok(None) };
    let head_bytes = match kind {
        IS_REQUEST => REQUEST_HEAD_BYTES,
        IS_ANSWER => ANSWER_HEAD_BYTES,
        _ => return Err(NoFrame),
    };
    if first != FIRST_BYTE {
        return Err(NoFrame);
    }
    let Some(head) = bytes.get(..head_bytes) else { return Ok(None) };
    let lengths = &head[head_bytes - 8..];
    Ok(Some(head_bytes + u16_at(lengths, 0) + u16_at(lengths, 2) + u32_at(lengths, 4)))
}

pub(super) fn is_success(answer: &[u8]) -> bool {
    answer[1] == IS_ANSWER && u16_at(answer, 2) == usize::from(COMMAND_ANSWER) && u16_at(answer, 10) == 0
}

pub(super) fn echo(request: &[u8], out: &mut Vec<u8>) -> Result<(), NoFrame> {
    if request[1] != IS_REQUEST || u16_at(request, 2) != usize::from(COMMAND_REQUEST) {
        return Err(NoFrame);
    }
    let content = &request[request.len() - u32_at(request, 18)..];
    out.extend_from_slice(&[FIRST_BYTE, IS_ANSWER]);
    out.extend_from_slice(&COMMAND_ANSWER.to_be_bytes());
    out.push(request[4]);
    out.extend_from_slice(&request[ID_PLACE]);
    out.extend_from_slice(&[HESSIAN, 0, 0]);
    out.extend_from_slice(&(ANSWER_CLASS.len() as u16).to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&(content.len() as u32).to_be_bytes());
    out.extend_from_slice(ANSWER_CLASS.as_bytes());
    out.extend_from_slice(content);
    Ok(())
}
