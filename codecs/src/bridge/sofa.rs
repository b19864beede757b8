//! Calls of SOFARPC over bolt: a SofaRequest, the arguments behind it, and a SofaResponse, all in the early dialect of hessian2.

use super::answer::{MALFORMED, is_exception, of_error, of_exception, of_value};
use super::{Answer, Arguments, Bridge, Invocation, Mistake};
use crate::bolt::{Bolt, read_answer_header};
use crate::hessian2::{Class, Dialect, Document, Node, Output, Reader, Value};
use crate::rpc::{Layout, NewCall};

/// Bridging to SOFARPC.
pub const SOFA: Bridge = Bridge::of_layout::<Bolt>(write_call, read_answer);

const REQUEST: &str = "com.alipay.sofa.rpc.core.request.SofaRequest";
const RESPONSE: &str = "com.alipay.sofa.rpc.core.response.SofaResponse";
/// A service's version where it says none.
const DEFAULT_VERSION: &str = "1.0";

fn write_call(
    invocation: &Invocation<'_>,
    arguments: &Arguments<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Mistake> {
    let service = unique_name(invocation);
    let mut payload = vec![];
    let mut content = Output::new(Dialect::Early, &mut payload);
    let fields = ["targetAppName", "methodName", "targetServiceUniqueName", "requestProps", "methodArgSigs"];
    content.begin_object(REQUEST, fields.into_iter());
    content.null();
    content.text(invocation.method);
    content.text(&service);
    content.null();
    content.begin_list(Some("[string"), invocation.types.len());
    for java_type in invocation.types {
        content.text(&java_type.name);
    }
    content.end_list();
    arguments.write(invocation.types, &mut content)?;
    let fields = [("sofa_head_target_service".to_owned(), service.clone())];
    let call = NewCall {
        service: &service,
        method: invocation.method,
        fields: &fields,
        payload: &payload,
        timeout_ms: invocation.timeout_ms,
        is_one_way: invocation.is_one_way,
        ..NewCall::default()
    };
    Bolt::write_call(&call, 0, out);
    Ok(())
}

/// What SOFARPC finds a service by: its name, its version, and its unique id if it has one.
fn unique_name(invocation: &Invocation<'_>) -> String {
    let version = if invocation.version.is_empty() { DEFAULT_VERSION } else { invocation.version };
    let group = if invocation.group.is_empty() { String::new() } else { format!(":{}", invocation.group) };
    format!("{}:{version}{group}", invocation.service)
}

fn read_answer(frame: &[u8], max_bytes: usize) -> Result<Answer, &'static str> {
    let header = read_answer_header(frame).ok_or(MALFORMED)?;
    let mut reader = Reader::new(header.content);
    let mut document = Document::default();
    if !header.is_ok {
        let code = header.status.to_string();
        let members = [("status", code.as_str())];
        return Ok(match document.read_early(&mut reader) {
            Ok(exception) => of_exception(&document, &exception, &members, header.http_status),
            Err(_) => of_error(&members, "", header.http_status),
        });
    }
    if header.content.is_empty() {
        return Ok(Answer { status: 200, body: b"null".to_vec() });
    }
    let response = document.read_early(&mut reader).map_err(|_| MALFORMED)?;
    let Value::Node(index) = response else { return Err(MALFORMED) };
    let Some(Node::Object(class, values)) = document.node(index) else { return Err(MALFORMED) };
    if class.name != RESPONSE {
        return Err(MALFORMED);
    }
    let value = field(class, values, "appResponse");
    match value {
        Some(value) if is_exception(&document, value) => Ok(of_exception(&document, value, &[], 500)),
        _ if field(class, values, "isError") == Some(&Value::Bool(true)) => {
            let message = field(class, values, "errorMsg");
            Ok(of_error(&[], if let Some(Value::Text(text)) = message { text } else { "" }, 500))
        }
        value => of_value(&document, value.unwrap_or(&Value::Null), max_bytes),
    }
}

fn field<'d>(class: &Class, values: &'d [Value], name: &str) -> Option<&'d Value> {
    values.get(class.fields.iter().position(|field| field == name)?)
}
