//! Streams: one request and its response, the pairing of a downstream with an upstream exchange. Plain state.

mod attempt;
mod bodies;
mod bridging;
mod details;
mod held_answer;
mod owned_head;
mod retry;
mod shadow;
mod table;

pub use attempt::{Attempt, HEDGED, Upstream};
pub use bodies::{BODIES_BYTES, BodyKey, BodyTable, COPIED_BELOW_BYTES};
pub use bridging::Bridging;
pub use details::Details;
pub use held_answer::{HELD_ANSWER_BYTES, HeldAnswer};
pub use owned_head::OwnedHead;
pub use retry::{NAMED_STATUS_CODES, Retry};
pub use shadow::{SHADOW_BYTES, SHADOWS, Shadow, ShadowTotals};
pub use table::{StreamKey, StreamTable};

use crate::cluster::{Host, PickRequest};
use crate::config::RouteAction;
use crate::filter::StreamFilters;
use crate::io::{ConnId, Time};
use crate::net::listener::CoreListener;
use crate::observe::access_log::ResponseFlags;
use crate::observe::methods::MethodPlace;
use sidering_codecs::registry::Protocol;
use sidering_codecs::{StreamId, Version};
use std::borrow::Cow;
use std::rc::Rc;

/// How far a message (or one direction of a tunnel) has got.
///
/// ```text
/// Awaited -> Open -> Ended
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    Awaited,
    Open,
    Ended,
}

/// Whether the kernel carries a body.
///
/// ```text
/// Off -> Wanted (the source is being paused) -> Running -> Off
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relay {
    Off,
    Wanted,
    Running,
}

/// An answer of the proxy's own, due as soon as the downstream's codec is free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalReply {
    pub status: u16,
    pub flags: ResponseFlags,
    pub details: Details,
    /// The body, if it is not just the details: index of the route whose direct response it is.
    pub direct: Option<(u32, u32)>,
    /// The body, if it is neither.
    pub text: Option<Cow<'static, [u8]>>,
    /// Further header lines, each with its CRLF; most replies have none.
    pub lines: Vec<u8>,
}

impl LocalReply {
    /// A reply whose body says its details.
    pub fn new(status: u16, flags: ResponseFlags, details: impl Into<Details>) -> Self {
        LocalReply { status, flags, details: details.into(), direct: None, text: None, lines: vec![] }
    }
}

/// Cookies that were made up for a client without them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NewCookies {
    pub value: u64,
    /// Which of the route's hash policies they are for, a bit for each.
    pub policies: u16,
}

/// One request and its response, or one tunnel.
pub struct Stream {
    pub listener: Rc<CoreListener>,
    pub downstream: ConnId,
    /// `None` for requests that could not be understood and for plain TCP.
    pub downstream_stream: Option<StreamId>,
    /// The attempt under way; of several, the one that was begun last.
    pub attempt: Attempt,
    /// Those that were not answered in time, go on, and have been followed by another one: at most [`HEDGED`].
    pub hedged: Vec<Attempt>,
    /// The core's key of the cluster, `u32::MAX` if none was chosen.
    pub cluster: u32,
    /// What its route makes of it for balancers that go by hashes.
    pub hash: Option<u64>,
    pub route_line: u32,
    /// Its virtual host and its place therein; `None` without a route that forwards.
    pub route: Option<(u32, u32)>,
    /// Virtual host and route; only known where header rules look for it.
    pub place: Option<(u32, u32)>,
    /// What header rules for the answer ask of the request.
    pub captured: Vec<u8>,
    pub new_cookies: NewCookies,
    pub route_timeout_ms: u64,
    pub idle_timeout_ms: u64,
    /// 0 is off.
    pub max_duration_ms: u64,
    pub request: Progress,
    pub response: Progress,
    pub request_relay: Relay,
    pub response_relay: Relay,
    /// Bytes are carried both ways, without messages: plain TCP, CONNECT, after 101.
    pub is_tunnel: bool,
    /// The client's bytes have been let through to the tunnel.
    pub is_tunnel_open: bool,
    /// CONNECT that ends here: the upstream gets the bytes only.
    pub terminates_connect: bool,
    /// All of the body came together with the head.
    pub is_body_here: bool,
    /// Nobody waits for an answer.
    pub is_one_way: bool,
    /// One of many on its downstream connection.
    pub is_call: bool,
    /// A call that was whole when it came, and whose route does nothing but send it on.
    pub is_plain: bool,
    pub request_has_body: bool,
    pub is_idempotent: bool,
    pub wants_upgrade: bool,
    /// The response's end is the connection's end, so a cut must be shown by RST.
    pub is_close_delimited: bool,
    /// Filters make something else of the response's body: all of it goes through their hands.
    pub is_transformed: bool,
    pub retry: Retry,
    /// What has come of the request's body, while it may have to be sent once more.
    pub body: Option<BodyKey>,
    /// The most that is kept of it.
    pub buffer_bytes: u32,
    /// The request as it goes to the cluster that mirrors it, once it is whole.
    pub mirror: Option<Box<OwnedHead>>,
    /// The request as it goes out, to send it when there is a connection, or again.
    pub head: Option<Box<OwnedHead>>,
    pub reply: Option<Box<LocalReply>>,
    /// An upstream's answer that waits for its turn on the downstream connection.
    pub answer: Option<Box<HeldAnswer>>,
    /// `None` if it meets none.
    pub filters: Option<Box<StreamFilters>>,
    /// `None` unless it becomes a call.
    pub bridge: Option<Box<Bridging>>,
    pub version: Version,
    /// Which method is called.
    pub method: MethodPlace,
    /// The answer's status as its protocol of calls has it.
    pub rpc_status: Option<i32>,
    pub status: u16,
    pub flags: ResponseFlags,
    pub details: Details,
    pub request_body_bytes: u64,
    pub response_body_bytes: u64,
    pub started: Time,
    /// When the request was whole (or, without a body, its head).
    pub request_ended: Time,
    pub response_started: Option<Time>,
    /// When the last byte of the response came in.
    pub response_ended: Time,
    pub last_activity: Time,
    /// What the access log needs of the heads.
    pub log: Option<Box<LogText>>,
}

/// Text for the access log, copied out of heads while they are lent.
#[derive(Debug, Default)]
pub struct LogText {
    pub method: Vec<u8>,
    pub path: Vec<u8>,
    pub authority: Vec<u8>,
    /// These are of calls.
    pub service: Vec<u8>,
    pub version: Vec<u8>,
    pub group: Vec<u8>,
    pub timeout_ms: Option<u32>,
    pub captured_request: Vec<u8>,
    pub captured_response: Vec<u8>,
}

impl Stream {
    /// What a balancer may go by for it.
    pub fn pick_request<'a>(&'a self, now: Time, random: u64, avoid: &'a [u32]) -> PickRequest<'a> {
        PickRequest { now, hash: self.hash, subset: self.subset(), avoid, random }
    }

    /// A stream on `downstream` whose first byte came at `started`.
    #[inline]
    pub fn new(listener: Rc<CoreListener>, downstream: ConnId, started: Time, now: Time) -> Self {
        let idle_timeout_ms = listener.config.limits.stream_idle_timeout_ms;
        Stream {
            listener,
            downstream,
            downstream_stream: None,
            attempt: Attempt::default(),
            hedged: vec![],
            cluster: u32::MAX,
            hash: None,
            route_line: 0,
            route: None,
            place: None,
            captured: vec![],
            new_cookies: NewCookies::default(),
            route_timeout_ms: 0,
            idle_timeout_ms,
            max_duration_ms: 0,
            request: Progress::Open,
            response: Progress::Awaited,
            request_relay: Relay::Off,
            response_relay: Relay::Off,
            is_tunnel: false,
            is_tunnel_open: false,
            terminates_connect: false,
            is_body_here: false,
            is_one_way: false,
            is_call: false,
            is_plain: false,
            request_has_body: false,
            is_idempotent: false,
            wants_upgrade: false,
            is_close_delimited: false,
            is_transformed: false,
            retry: Retry::default(),
            body: None,
            buffer_bytes: 0,
            mirror: None,
            head: None,
            reply: None,
            answer: None,
            filters: None,
            bridge: None,
            version: Version::Http11,
            method: MethodPlace::NONE,
            rpc_status: None,
            status: 0,
            flags: ResponseFlags::default(),
            details: Details::default(),
            request_body_bytes: 0,
            response_body_bytes: 0,
            started,
            request_ended: now,
            response_started: None,
            response_ended: now,
            last_activity: now,
            log: None,
        }
    }

    /// The metadata that its route wants of an endpoint.
    pub fn subset(&self) -> &[(String, String)] {
        match self.listener.routed(self.route).map(|found| &found.route.action) {
            Some(RouteAction::Forward(forward)) => &forward.subset,
            _ => &[],
        }
    }

    /// The place of the attempt on this connection among those that have been followed by another one.
    pub fn hedge_on(&self, conn: ConnId) -> Option<usize> {
        self.hedged.iter().position(|attempt| attempt.upstream == Upstream::Attached(conn))
    }

    /// The attempt on this connection.
    pub fn attempt_on(&mut self, conn: ConnId) -> &mut Attempt {
        match self.hedge_on(conn) {
            Some(at) => &mut self.hedged[at],
            None => &mut self.attempt,
        }
    }

    /// The endpoints that the next attempt should not go to, and numbers of none.
    pub fn tried(&self) -> [u32; 1 + HEDGED] {
        let mut tried = [u32::MAX; 1 + HEDGED];
        let attempts = self.hedged.iter().chain([&self.attempt]);
        let hosts = attempts.filter_map(|attempt| attempt.host.as_ref());
        tried.iter_mut().zip(hosts).for_each(|(place, host)| *place = host.index);
        tried
    }

    /// Waits for a connection, or for room for one. `before` is the host that was tried before, if any.
    pub fn wait_behind(&mut self, before: Option<Rc<Host>>) {
        self.attempt.upstream = Upstream::Waiting;
        // Whoever serves it then may not send it to the very host that could not be reached.
        if self.attempt.connects > 0 {
            self.attempt.host = before;
        }
    }

    /// While it waits: the host that could not be reached.
    pub fn unreached(&self) -> [u32; 1] {
        let host = self.attempt.host.as_ref().filter(|_| self.attempt.connects > 0);
        [host.map_or(u32::MAX, |host| host.index)]
    }

    /// The upstream connection that carries the request, once it is established.
    pub fn attached(&self) -> Option<ConnId> {
        match self.attempt.upstream {
            Upstream::Attached(conn) => Some(conn),
            _ => None,
        }
    }

    /// Whether it needs an upstream connection without a codec, which no other exchange has used.
    pub fn needs_raw_connection(&self) -> bool {
        self.is_tunnel || self.terminates_connect
    }

    /// Whether its request takes so long to come that it gets a multiplexed connection for itself.
    pub fn needs_connection_alone(&self) -> bool {
        self.request != Progress::Ended && self.request_has_body && !self.is_body_here
    }

    /// Whether its request can go to who speaks this protocol.
    pub fn speaks(&self, protocol: &'static Protocol) -> bool {
        match &self.bridge {
            Some(bridging) => bridging.protocol.is_some_and(|own| std::ptr::eq(own, protocol)),
            None => self.listener.speaks(protocol),
        }
    }

    /// Whether its body is kept while it has no connection yet.
    pub fn gathers(&self) -> bool {
        self.is_call || self.bridge.is_some() && self.attempt.upstream == Upstream::Gathering
    }

    /// Whether the request's body must wait: a filter holds it back, or there is no connection yet to send it to.
    pub fn is_blocked(&self) -> bool {
        use Upstream::*;
        matches!(self.attempt.upstream, Delayed | Gathering | Asking | Waiting | Connecting(_) | BackingOff)
    }
}
