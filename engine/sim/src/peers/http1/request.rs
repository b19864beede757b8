//! How a model client writes its requests.

use super::malformed;
use super::wire;
use crate::bytes::{Purpose, pattern};
use crate::peers::exchange::{Exchange, Kind};

/// A request's head, and its body if it has one.
pub(super) struct Written {
    pub(super) head: Vec<u8>,
    pub(super) body: Vec<u8>,
}

/// The method, target and version of a request of this kind.
fn start(tag: u32, exchange: &Exchange) -> String {
    let dots = if exchange.is_dotted { "a/../" } else { "" };
    let path = format!("/c{}/{dots}{tag}", exchange.cluster);
    match exchange.kind {
        Kind::Head => format!("HEAD {path} HTTP/1.1"),
        Kind::Delete => format!("DELETE {path} HTTP/1.1"),
        Kind::Options => format!("OPTIONS {path} HTTP/1.1"),
        Kind::Post | Kind::PostChunked | Kind::PostExpect => format!("POST {path} HTTP/1.1"),
        Kind::Put => format!("PUT {path} HTTP/1.1"),
        Kind::Old | Kind::OldKeepAlive => format!("GET {path} HTTP/1.0"),
        Kind::Connect => format!("CONNECT h{tag}:1 HTTP/1.1"),
        Kind::Direct => format!("GET /direct?t=/{tag} HTTP/1.1"),
        Kind::NoRouteBody => format!("POST /nowhere/{tag} HTTP/1.1"),
        Kind::NoRoute => format!("GET /nowhere/{tag} HTTP/1.1"),
        Kind::Trace => format!("TRACE {path} HTTP/1.1"),
        Kind::Get | Kind::Upgrade | Kind::Malformed(_) | Kind::Raw => format!("GET {path} HTTP/1.1"),
        Kind::Call | Kind::OneWay | Kind::LostCall => panic!("a call is no request of HTTP"),
    }
}

/// Whether another proxy has had this request before.
pub(super) fn is_forwarded(tag: u32) -> bool {
    tag.is_multiple_of(4)
}

/// The request with this tag, as it goes out.
pub(super) fn write(tag: u32, exchange: &Exchange) -> Written {
    if let Kind::Malformed(row) = exchange.kind {
        return Written { head: malformed::request(row, tag), body: vec![] };
    }
    let mut head = start(tag, exchange);
    let host = if exchange.kind == Kind::Connect { format!("h{tag}:1") } else { exchange.host.to_owned() };
    head.push_str(&format!(
        "\r\nHost: {host}\r\nx-tag: {tag}\r\nKeep-Alive: a\r\nTE: trailers\r\nConnection: x-hop"
    ));
    match exchange.kind {
        Kind::OldKeepAlive => head.push_str(", keep-alive"),
        Kind::Upgrade => head.push_str(", upgrade\r\nupgrade: websocket"),
        _ => {}
    }
    head.push_str("\r\nX-Hop: this one only\r\nX-Drop: 1\r\nX-Stamp: own\r\n");
    if is_forwarded(tag) {
        head.push_str("X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Proto: https\r\n");
    }
    head.push_str(&wire::pad(tag, exchange.pad));
    let payload =
        if exchange.kind.has_body() { pattern(tag, Purpose::Request, 0, exchange.body) } else { &[] };
    let mut body = vec![];
    match exchange.kind {
        Kind::PostChunked => {
            head.push_str("Transfer-Encoding: chunked\r\n");
            let chunks = wire::Chunks { most: exchange.chunk, extension: exchange.extension };
            wire::chunked(payload, chunks, &format!("x-trailer: {tag}\r\n"), &mut body);
        }
        Kind::Post | Kind::Put | Kind::PostExpect | Kind::NoRouteBody => {
            if exchange.kind == Kind::PostExpect {
                head.push_str("expect: 100-continue\r\n");
            }
            head.push_str(&format!("Content-Length: {}\r\n", exchange.body));
            body.extend(payload);
        }
        _ => {}
    }
    head.push_str("\r\n");
    Written { head: head.into_bytes(), body }
}
