//! Calls of Dubbo, as DubboCodec and DecodeableRpcResult of Dubbo 2.7 have them.

use super::answer::{MALFORMED, of_error, of_exception, of_value};
use super::{Answer, Arguments, Bridge, Invocation, Mistake};
use crate::dubbo::{Dubbo, read_answer_header};
use crate::hessian2::{Dialect, Document, Output, Reader};
use crate::rpc::{Layout, NewCall};

/// Bridging to Dubbo.
pub const DUBBO: Bridge = Bridge::of_layout::<Dubbo>(write_call, read_answer);

/// What an answer begins with.
const EXCEPTION: i32 = 0;
const VALUE: i32 = 1;
const NULL: i32 = 2;
/// The same three with attachments behind.
const WITH_ATTACHMENTS: i32 = 3;

fn write_call(
    invocation: &Invocation<'_>,
    arguments: &Arguments<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Mistake> {
    let mut descriptor = String::new();
    for java_type in invocation.types {
        java_type.write_descriptor(&mut descriptor);
    }
    let mut payload = vec![];
    arguments.write(invocation.types, &mut Output::new(Dialect::Final, &mut payload))?;
    let mut fields = vec![];
    for (name, value) in
        [("path", invocation.service), ("interface", invocation.service), ("version", invocation.version)]
    {
        if !value.is_empty() {
            fields.push((name.to_owned(), value.to_owned()));
        }
    }
    if let Some(timeout_ms) = invocation.timeout_ms {
        fields.push(("timeout".to_owned(), timeout_ms.to_string()));
    }
    let call = NewCall {
        service: invocation.service,
        method: invocation.method,
        version: invocation.version,
        group: invocation.group,
        fields: &fields,
        descriptor: &descriptor,
        payload: &payload,
        timeout_ms: invocation.timeout_ms,
        is_one_way: invocation.is_one_way,
    };
    Dubbo::write_call(&call, 0, out);
    Ok(())
}

fn read_answer(frame: &[u8], max_bytes: usize) -> Result<Answer, &'static str> {
    let header = read_answer_header(frame).ok_or(MALFORMED)?;
    let mut reader = Reader::new(header.body);
    let mut document = Document::default();
    if !header.is_ok {
        let message = document.read(&mut reader).map_err(|_| MALFORMED)?;
        let code = header.status.to_string();
        return Ok(of_exception(&document, &message, &[("status", code.as_str())], header.http_status));
    }
    let kind =
        if reader.null().map_err(|_| MALFORMED)? { NULL } else { reader.int().map_err(|_| MALFORMED)? };
    match if kind >= WITH_ATTACHMENTS { kind - WITH_ATTACHMENTS } else { kind } {
        NULL => Ok(Answer { status: 200, body: b"null".to_vec() }),
        VALUE => {
            let value = document.read(&mut reader).map_err(|_| MALFORMED)?;
            of_value(&document, &value, max_bytes)
        }
        EXCEPTION => {
            let exception = document.read(&mut reader).map_err(|_| MALFORMED)?;
            Ok(of_exception(&document, &exception, &[], 500))
        }
        _ => Ok(of_error(&[], "an answer that is neither a value nor an exception", 502)),
    }
}
