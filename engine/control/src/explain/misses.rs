//! What a request had where a route asked for something else, in words. Whether it matched is not decided here.

use sidering_dataplane::route::{Mismatch, RequestView, RpcView};

/// Longer values are cut.
const SHOWN_BYTES: usize = 80;

/// The condition that failed.
pub(super) fn reason(mismatch: &Mismatch<'_>, view: &RequestView<'_>) -> String {
    match mismatch {
        Mismatch::Connect if view.is_connect => "it takes no CONNECT requests".to_owned(),
        Mismatch::Connect => "it takes CONNECT requests alone".to_owned(),
        other => other.to_string(),
    }
}

/// The part of the request that the condition was about.
pub(super) fn had(mismatch: &Mismatch<'_>, view: &RequestView<'_>) -> String {
    match mismatch {
        Mismatch::Connect | Mismatch::Method(_) => format!("it is {}", shown(view.method)),
        Mismatch::Path(_) => format!("it is {}", shown(view.bare_path())),
        Mismatch::Header(header) => field(view, &header.name),
        Mismatch::Grpc => field(view, "content-type"),
        Mismatch::Query(query) => match view.query(query.name.as_bytes()) {
            Some(value) => format!("it is `{}`", shown(value)),
            None => "it is not there".to_owned(),
        },
        Mismatch::Source(_) => match view.source {
            Some(address) => format!("it is {address}"),
            None => "it has none".to_owned(),
        },
        Mismatch::RuntimeFraction(_) => "--random N is another throw".to_owned(),
        Mismatch::Rpc(part) => match view.rpc.map(|rpc| part_of(&rpc, part)) {
            None => "the request is none".to_owned(),
            Some(b"") => "it says nothing of that".to_owned(),
            Some(value) => format!("it is `{}`", shown(value)),
        },
    }
}

fn part_of<'v>(rpc: &RpcView<'v>, part: &str) -> &'v [u8] {
    match part {
        "service" => rpc.service,
        "method" => rpc.method,
        "version" => rpc.version,
        _ => rpc.group,
    }
}

fn field(view: &RequestView<'_>, name: &str) -> String {
    let named = view.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name.as_bytes()));
    let values: Vec<String> = named.map(|field| shown(field.value)).collect();
    if values.is_empty() { "it is not there".to_owned() } else { format!("it is `{}`", values.join(",")) }
}

fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut short: String = text.chars().take(SHOWN_BYTES).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}
