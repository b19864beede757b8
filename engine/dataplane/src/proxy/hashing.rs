//! The hash of a request, by the policies of its route, and the cookies that are made up for it. The balancer of a cluster
//! may go by the hash.

use super::forwarding::write_ip;
use crate::cluster::lb::hash;
use crate::config::{FieldSource, Forward, HashCookie, HashPolicy, HashSource, HttpOptions, RouteAction};
use crate::io::{Address, ConnId, Io};
use crate::net::listener::CoreListener;
use crate::route::RequestView;
use crate::stream::{NewCookies, StreamKey};
use crate::worker::Worker;
use sidering_codecs::registry::MAX_HEADERS;
use sidering_codecs::{Edits, FieldName, RequestHead};
use std::io::Write;
use std::net::IpAddr;

/// What a request is hashed by, beside its head.
struct Client<'a> {
    /// `None` on unix sockets, or if no policy asks for it.
    address: Option<IpAddr>,
    /// What its new cookies say.
    cookie: &'a [u8],
}

impl<I: Io> Worker<I> {
    /// Notes the hash of a request as it goes on (Envoy: `HashPolicyImpl::generateHash`).
    pub(super) fn hash_request(
        &mut self,
        io: &mut I,
        listener: &CoreListener,
        (key, id): (StreamKey, ConnId),
        forward: &Forward,
        head: &RequestHead<'_>,
    ) {
        if forward.hash.is_empty() || !self.goes_by_hash(key) {
            return;
        }
        let options = listener.http().map(|http| &http.options);
        let asks = |wanted: fn(&HashSource) -> bool| forward.hash.iter().any(|policy| wanted(&policy.source));
        let asks_source = asks(|source| matches!(source, HashSource::Source));
        let makes_cookies =
            asks(|source| matches!(source, HashSource::Cookie(cookie) if cookie.ttl_seconds.is_some()));
        let address = if asks_source { self.client_address(io, id, options, head) } else { None };
        let made = if makes_cookies { self.cookie_value(io, listener, id) } else { 0 };
        let client = Client { address, cookie: &hexadecimal(made) };
        let (hash, missing) = combine(&forward.hash, head, &self.edits, &client);
        if let Some(stream) = self.streams.get_mut(key) {
            stream.hash = hash;
            stream.new_cookies = NewCookies { value: made, policies: missing };
        }
    }

    /// Whether the cluster chosen asks for the hash: no cookie is made up for one that does not.
    fn goes_by_hash(&self, key: StreamKey) -> bool {
        let cluster = self.streams.get(key).and_then(|stream| self.clusters.get(stream.cluster as usize));
        cluster.and_then(Option::as_ref).is_some_and(|cluster| cluster.config.lb.is_hashed())
    }

    /// The peer's, or, where X-Forwarded-For is believed, the last one there.
    fn client_address(
        &mut self,
        io: &mut I,
        id: ConnId,
        options: Option<&HttpOptions>,
        head: &RequestHead<'_>,
    ) -> Option<IpAddr> {
        let believes = options.is_some_and(|options| !options.use_remote_address);
        let told =
            head.fields.iter().filter(|field| believes && field.known == FieldName::XForwardedFor).last();
        let told = told.and_then(|field| {
            let last = field.value.rsplit(|&byte| byte == b',').next()?;
            std::str::from_utf8(last).ok()?.trim().parse().ok()
        });
        told.or_else(|| io.peer_address(id).map(|peer| peer.ip()))
    }

    /// The same for all requests of a connection, so that those that come at once get the same cookie.
    fn cookie_value(&mut self, io: &mut I, listener: &CoreListener, id: ConnId) -> u64 {
        let Some(peer) = io.peer_address(id) else { return self.next_random() };
        let mut text = [0u8; 128];
        let mut cursor = &mut text[..];
        let _ = match &listener.config.address {
            Address::Ip(own) => write!(cursor, "{peer}{own}"),
            Address::Unix(_) => write!(cursor, "{peer}"),
        };
        let left = cursor.len();
        hash(&text[..128 - left], 0)
    }

    /// Tells the client about the cookies that were made up for its request.
    pub(super) fn set_new_cookies(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get(key) else { return };
        let NewCookies { value, policies } = stream.new_cookies;
        let Some(route) = stream.listener.routed(stream.route) else { return };
        let RouteAction::Forward(forward) = &route.route.action else { return };
        for (at, policy) in forward.hash.iter().enumerate() {
            if policies & 1 << at != 0
                && let HashSource::Cookie(cookie) = &policy.source
            {
                add_cookie(cookie, &hexadecimal(value), &mut self.edits);
            }
        }
    }
}

/// The hash, and which policies' cookies are missing.
fn combine(
    policies: &[HashPolicy],
    head: &RequestHead<'_>,
    edits: &Edits,
    client: &Client<'_>,
) -> (Option<u64>, u16) {
    let (mut combined, mut missing) = (None::<u64>, 0);
    for (at, policy) in policies.iter().enumerate() {
        let new = match &policy.source {
            HashSource::Header(source) => hash_header(source, head, edits),
            HashSource::Query(name) => {
                let view = RequestView::get(b"", edits.path().unwrap_or(head.path));
                view.query(name.as_bytes()).map(|value| hash(value, 0))
            }
            HashSource::Source => client.address.map(|address| {
                let mut text = [0u8; 64];
                hash(write_ip(address, &mut text), 0)
            }),
            HashSource::Cookie(cookie) => match (find_cookie(head, edits, cookie.name.as_bytes()), cookie) {
                (Some(value), _) => Some(hash(value, 0)),
                (None, HashCookie { ttl_seconds: Some(_), .. }) => {
                    missing |= 1 << at;
                    Some(hash(client.cookie, 0))
                }
                (None, _) => None,
            },
        };
        if let Some(new) = new {
            combined = Some(combined.unwrap_or(0).rotate_left(1) ^ new);
        }
        if policy.terminal && combined.is_some() {
            break;
        }
    }
    (combined, missing)
}

fn hash_header(source: &FieldSource, head: &RequestHead<'_>, edits: &Edits) -> Option<u64> {
    let name = match source {
        FieldSource::Method => return Some(hash(head.method.as_bytes(), 0)),
        FieldSource::Path => return Some(hash(edits.path().unwrap_or(head.path), 0)),
        FieldSource::Authority => return Some(hash(edits.authority().unwrap_or(head.authority), 0)),
        FieldSource::Field(name) => name.as_bytes(),
    };
    let mut values = edits.values_of(&head.fields, name);
    let first = values.next()?;
    let Some(second) = values.next() else { return Some(hash(first, 0)) };
    // In whatever order they came, the hash is the same.
    let mut all: [&[u8]; MAX_HEADERS as usize] = [b""; MAX_HEADERS as usize];
    let mut count = 0;
    for (value, place) in [first, second].into_iter().chain(values).zip(&mut all) {
        *place = value;
        count += 1;
    }
    let all = &mut all[..count];
    all.sort_unstable();
    Some(all.iter().fold(0, |seed, value| hash(value, seed)))
}

/// The value of the first cookie of this name, without the quotes that may stand around it; none if it is empty.
fn find_cookie<'a>(head: &RequestHead<'a>, edits: &'a Edits, name: &[u8]) -> Option<&'a [u8]> {
    for field in edits.values_of(&head.fields, b"cookie") {
        for cookie in field.split(|&byte| byte == b';') {
            let Some(equals) = memchr::memchr(b'=', cookie) else { continue };
            if cookie[..equals].trim_ascii_start() == name {
                let value = &cookie[equals + 1..];
                let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
                return Some(quoted.unwrap_or(value)).filter(|value| !value.is_empty());
            }
        }
    }
    None
}

fn add_cookie(cookie: &HashCookie, value: &[u8], edits: &mut Edits) {
    let mut field = edits.start_field(b"set-cookie", 0);
    for part in [cookie.name.as_bytes(), b"=\"", value, b"\""] {
        field.push(part);
    }
    if let Some(seconds) = cookie.ttl_seconds.filter(|seconds| *seconds > 0) {
        use std::fmt::Write;
        // Writing into memory cannot fail.
        let _ = write!(field, "; Max-Age={seconds}");
    }
    if !cookie.path.is_empty() {
        field.push(b"; Path=");
        field.push(cookie.path.as_bytes());
    }
    field.push(b"; HttpOnly");
    field.finish();
}

fn hexadecimal(value: u64) -> [u8; 16] {
    std::array::from_fn(|place| b"0123456789abcdef"[(value >> (60 - 4 * place) & 15) as usize])
}

#[cfg(test)]
#[path = "hashing_tests.rs"]
mod tests;
