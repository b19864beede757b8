//! A model client: writes its script, reads the answers, and checks that each is the answer to its own request and that
//! none looks whole that is not.

use crate::net::{End, Net};
use crate::rng::Rng;
use crate::wire::{self, Body, Kind};

/// What a run may do to its connections.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// One in this many steps of a client resets, ends early, or stops to read. 0 is never.
    pub(crate) client: usize,
    /// One in this many answers is cut, early, followed by bytes nobody asked for, or never comes.
    pub(crate) origin: usize,
    /// One in this many idle connections is closed by the origin.
    pub(crate) stale: usize,
    /// One in this many connects fails.
    pub(crate) connect: usize,
}

pub(crate) struct Client {
    pub(crate) serial: usize,
    pub(crate) script: Vec<(u32, Kind)>,
    out: Vec<u8>,
    requested: usize,
    /// Answered wholly, and where the next answer begins.
    pub(crate) answered: usize,
    read: usize,
    /// What there was when it was looked at last.
    looked_at: (usize, Option<End>),
    pipelines: bool,
    half_closes: bool,
    sends_ahead: bool,
    has_said_tunnel: bool,
    pub(crate) has_ended: bool,
    last_is_local: bool,
    /// Statuses without a tag: the proxy's own answers.
    pub(crate) local: Vec<(u16, Kind)>,
}

/// One answer as far as it is there.
struct Answer {
    status: u16,
    tag: Option<u32>,
    body: Body,
    length: usize,
}

impl Client {
    /// On listener 0 (HTTP) with requests of these tags, or on listener 1 with one tunnel.
    pub(crate) fn new(serial: usize, tags: Vec<u32>, random: &mut Rng) -> Self {
        let last = tags.len() - 1;
        let script =
            tags.into_iter().enumerate().map(|(at, tag)| (tag, choose(at == last, random))).collect();
        Client {
            serial,
            script,
            out: vec![],
            requested: 0,
            answered: 0,
            read: 0,
            looked_at: (0, None),
            pipelines: random.chance(40),
            half_closes: random.chance(30),
            sends_ahead: random.chance(50),
            has_said_tunnel: false,
            has_ended: false,
            last_is_local: false,
            local: vec![],
        }
    }

    /// A client of the listener that carries bytes.
    pub(crate) fn raw(serial: usize, tag: u32, random: &mut Rng) -> Self {
        let mut client = Client::new(serial, vec![tag], random);
        client.script = vec![(tag, Kind::Connect)];
        client.requested = 1;
        client.answered = 1;
        client
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.answered == self.script.len()
    }

    /// The tunnel this connection has become.
    fn tunnel(&self) -> Option<u32> {
        let (tag, kind) = *self.script.last()?;
        let agreed = kind == Kind::Connect || kind == Kind::Upgrade && wire::agrees(tag);
        (self.is_complete() && agreed && !self.last_is_local).then_some(tag)
    }

    /// Does one thing; `false` if there is nothing to do.
    pub(crate) fn step(&mut self, net: &mut Net, faults: Faults, random: &mut Rng) -> bool {
        if self.has_ended {
            return false;
        }
        if random.rarely(faults.client) {
            self.misbehave(net, random);
            return true;
        }
        if !self.out.is_empty() {
            let length = if random.chance(60) { self.out.len() } else { 1 + random.below(self.out.len()) };
            net.write(self.serial, &self.out[..length]);
            self.out.drain(..length);
            self.end_if_done_writing(net);
            return true;
        }
        let answers = self.read_answers(net);
        self.say_more(random) || self.leave(net) || answers
    }

    fn end_if_done_writing(&mut self, net: &mut Net) {
        let wrote_all = self.out.is_empty() && self.requested == self.script.len();
        let says_more = self.script.last().is_some_and(|(_, kind)| is_tunnel(*kind)) && !self.has_said_tunnel;
        if wrote_all && !says_more && (self.half_closes || self.has_said_tunnel) {
            net.end(self.serial, End::Fin);
        }
    }

    fn misbehave(&mut self, net: &mut Net, random: &mut Rng) {
        match random.below(4) {
            0 => net.sockets[self.serial].stalled = true,
            1 => {
                net.end(self.serial, End::Fin);
                self.out.clear();
                self.requested = self.script.len();
                self.has_said_tunnel = true;
            }
            _ => {
                net.end(self.serial, End::Reset);
                self.has_ended = true;
            }
        }
    }

    fn say_more(&mut self, random: &mut Rng) -> bool {
        if let Some(tag) = self.tunnel() {
            if self.has_said_tunnel {
                return false;
            }
            self.has_said_tunnel = true;
            self.out = wire::tunnel_up(tag);
            return true;
        }
        if self.requested == self.script.len() || (self.answered < self.requested && !self.pipelines) {
            return false;
        }
        let (tag, kind) = self.script[self.requested];
        self.out = wire::request(tag, kind, 1 + random.below(9000));
        self.requested += 1;
        let will_tunnel = kind == Kind::Connect || kind == Kind::Upgrade && wire::agrees(tag);
        if will_tunnel && self.sends_ahead {
            self.has_said_tunnel = true;
            self.out.extend(wire::tunnel_up(tag));
        }
        true
    }

    /// Leaves when everything is over: answered, or ended by the other side.
    fn leave(&mut self, net: &mut Net) -> bool {
        let ended = net.sockets[self.serial].taken_end.is_some();
        let over = self.is_complete() && self.tunnel().is_none();
        if ended || over {
            net.end(self.serial, End::Fin);
            self.has_ended = true;
        }
        ended || over
    }

    /// Takes note of the answers that are whole. Tells whether there was one.
    fn read_answers(&mut self, net: &Net) -> bool {
        let before = self.read;
        let socket = &net.sockets[self.serial];
        let there = (socket.taken.len(), socket.taken_end);
        if std::mem::replace(&mut self.looked_at, there) == there {
            return false;
        }
        while self.answered < self.requested && self.tunnel().is_none() {
            let socket = &net.sockets[self.serial];
            let (tag, kind) = self.script[self.answered];
            let Some(answer) = parse(&socket.taken[self.read..], kind, socket.taken_end) else { break };
            check(&answer, tag, kind);
            if !answer.body.is_whole {
                break;
            }
            self.read += answer.length;
            if answer.status >= 200 || answer.status == 101 {
                self.answered += 1;
                self.last_is_local = answer.tag.is_none() && !(kind == Kind::Connect && answer.status == 200);
                if self.last_is_local {
                    self.local.push((answer.status, kind));
                }
            }
        }
        self.read > before
    }

    /// At the end of a run: what is there of the last answer or the tunnel is right as far as it goes.
    pub(crate) fn check_rest(&mut self, net: &Net, must_be_whole: bool) {
        self.read_answers(net);
        let socket = &net.sockets[self.serial];
        let rest = &socket.taken[self.read..];
        if let Some(tag) = self.tunnel() {
            let expected = wire::tunnel_down(tag);
            assert!(expected.starts_with(rest), "a tunnel of client {} carried wrong bytes", self.serial);
            assert!(!must_be_whole || rest.len() == expected.len(), "a tunnel was cut: {}", self.serial);
        } else if self.answered == self.script.len() {
            // What was meant for a tunnel that was refused reads as a broken request, and a timeout within a head does
            // not know that it is a HEAD that it answers.
            let is_refusal = self.has_said_tunnel && rest.starts_with(b"HTTP/1.1 ") && rest[9] >= b'4';
            let is_refusal = is_refusal || self.last_is_local;
            assert!(
                rest.is_empty() || is_refusal,
                "more than was asked for: {:?}",
                String::from_utf8_lossy(rest)
            );
        } else if self.answered == self.requested {
            // A timeout may be told on an idle connection.
            let unasked = parse(rest, Kind::Get, socket.taken_end).is_some_and(|answer| answer.status != 408);
            assert!(!unasked, "an answer nobody asked for");
        }
    }
}

fn is_tunnel(kind: Kind) -> bool {
    matches!(kind, Kind::Connect | Kind::Upgrade)
}

fn choose(is_last: bool, random: &mut Rng) -> Kind {
    match random.below(if is_last { 13 } else { 10 }) {
        0..4 => Kind::Get,
        4 => Kind::Head,
        5..8 => Kind::Post,
        8..10 => Kind::PostChunked,
        10 => Kind::Old,
        11 => Kind::Upgrade,
        _ => Kind::Connect,
    }
}

fn parse(bytes: &[u8], kind: Kind, end: Option<End>) -> Option<Answer> {
    let (length, lines) = wire::head(bytes)?;
    let status: u16 = lines[0].split(' ').nth(1)?.parse().ok()?;
    let tag = wire::field(&lines, "x-tag").and_then(|tag| tag.parse().ok());
    let rest = &bytes[length..];
    let is_empty = kind == Kind::Head || status < 200 || kind == Kind::Connect && status == 200;
    let body = if is_empty {
        wire::sized_body(rest, 0)
    } else if let Some(length) = wire::field(&lines, "content-length") {
        wire::sized_body(rest, length.parse().expect("a content-length"))
    } else if wire::field(&lines, "transfer-encoding").is_some() {
        wire::chunked_body(rest)
    } else {
        Body { bytes: rest.to_vec(), is_whole: end == Some(End::Fin), length: rest.len() }
    };
    Some(Answer { status, tag, length: length + body.length, body })
}

fn check(answer: &Answer, tag: u32, kind: Kind) {
    let Some(told) = answer.tag else {
        let is_own = answer.status >= 400 || answer.status == 100;
        assert!(is_own || kind == Kind::Connect, "{} without a tag", answer.status);
        return;
    };
    assert_eq!(told, tag, "the answer to another request");
    if kind == Kind::Head || answer.status == 101 {
        return;
    }
    let expected = wire::answer_body(tag);
    assert!(expected.starts_with(&answer.body.bytes), "wrong bytes in the answer to {tag} {kind:?}");
    let is_short = answer.body.is_whole && answer.body.bytes.len() != expected.len();
    assert!(!is_short, "a cut answer to {tag} {kind:?} looks whole");
}
