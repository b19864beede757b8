//! A model upstream: reads requests, checks that each is a whole request of one client, and answers as the ledger says.

use super::wire::{self, Body, Coding, Head};
use super::{malformed, request};
use crate::bytes::{Purpose, pattern};
use crate::coverage::Situation;
use crate::engine::link::End;
use crate::journal::Who;
use crate::peers::Peer;
use crate::peers::exchange::{Exchange, Fate, Framing, Kind};
use crate::peers::tunnel::{self, Tunnel};
use crate::rules::{ADDED, CELL, DROPPED, LEVELS, PLACES, STAMP};
use crate::stage::Stage;
use std::collections::VecDeque;

/// Something to do, in order.
#[derive(Debug)]
enum Action {
    /// Until this time.
    Wait(u64),
    Write(Vec<u8>, usize),
    Close,
    Reset,
    /// The connection becomes a tunnel.
    Tunnel(u32),
}

/// One connection.
pub(super) struct Origin {
    link: u32,
    actions: VecDeque<Action>,
    /// The request being read, or answered.
    request: Option<(u32, Body)>,
    /// Its answer has been decided on.
    is_answering: bool,
    /// What is done next is only about an idle connection.
    is_idle: bool,
    /// It has said that it takes no further request, or does not read any more.
    has_said_close: bool,
    is_deaf: bool,
    is_silent: bool,
    tunnel: Option<Tunnel>,
    is_done: bool,
    /// What it said last was not asked for, so that anything may follow.
    is_rude: bool,
    /// It has answered a request before.
    was_used: bool,
    /// It speaks first in a tunnel.
    greets: bool,
}

/// See [`super::super::Model::origin`].
pub(super) fn origin(link: u32, stage: &mut Stage<'_>) -> Box<dyn Peer> {
    let greets = stage.choices().chance(40);
    Box::new(Origin {
        link,
        actions: VecDeque::new(),
        request: None,
        is_answering: false,
        is_idle: true,
        has_said_close: false,
        is_deaf: false,
        is_silent: false,
        tunnel: None,
        is_done: false,
        is_rude: false,
        was_used: false,
        greets,
    })
}

impl Peer for Origin {
    fn wake(&mut self, stage: &mut Stage<'_>) {
        for _ in 0..100 {
            if self.is_done {
                return;
            }
            if let Some(tunnel) = &mut self.tunnel {
                if tunnel.step(stage, self.link).is_some() {
                    self.is_done = true;
                    stage.close(self.link);
                }
                return;
            }
            let has_read = self.read(stage);
            let has_acted = self.act(stage);
            if self.is_done || self.tunnel.is_some() || has_read || has_acted {
                continue;
            }
            if let Some(end) = stage.end(self.link) {
                self.handle_end(stage, end);
            }
            return;
        }
        stage.wake_in(self.link, 1);
    }

    fn finish(&mut self, stage: &mut Stage<'_>) {
        self.wake(stage);
    }
}

impl Origin {
    /// The proxy ended its side. A request that is not whole by then is one that a reader can tell is cut.
    fn handle_end(&mut self, stage: &mut Stage<'_>, end: End) {
        let awaits = self.actions.iter().any(|action| !matches!(action, Action::Wait(_)));
        if end == End::Fin && awaits && !self.is_silent {
            // It is still answering: a half-close would be answered, so it goes on.
            return;
        }
        stage.mark(Who::Origin, "sees the end", self.link, u64::from(end.is_fin()));
        self.is_done = true;
        stage.close(self.link);
    }

    /// Reads on; true if anything was there.
    fn read(&mut self, stage: &mut Stage<'_>) -> bool {
        let bytes = stage.incoming(self.link);
        if bytes.is_empty() || self.is_deaf {
            return false;
        }
        if let Some((tag, body)) = &mut self.request
            && !body.is_whole()
        {
            let taken = body.feed(bytes);
            let (tag, is_whole) = (*tag, body.is_whole());
            stage.consume(self.link, taken);
            if is_whole {
                self.handle_whole(stage, tag);
            }
            return taken > 0;
        }
        if self.request.is_some() && !self.is_rude {
            return self.read_ahead(stage);
        }
        let Some(head) = wire::head(bytes) else { return false };
        stage.consume(self.link, head.length);
        self.begin(stage, &head);
        true
    }

    /// Bytes behind a request that is not answered: only a tunnel may have them.
    fn read_ahead(&self, stage: &Stage<'_>) -> bool {
        let tag = self.request.as_ref().map_or(0, |(tag, _)| *tag);
        let kind = stage.ledger.get(tag).exchange.kind;
        let may_tunnel = matches!(kind, Kind::Connect | Kind::Upgrade);
        assert!(may_tunnel || self.is_silent, "bytes behind request {tag} ({kind:?}), which is not answered");
        false
    }

    /// A request's head is there.
    fn begin(&mut self, stage: &mut Stage<'_>, head: &Head) {
        let tag = check_request(head, stage);
        if let Some(id) = head.field("x-request-id") {
            let owner = *stage.ledger.ids.entry(id.to_owned()).or_insert(tag);
            assert_eq!(owner, tag, "x-request-id of request {tag} is another's");
        }
        stage.mark(Who::Origin, "sees request", self.link, u64::from(tag));
        assert!(!self.has_said_close, "request {tag} came on a connection that was said to close");
        stage.sight(tag, self.link);
        stage.engine.links[self.link as usize].is_idle = false;
        self.actions.clear();
        self.is_idle = false;
        self.is_answering = false;
        self.is_rude = false;
        let exchange = stage.ledger.get(tag).exchange.clone();
        let coding = head.coding();
        match exchange.kind {
            Kind::PostChunked => {
                assert!(matches!(coding, Some(Coding::Chunked(_))), "request {tag}: {coding:?}");
            }
            kind if kind.has_body() => {
                assert_eq!(coding, Some(Coding::Sized(exchange.body)), "request {tag}");
            }
            _ => assert_eq!(coding, None, "request {tag} has got a body"),
        }
        let coding = coding.unwrap_or(Coding::Sized(0));
        let body = Body::new(coding, Some((tag, Purpose::Request, exchange.body)));
        let is_whole = body.is_whole();
        self.request = Some((tag, body));
        if let Fate::Aborts(by_end) = exchange.fate {
            stage.meet(Situation::OriginCutsAnswer);
            self.actions.push_back(if by_end { Action::Close } else { Action::Reset });
            return;
        }
        if self.tires(stage, tag) {
            stage.meet(Situation::OriginTires);
            let resets = stage.choices().chance(40);
            self.actions.push_back(if resets { Action::Reset } else { Action::Close });
            return;
        }
        if !is_whole && matches!(exchange.fate, Fate::CutByReset(share) if share % 2 == 1) {
            // What was written of the answer still arrives, while nothing more can be sent.
            self.answer(stage, tag);
        } else if exchange.fate == Fate::Early && !is_whole {
            stage.meet(Situation::EarlyAnswer);
            self.answer(stage, tag);
            // Some take no further byte: more of them than the kernel holds.
            let window = stage.engine.links[self.link as usize].down_window;
            // Their answer is short, or they would wait for a client that waits for them.
            let may_be_deaf = exchange.body > 2 * window && exchange.answer < 1000;
            self.is_deaf = may_be_deaf && stage.choices().chance(40);
        } else if exchange.kind == Kind::PostExpect && !is_whole {
            self.actions.push_back(Action::Write(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), 0));
        }
        if is_whole {
            self.handle_whole(stage, tag);
        }
    }

    /// Its keep-alive timer ends the connection just when another request comes, the first time that this one does.
    fn tires(&self, stage: &mut Stage<'_>, tag: u32) -> bool {
        let request = stage.ledger.get(tag);
        let is_first = request.sights.len() == 1;
        // Of a request that may not be sent again no more than a megabyte is read once it has failed.
        let may_tire = self.was_used && is_first && request.exchange.body < 900_000;
        let stale = stage.plan.stale * 4;
        may_tire && stage.choices().one_in(stale)
    }

    fn handle_whole(&mut self, stage: &mut Stage<'_>, tag: u32) {
        let now = stage.now();
        stage.ledger.get_mut(tag).seen_whole_at.get_or_insert(now);
        if let Some((_, body)) = &self.request {
            let exchange = &stage.ledger.get(tag).exchange;
            let expected = if exchange.kind.has_body() { exchange.body } else { 0 };
            assert_eq!(body.received, expected, "request {tag} was cut, and looks whole");
            let trailer = format!("x-trailer: {tag}");
            let has_trailer = body.trailers.iter().all(|line| *line == trailer) && body.trailers.len() == 1;
            assert!(has_trailer || exchange.kind != Kind::PostChunked, "trailers of request {tag}");
        }
        if !self.is_answering {
            self.answer(stage, tag);
        }
    }

    /// Decides on what is done about a request.
    fn answer(&mut self, stage: &mut Stage<'_>, tag: u32) {
        self.is_answering = true;
        let exchange = stage.ledger.get(tag).exchange.clone();
        let until = stage.now() + exchange.think_micros;
        if exchange.think_micros > 0 {
            self.actions.push_back(Action::Wait(until));
        }
        let mut bytes = vec![];
        let then = write_answer(tag, &exchange, &mut bytes);
        let entry = &stage.engine.links[self.link as usize];
        let pending = self.actions.iter().map(|action| match action {
            Action::Write(bytes, at) => bytes.len() - at,
            _ => 0,
        });
        let bytes_length = entry.taken + (entry.up.len() + pending.sum::<usize>() + bytes.len()) as u64;
        match exchange.fate {
            Fate::Aborts(_) => return,
            Fate::Silent => {
                stage.meet(Situation::OriginSilent);
                self.is_silent = true;
                return;
            }
            Fate::CutByEnd(share) | Fate::CutByReset(share) => {
                stage.meet(Situation::OriginCutsAnswer);
                let length = bytes.len().saturating_sub(1) * usize::from(share) / 100;
                self.actions.push_back(Action::Write(bytes[..length].to_vec(), 0));
                let by_end = matches!(exchange.fate, Fate::CutByEnd(_));
                self.actions.push_back(if by_end { Action::Close } else { Action::Reset });
                return;
            }
            Fate::Malformed(row) => {
                stage.meet(Situation::MalformedAnswer);
                let row = malformed::row(malformed::ANSWERS, row, tag);
                self.actions.push_back(Action::Write(row, 0));
                self.is_rude = true;
                return;
            }
            Fate::Trickles => self.trickle(stage, &bytes),
            Fate::Good | Fate::Early | Fate::Unasked => self.actions.push_back(Action::Write(bytes, 0)),
        }
        if exchange.fate == Fate::Unasked && then.is_none() {
            stage.meet(Situation::OriginUnasked);
            stage.engine.links[self.link as usize].junk_behind = Some(bytes_length);
            if stage.choices().chance(50) {
                // The connection is idle by then, or serves another request.
                self.actions.push_back(Action::Wait(until + stage.choices().below(20_000) as u64));
            }
            self.actions.push_back(Action::Write(b"junk\r\n\r\n".to_vec(), 0));
            self.is_rude = true;
        }
        if let Some(Action::Close) = then {
            self.has_said_close = true;
            let until = stage.now() + exchange.think_micros + stage.choices().below(4000) as u64;
            self.actions.push_back(Action::Wait(until));
        }
        self.actions.extend(then);
    }

    /// The answer in pieces, with rests between them.
    fn trickle(&mut self, stage: &mut Stage<'_>, bytes: &[u8]) {
        let piece = bytes.len() / 4 + 1;
        let mut until = stage.now();
        for part in bytes.chunks(piece) {
            until += 1000 * stage.choices().below(3000) as u64;
            self.actions.push_back(Action::Wait(until));
            self.actions.push_back(Action::Write(part.to_vec(), 0));
        }
    }

    /// Does what is due; true if anything was.
    fn act(&mut self, stage: &mut Stage<'_>) -> bool {
        let now = stage.now();
        match self.actions.front_mut() {
            None => return self.settle(stage),
            Some(Action::Wait(until)) => {
                if *until > now {
                    let micros = *until - now;
                    stage.wake_in(self.link, micros);
                    return false;
                }
            }
            Some(Action::Write(bytes, at)) => {
                *at += stage.write(self.link, &bytes[*at..]);
                if *at < bytes.len() {
                    return false;
                }
            }
            Some(Action::Close) => {
                self.is_done = true;
                stage.close(self.link);
            }
            Some(Action::Reset) => {
                self.is_done = true;
                stage.reset(self.link);
            }
            Some(Action::Tunnel(tag)) => {
                let tag = *tag;
                return self.open_tunnel(stage, tag);
            }
        }
        self.actions.pop_front();
        true
    }

    /// The client's first bytes in the tunnel are its name. Some upstreams do not wait for them.
    fn open_tunnel(&mut self, stage: &mut Stage<'_>, tag: u32) -> bool {
        if self.greets {
            self.tunnel = Some(Tunnel::greeting(tag, stage));
            return true;
        }
        let bytes = stage.incoming(self.link);
        if bytes.len() < tunnel::NAME_BYTES {
            return false;
        }
        assert_eq!(tunnel::tag_of(bytes), tag, "the tunnel of request {tag} is another's");
        stage.consume(self.link, tunnel::NAME_BYTES);
        self.tunnel = Some(Tunnel::origin(tag, stage));
        true
    }

    /// Everything is written. Once the request is whole as well, the connection is idle.
    fn settle(&mut self, stage: &mut Stage<'_>) -> bool {
        let is_answered = self.is_answering && !self.is_silent;
        if self.is_idle || !is_answered || !self.request.as_ref().is_some_and(|(_, body)| body.is_whole()) {
            return false;
        }
        self.request = None;
        self.is_idle = true;
        self.was_used = true;
        stage.engine.links[self.link as usize].is_idle = true;
        let stale = stage.plan.stale;
        if stage.choices().one_in(stale) {
            stage.meet(Situation::OriginClosesIdle);
            let until = stage.now() + stage.choices().below(8_000) as u64;
            self.actions.push_back(Action::Wait(until));
            // A reset would destroy what the proxy has not taken of the answer.
            let is_taken = stage.engine.links[self.link as usize].up.is_empty();
            let resets = is_taken && stage.choices().chance(40);
            self.actions.push_back(if resets { Action::Reset } else { Action::Close });
            return true;
        }
        false
    }
}

/// The tag of a request whose head is as its client wrote it.
fn check_request(head: &Head, stage: &mut Stage<'_>) -> u32 {
    let mut words = head.start.split(' ');
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    assert_eq!(words.next(), Some("HTTP/1.1"), "a request line: {:?}", head.start);
    let tag = if method == "CONNECT" {
        target.strip_prefix('h').and_then(|target| target.strip_suffix(":1")).map(str::parse)
    } else {
        target.rsplit('/').next().map(str::parse)
    };
    let tag: u32 = tag.and_then(Result::ok).unwrap_or_else(|| panic!("a target without a tag: {target:?}"));
    assert_eq!(head.tag(), Some(tag), "request {tag} has the fields of another");
    for name in ["x-hop", "keep-alive", "te"] {
        assert!(head.field(name).is_none(), "{name} of the other hop is in request {tag}");
    }
    let exchange = &stage.ledger.get(tag).exchange;
    if exchange.kind != Kind::Connect {
        assert_eq!(head.field("host"), Some(exchange.host), "the host of request {tag}");
        let dots = if exchange.is_dotted && !stage.plan.normalizes { "a/../" } else { "" };
        let path = format!("/c{}/{dots}{tag}", exchange.cluster);
        assert_eq!(target, path, "the path of request {tag}");
    }
    let expected = match exchange.kind {
        Kind::Head => "HEAD",
        Kind::Delete => "DELETE",
        Kind::Options => "OPTIONS",
        Kind::Put => "PUT",
        Kind::Connect => "CONNECT",
        kind if kind.has_body() => "POST",
        _ => "GET",
    };
    assert_eq!(method, expected, "the method of request {tag}");
    head.check_pad(tag, exchange.pad);
    check_added(tag, head, stage);
    assert_eq!(head.field("upgrade").is_some(), exchange.kind == Kind::Upgrade, "the upgrade of {tag}");
    check_rules(tag, head, stage);
    tag
}

/// Rules have changed the head, each once, and the right place has left its name.
fn check_rules(tag: u32, head: &Head, stage: &mut Stage<'_>) {
    let method = head.start.split(' ').next().unwrap_or("");
    let (has_rules, exchange) = (stage.plan.has_rules, &stage.ledger.get(tag).exchange);
    let is_tunnel = exchange.kind == Kind::Connect;
    let place = stage.plan.zones.filter(|_| !is_tunnel).map(|off| off.place(tag, exchange.cluster));
    let levels: &[&str] = if has_rules { &LEVELS } else { &[] };
    assert_eq!(head.all(ADDED), levels, "what the rules have added to request {tag}");
    let stamp = if has_rules { format!("{tag}@{method}") } else { "own".to_owned() };
    assert_eq!(head.field(STAMP), Some(stamp.as_str()), "what the rules have made of request {tag}");
    assert_eq!(head.field(DROPPED).is_none(), has_rules, "what the rules take from request {tag}");
    assert_eq!(head.all(CELL), place.as_slice(), "the place that has taken request {tag}");
    if has_rules {
        stage.meet(Situation::RulesApplied);
    }
    if let Some(place) = place {
        let is_cell = PLACES[..2].contains(&place);
        stage.meet(if is_cell { Situation::CellServed } else { Situation::CityServed });
    }
}

/// What the proxy adds is there.
fn check_added(tag: u32, head: &Head, stage: &Stage<'_>) {
    let (address, scheme) = (head.field("x-forwarded-for"), head.field("x-forwarded-proto"));
    let expected = match (request::is_forwarded(tag), stage.plan.forwards_address) {
        (false, false) => (None, None),
        (false, true) => (Some("192.0.2.1"), Some("http")),
        (true, false) => (Some("198.51.100.7"), Some("https")),
        (true, true) => (Some("198.51.100.7, 192.0.2.1"), Some("http")),
    };
    assert_eq!((address, scheme), expected, "x-forwarded-for and x-forwarded-proto of request {tag}");
    let has_id = head.field("x-request-id").is_some_and(|id| id.len() == 36);
    assert_eq!(has_id, stage.plan.makes_ids, "x-request-id of request {tag}");
}

/// Writes the answer to a request; tells what is to be done behind it.
fn write_answer(tag: u32, exchange: &Exchange, out: &mut Vec<u8>) -> Option<Action> {
    for number in 0..exchange.interim {
        let interim = if number == 1 { "103 Early Hints\r\nlink: a" } else { "100 Continue\r\nx-interim: 1" };
        out.extend(format!("HTTP/1.1 {interim}\r\n\r\n").as_bytes());
    }
    if exchange.agrees && exchange.kind == Kind::Upgrade {
        let lines = "connection: upgrade\r\nupgrade: websocket";
        out.extend(format!("HTTP/1.1 101 Switching\r\nx-tag: {tag}\r\n{lines}\r\n\r\n").as_bytes());
        return Some(Action::Tunnel(tag));
    }
    if exchange.agrees && exchange.kind == Kind::Connect {
        out.extend(format!("HTTP/1.1 200 Connected\r\nx-tag: {tag}\r\n\r\n").as_bytes());
        return Some(Action::Tunnel(tag));
    }
    let status = if exchange.kind == Kind::Connect { 404 } else { exchange.status };
    let version = if exchange.is_old_answer { "1.0" } else { "1.1" };
    let mut head =
        format!("HTTP/{version} {status} Reason\r\nX-Tag: {tag}\r\nKeep-Alive: a\r\nconnection: x-hop");
    let closes = exchange.closes();
    head.push_str(if closes && !exchange.is_old_answer {
        ", close\r\nX-Hop: 1\r\n"
    } else {
        "\r\nX-Hop: 1\r\n"
    });
    head.push_str("X-Drop: 1\r\n");
    head.push_str(&wire::pad(tag, exchange.pad));
    let is_bodiless = matches!(status, 204 | 304);
    match exchange.framing {
        _ if is_bodiless => {}
        Framing::Sized => head.push_str(&format!("Content-Length: {}\r\n", exchange.answer)),
        Framing::Chunked(_) => head.push_str("Transfer-Encoding: chunked\r\n"),
        Framing::UntilClose => {}
    }
    head.push_str("\r\n");
    out.extend(head.as_bytes());
    if !is_bodiless && exchange.kind != Kind::Head {
        let body = pattern(tag, Purpose::Answer, 0, exchange.answer);
        match exchange.framing {
            Framing::Chunked(chunk) => {
                let trailers =
                    if exchange.trailers { format!("x-trailer: {tag}\r\n") } else { String::new() };
                let chunks = wire::Chunks { most: chunk, extension: exchange.extension };
                wire::chunked(body, chunks, &trailers, out);
            }
            Framing::Sized | Framing::UntilClose => out.extend(body),
        }
    }
    closes.then_some(Action::Close)
}
