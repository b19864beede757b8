//! How a model client reads its answers: each must be the answer to its own request, be whole or visibly cut, and follow
//! the rules for its status, method and version.

use super::wire::{self, Body, Coding, Head};
use crate::bytes::Purpose;
use crate::coverage::Situation;
use crate::ledger::Outcome;
use crate::peers::exchange::{Fate, Framing, Kind};
use crate::rules::{ANSWERED, DROPPED};
use crate::stage::Stage;

/// An answer on its way in.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) tag: u32,
    state: State,
    pub(super) has_continue: bool,
    interims: u32,
}

/// Where reading stands.
///
/// ```text
/// Head <-- interim;  Head -> Body -> Done
/// ```
#[derive(Debug)]
enum State {
    Head,
    Body(Box<Reading>),
}

#[derive(Debug)]
struct Reading {
    body: Body,
    status: u16,
    is_local: bool,
    says_close: bool,
}

/// What reading has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Read {
    More,
    /// The answer is whole; whether another may follow.
    Whole {
        outcome: Outcome,
        says_close: bool,
    },
    /// The connection has become a tunnel.
    Tunnel,
}

impl Answer {
    pub(super) fn new(tag: u32) -> Self {
        Answer { tag, state: State::Head, has_continue: false, interims: 0 }
    }

    /// Whether anything of the final answer is there.
    pub(super) fn has_begun(&self) -> bool {
        matches!(self.state, State::Body(_))
    }

    /// Takes what it can of these bytes; tells how many that were.
    pub(super) fn feed(&mut self, bytes: &[u8], stage: &mut Stage<'_>) -> (usize, Read) {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            match &mut self.state {
                State::Head => {
                    let Some(head) = wire::head(rest) else { return (at, Read::More) };
                    at += head.length;
                    if self.read_head(&head, stage) {
                        return (at, Read::Tunnel);
                    }
                }
                State::Body(reading) => {
                    at += reading.body.feed(rest);
                    if !reading.body.is_whole() {
                        return (at, Read::More);
                    }
                    return (at, self.whole(stage));
                }
            }
        }
    }

    /// The connection's end, which may be the answer's.
    pub(super) fn end(&mut self, stage: &mut Stage<'_>) -> Read {
        match &self.state {
            State::Body(reading) if reading.body.coding == Coding::UntilClose => self.whole(stage),
            _ => Read::More,
        }
    }

    /// Reads a head; true if it makes the connection a tunnel.
    fn read_head(&mut self, head: &Head, stage: &mut Stage<'_>) -> bool {
        let tag = self.tag;
        let status: u16 = head
            .start
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.split(' ').next()?.parse().ok())
            .unwrap_or_else(|| panic!("request {tag} is answered by {:?}", head.start));
        let exchange = stage.ledger.get(tag).exchange.clone();
        if let Some(told) = head.tag() {
            assert_eq!(told, tag, "request {tag} is answered with the answer to request {told}");
        }
        if status < 200 && status != 101 {
            assert!(!exchange.kind.is_old(), "request {tag} of HTTP/1.0 got an interim answer");
            self.interims += 1;
            self.has_continue |= status == 100;
            stage.meet(Situation::InterimAnswer);
            return false;
        }
        let is_local = head.tag().is_none();
        assert!(
            is_local || exchange.kind.may_reach_upstream(),
            "request {tag} ({:?}) was answered by an upstream",
            exchange.kind
        );
        if is_tunnel(&exchange.kind, status) {
            assert!(!is_local || exchange.kind == Kind::Connect, "the proxy itself upgrades request {tag}");
            return true;
        }
        assert_ne!(status, 101, "request {tag} is upgraded, and did not ask for it");
        let body = self.body_of(head, status, is_local, stage);
        if !is_local {
            check_head(tag, head, status, stage);
        }
        self.state = State::Body(Box::new(Reading { body, status, is_local, says_close: head.says_close() }));
        false
    }

    fn body_of(&self, head: &Head, status: u16, is_local: bool, stage: &Stage<'_>) -> Body {
        let exchange = &stage.ledger.get(self.tag).exchange;
        let is_bodiless = exchange.kind == Kind::Head || matches!(status, 204 | 304);
        let coding = if is_bodiless {
            let _ = head.coding();
            Coding::Sized(0)
        } else {
            head.coding().unwrap_or(Coding::UntilClose)
        };
        let is_chunked = matches!(coding, Coding::Chunked(_));
        assert!(!(is_chunked && exchange.kind.is_old()), "request {} of HTTP/1.0 got chunks", self.tag);
        let must_close = coding == Coding::UntilClose;
        assert!(
            head.says_close() || !must_close,
            "the answer to {} ends with its connection, and keeps alive",
            self.tag
        );
        let source = (!is_local).then_some((self.tag, Purpose::Answer, exchange.answer));
        Body::new(coding, source)
    }

    /// The answer is whole. If it came from an upstream, it is as long as it was there.
    fn whole(&mut self, stage: &mut Stage<'_>) -> Read {
        let State::Body(reading) = std::mem::replace(&mut self.state, State::Head) else { return Read::More };
        let exchange = &stage.ledger.get(self.tag).exchange;
        let tag = self.tag;
        if reading.is_local {
            return Read::Whole { outcome: Outcome::Local(reading.status), says_close: reading.says_close };
        }
        let is_bodiless = exchange.kind == Kind::Head || matches!(reading.status, 204 | 304);
        let expected = if is_bodiless { 0 } else { exchange.answer };
        assert_eq!(reading.body.received, expected, "the answer to {tag} was cut, and looks whole");
        let has_trailers = !reading.body.trailers.is_empty();
        let trailer = format!("x-trailer: {tag}");
        let others = reading.body.trailers.iter().any(|line| *line != trailer);
        assert!(!others, "request {tag} is answered with trailers {:?}", reading.body.trailers);
        let must_have = exchange.trailers && matches!(exchange.framing, Framing::Chunked(_));
        let is_chunked = matches!(reading.body.coding, Coding::Chunked(_));
        assert!(has_trailers == must_have || !is_chunked, "trailers of the answer to {tag}: {has_trailers}");
        if has_trailers {
            stage.meet(Situation::Trailers);
        }
        Read::Whole { outcome: Outcome::Answered(reading.status), says_close: reading.says_close }
    }
}

/// Whether this answer to such a request ends HTTP on the connection.
fn is_tunnel(kind: &Kind, status: u16) -> bool {
    match kind {
        Kind::Upgrade => status == 101,
        Kind::Connect => (200..300).contains(&status),
        _ => false,
    }
}

/// The head of an upstream's answer is what that upstream wrote.
fn check_head(tag: u32, head: &Head, status: u16, stage: &Stage<'_>) {
    let exchange = &stage.ledger.get(tag).exchange;
    let is_cut = matches!(exchange.fate, Fate::Malformed(_));
    assert!(status == exchange.status || is_cut, "request {tag} is answered {status}");
    if !is_cut {
        head.check_pad(tag, exchange.pad);
        let has_rules = stage.plan.has_rules;
        let answered = has_rules.then(|| format!("{status} to {tag}"));
        assert_eq!(
            head.field(ANSWERED),
            answered.as_deref(),
            "what the rules have made of the answer to {tag}"
        );
        assert_eq!(head.field(DROPPED).is_none(), has_rules, "what the rules take from the answer to {tag}");
    }
    assert!(head.field("x-hop").is_none(), "a field of the other hop is in the answer to {tag}");
    let length = head.field("content-length").and_then(|length| length.parse::<usize>().ok());
    if let Some(length) = length
        && !is_cut
        && status != 304
    {
        assert_eq!(length, exchange.answer, "the length told in the answer to {tag}");
    }
    let must_tell = exchange.framing == Framing::Sized && !is_cut && !matches!(status, 204 | 304);
    assert!(length.is_some() || !must_tell, "the answer to {tag} ({:?}) has lost its length", exchange.kind);
    assert!(head.field("keep-alive").is_none(), "a field of the other hop is in the answer to {tag}");
    assert!(status != 204 || length.is_none(), "204 with a length: {tag}");
}
