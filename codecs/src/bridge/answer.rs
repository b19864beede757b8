//! What a call is answered with, in HTTP's terms.

use super::to_json::{Unwritten, Writer};
use crate::hessian2::{Document, Node, Value};
use crate::json::write_text;

/// An answer's status and its body, which is JSON.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// In HTTP's terms.
    pub status: u16,
    /// JSON.
    pub body: Vec<u8>,
}

/// The answer's bytes are no answer.
pub(super) const MALFORMED: &str = "malformed_answer_to_bridged_call";

/// How servers say, in words alone, that they have no such service or no such method: there is no status for it that all of them
/// use (Apache Dubbo's DubboProtocol.getInvoker, sofa-rpc-node's server and service).
const NOT_FOUND: [&str; 3] = ["Not found exported service:", "not found service: ", "Can not find method: "];

/// Writes the body of an answer that tells of an error: `{"error":{..}}` with these members and the message.
pub fn write_error(members: &[(&str, &str)], message: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"error\":{");
    for (name, value) in members {
        write_text(name, out);
        out.push(b':');
        write_text(value, out);
        out.push(b',');
    }
    out.extend_from_slice(b"\"message\":");
    write_text(message, out);
    out.extend_from_slice(b"}}");
}

/// A call was answered with a value.
pub(super) fn of_value(document: &Document, value: &Value, max_bytes: usize) -> Result<Answer, &'static str> {
    let mut body = vec![];
    match Writer::new(document, max_bytes, &mut body).value(value) {
        Ok(()) => Ok(Answer { status: 200, body }),
        Err(Unwritten::TooLong) => Err("answer_to_bridged_call_too_large"),
        Err(Unwritten::TooDeep) => Err("answer_to_bridged_call_nested_too_deeply"),
    }
}

/// A call was answered with an exception.
pub(super) fn of_exception(
    document: &Document,
    exception: &Value,
    members: &[(&str, &str)],
    status: u16,
) -> Answer {
    let (class, message) = parts_of(document, exception);
    let class = ("class", class);
    let named = [members, if class.1.is_empty() { &[] } else { std::slice::from_ref(&class) }].concat();
    of_error(&named, message, status)
}

/// A call was answered with an error. One that says that there is no such thing is 404 instead of 500.
pub(super) fn of_error(members: &[(&str, &str)], message: &str, status: u16) -> Answer {
    let is_not_found = status == 500 && NOT_FOUND.iter().any(|words| message.contains(words));
    let mut body = vec![];
    write_error(members, message, &mut body);
    Answer { status: if is_not_found { 404 } else { status }, body }
}

/// The class and the message of a `java.lang.Throwable`; of anything else, its text.
fn parts_of<'d>(document: &'d Document, exception: &'d Value) -> (&'d str, &'d str) {
    match exception {
        Value::Text(text) => ("", text),
        Value::Node(index) => match document.node(*index) {
            Some(Node::Object(class, values)) => {
                let message = class.fields.iter().position(|field| field == "detailMessage");
                let message = message.and_then(|at| values.get(at));
                (&class.name, if let Some(Value::Text(text)) = message { text } else { "" })
            }
            Some(Node::Map(class, entries)) => {
                let is_message = |(key, _): &&(Value, Value)| matches!(key, Value::Text(key) if key == "detailMessage" || key == "message");
                let message = entries.iter().find(is_message).map(|(_, message)| message);
                let message = if let Some(Value::Text(text)) = message { text.as_str() } else { "" };
                (class.as_deref().unwrap_or_default(), message)
            }
            _ => ("", ""),
        },
        _ => ("", ""),
    }
}

/// Whether a value is a `java.lang.Throwable`, by the fields that all of them have.
pub(super) fn is_exception(document: &Document, value: &Value) -> bool {
    let Value::Node(index) = value else { return false };
    let Some(Node::Object(class, _)) = document.node(*index) else { return false };
    ["detailMessage", "stackTrace"].iter().all(|name| class.fields.iter().any(|field| field == name))
}
