//! What became of a request, as one line: the status, and what the origin saw, or where a redirect leads.

use super::ORIGINS;
use super::requests::Request;
use crate::support::Origin;
use crate::support::wire::{Head, Wire};
use sidering_control::explain::{Explanation, explain};
use sidering_dataplane::config::Snapshot;
use sidering_dataplane::io::Address;
use std::net::SocketAddr;
use std::sync::Arc;

/// Request headers that the origin tells of.
const SEEN: &str = "x-q-";
/// Response headers that are compared.
const ANSWERED: &str = "x-r-";

/// Tells in `x-seen` what it saw; in a header, because answers to HEAD have nothing else.
pub(super) fn origin(name: &'static str) -> Origin {
    Origin::start(move |wire, _| {
        loop {
            let head = wire.head()?;
            let is_connect = head.method() == "CONNECT";
            if !is_connect {
                wire.body(&head, |_| {})?;
            }
            let seen = seen(
                name,
                head.method(),
                head.target(),
                head.value("host").unwrap_or_default(),
                &head.fields,
            );
            let own =
                if sends_own_header(head.target()) { format!("x-r-own: {name}\r\n") } else { String::new() };
            let length = if is_connect { "" } else { "content-length: 0\r\n" };
            let answer = format!("HTTP/1.1 200 OK\r\nx-seen: {seen}\r\n{own}{length}\r\n");
            wire.send(answer.as_bytes())?;
            if is_connect {
                return Ok(());
            }
        }
    })
}

fn sends_own_header(target: &str) -> bool {
    target.starts_with("/hd/own/")
}

/// Sends the request on a connection of its own.
pub(super) fn ask(address: SocketAddr, request: &Request) -> String {
    let mut wire = Wire::connect(address).expect("the proxy accepts");
    wire.send(&request.question.bytes()).expect("the proxy reads");
    let Ok(head) = wire.head() else { return "closed".to_owned() };
    let status = head.status();
    let length = head.length().filter(|_| request.question.method != "HEAD").unwrap_or(0);
    let mut body = vec![];
    let whole = wire.sized(length, |bytes| body.extend_from_slice(bytes)).is_ok();
    let body = if whole { String::from_utf8_lossy(&body).into_owned() } else { "cut".to_owned() };
    line(status, head.value("x-seen"), &head.fields, &body)
}

/// The same line, as `sidering explain` has it; `None` where it depends on what the origin answers.
pub(super) fn explained(snapshot: &Arc<Snapshot>, origins: &[Origin], request: &Request) -> Option<String> {
    if sends_own_header(&request.question.target) {
        return None;
    }
    let explanation =
        explain(snapshot, &request.question).unwrap_or_else(|error| panic!("{}: {error}", request.text));
    let Explanation { status, answer, exchanges, body, .. } = &explanation;
    let seen = exchanges.last().and_then(|exchange| {
        let asked = exchange.seen()?;
        let is_own = |origin: &Origin| exchange.address == Address::Ip(origin.address());
        let name = ORIGINS[origins.iter().position(is_own).expect("it is one of ours")];
        // The target of CONNECT is the authority, and it has no path.
        let target = if asked.method == "CONNECT" { &asked.authority } else { &asked.path };
        Some(seen(name, &asked.method, target, &asked.authority, &asked.headers))
    });
    Some(line(*status, seen.as_deref(), answer, body))
}

fn seen(name: &str, method: &str, target: &str, host: &str, fields: &[(String, String)]) -> String {
    format!("{name} {method} {target} {host}{}", selected(fields, SEEN))
}

/// Bodies of errors are every proxy's own.
fn line(status: u16, seen: Option<&str>, fields: &[(String, String)], body: &str) -> String {
    let mut line = status.to_string();
    if let Some(seen) = seen {
        line += &format!(" {seen}");
    } else if (200..300).contains(&status) {
        line += &format!(" {body}");
    }
    if (300..400).contains(&status) {
        let location = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("location"));
        line += &format!(" {}", location.map_or("nowhere", |(_, value)| value));
    }
    line += &selected(fields, ANSWERED);
    line.trim_end().to_owned()
}

/// By their names; fields of one name in their order.
fn selected(fields: &[(String, String)], prefix: &str) -> String {
    let lower = fields.iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
    let mut selected: Vec<_> = lower.filter(|(name, _)| name.starts_with(prefix)).collect();
    selected.sort_by(|(one, _), (other, _)| one.cmp(other));
    selected.iter().map(|(name, value)| format!(" {name}={value}")).collect()
}

#[test]
fn heads_without_what_is_compared_are_short() {
    let head = Head { start: "HTTP/1.1 404 X".to_owned(), fields: vec![("date".to_owned(), "x".to_owned())] };
    assert_eq!(line(head.status(), None, &head.fields, "an error"), "404");
}
