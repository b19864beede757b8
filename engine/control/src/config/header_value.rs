//! Reads the value of a header field: text with `%...%` operators in it, as Envoy has them.

use super::problem::Problems;
use super::section::{inside, text};
use super::suggest::nearest;
use super::tree::Tree;
use super::units::is_token;
use crate::substitution::{self, Part};
use sidering_dataplane::config::{FieldSource, FieldValue, HeaderOperator, HeaderPiece, HeaderTemplate};

const VALUE_BYTES: usize = 4096;
/// By name, and whether it is only known when there is an answer.
const OPERATORS: [(&str, HeaderOperator, bool); 9] = [
    ("DOWNSTREAM_REMOTE_ADDRESS", HeaderOperator::DownstreamRemoteAddress, false),
    ("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", HeaderOperator::DownstreamRemoteAddressWithoutPort, false),
    ("DOWNSTREAM_LOCAL_ADDRESS", HeaderOperator::DownstreamLocalAddress, false),
    ("PROTOCOL", HeaderOperator::Protocol, false),
    ("UPSTREAM_CLUSTER", HeaderOperator::UpstreamCluster, false),
    ("UPSTREAM_HOST", HeaderOperator::UpstreamHost, true),
    ("RESPONSE_CODE", HeaderOperator::ResponseCode, true),
    ("RESPONSE_CODE_DETAILS", HeaderOperator::ResponseCodeDetails, true),
    ("RESPONSE_FLAGS", HeaderOperator::ResponseFlags, true),
];

/// Reads a value of a request's header or of an answer's.
pub(super) fn read(tree: &Tree, is_answer: bool, problems: &Problems) -> Option<HeaderTemplate> {
    let source = text(tree, "a text; %...% operators are replaced", problems)?;
    let expected = if source.is_empty() {
        "a text; `remove` removes fields"
    } else if source.len() > VALUE_BYTES {
        "at most 4096 bytes"
    } else if source.chars().any(|character| character.is_control() && character != '\t') {
        "a text on one line"
    } else if source.trim_matches([' ', '\t']) != source {
        "no blanks around it: they are no part of a field's value"
    } else {
        return template(tree, source, is_answer, problems);
    };
    problems.error(tree.place, format!("{} is no value of a header field", tree.describe()), expected);
    None
}

fn template(tree: &Tree, source: &str, is_answer: bool, problems: &Problems) -> Option<HeaderTemplate> {
    let read =
        |name: &str, argument: Option<&str>, limit: Option<usize>| operator(name, argument, limit, is_answer);
    match substitution::split(source, read) {
        Ok(parts) => {
            let pieces = parts.into_iter().map(|part| match part {
                Part::Text(text) | Part::Value(Value::Text(text)) => HeaderPiece::Text(text),
                Part::Value(Value::Operator(operator)) => HeaderPiece::Value(operator),
            });
            Some(HeaderTemplate { source: source.to_owned(), pieces: pieces.collect() })
        }
        Err(error) => {
            problems.error(inside(tree, source, error.offset, error.width), error.message, error.expected);
            None
        }
    }
}

/// What an operator is, or, where it is known by now, its value.
enum Value {
    Text(String),
    Operator(HeaderOperator),
}

fn operator(
    name: &str,
    argument: Option<&str>,
    limit: Option<usize>,
    is_answer: bool,
) -> Result<Value, String> {
    const EARLY: &str = "an operator for requests: this one is known when there is an answer";
    match (name, argument) {
        ("REQ" | "RESP", None) => Err(format!("a field's name in parentheses: %{name}(X-NAME)%")),
        ("RESP", Some(_)) if !is_answer => Err(EARLY.to_owned()),
        ("RESP", Some(argument)) => {
            Ok(Value::Operator(HeaderOperator::Response(field(argument, limit, false)?)))
        }
        ("REQ", Some(argument)) => {
            Ok(Value::Operator(HeaderOperator::Request(field(argument, limit, true)?)))
        }
        (_, Some(_)) => Err(format!("%{name}% without parentheses")),
        ("HOSTNAME", None) => Ok(Value::Text(hostname())),
        (_, None) => match OPERATORS.iter().find(|(known, ..)| *known == name) {
            Some((_, _, true)) if !is_answer => Err(EARLY.to_owned()),
            Some((_, operator, _)) => Ok(Value::Operator(operator.clone())),
            None => Err(unknown(name)),
        },
    }
}

fn field(argument: &str, limit: Option<usize>, is_request: bool) -> Result<FieldValue, String> {
    let (first, second) = match argument.split_once('?') {
        Some((first, second)) => (source(first, is_request)?, Some(source(second, is_request)?)),
        None => (source(argument, is_request)?, None),
    };
    let limit = limit.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX));
    Ok(FieldValue { first, second, limit })
}

/// A field by its name, or a part of a request.
pub(super) fn source(name: &str, is_request: bool) -> Result<FieldSource, String> {
    let lower = name.to_ascii_lowercase();
    match lower.as_str() {
        ":method" if is_request => Ok(FieldSource::Method),
        ":path" if is_request => Ok(FieldSource::Path),
        ":authority" | "host" if is_request => Ok(FieldSource::Authority),
        _ if is_token(&lower) => Ok(FieldSource::Field(lower)),
        _ if is_request => Err("the name of a header field, or :METHOD, :PATH, :AUTHORITY".to_owned()),
        _ => Err("the name of a header field".to_owned()),
    }
}

fn unknown(name: &str) -> String {
    let names = || OPERATORS.iter().map(|(name, ..)| *name).chain(["HOSTNAME", "REQ", "RESP"]);
    match nearest(name, names()) {
        Some(near) => format!("an operator; did you mean %{near}%?"),
        None => format!("one of {}", names().collect::<Vec<_>>().join(", ")),
    }
}

/// The machine's name, `-` where it cannot be told.
fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "-".to_owned() } else { name.to_owned() }
}
