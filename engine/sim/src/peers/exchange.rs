//! One request and the answer that its upstream is to give, in no protocol's terms.

use crate::choices::Choices;
use crate::plan::Plan;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Get,
    Head,
    Delete,
    /// `OPTIONS *`.
    Options,
    /// With a body of known length.
    Post,
    PostChunked,
    /// The body waits for 100.
    PostExpect,
    /// As `Post`, with an idempotent method.
    Put,
    /// HTTP/1.0.
    Old,
    OldKeepAlive,
    Upgrade,
    Connect,
    /// The proxy answers by itself.
    Direct,
    NoRoute,
    /// The same with a body, which is read and dropped.
    NoRouteBody,
    Trace,
    /// The number is a row of the table of malformed requests.
    Malformed(u8),
    /// Bytes, unseen.
    Raw,
    /// A call of a protocol of calls.
    Call,
    /// One that nobody answers.
    OneWay,
    /// One that no route takes.
    LostCall,
}

impl Kind {
    pub(crate) fn may_reach_upstream(self) -> bool {
        let is_answered_here =
            matches!(self, Kind::Direct | Kind::NoRoute | Kind::NoRouteBody | Kind::Trace | Kind::LostCall);
        !is_answered_here && !matches!(self, Kind::Malformed(_))
    }

    /// Whether it is one of a protocol of calls.
    pub(crate) fn is_call(self) -> bool {
        matches!(self, Kind::Call | Kind::OneWay | Kind::LostCall)
    }

    pub(crate) fn has_body(self) -> bool {
        matches!(self, Kind::Post | Kind::PostChunked | Kind::PostExpect | Kind::Put | Kind::NoRouteBody)
    }

    /// Whether it is idempotent and has no body (RFC 9110 section 9.2.2).
    pub(crate) fn may_be_sent_twice(self) -> bool {
        let idempotent = [
            Kind::Get,
            Kind::Head,
            Kind::Delete,
            Kind::Options,
            Kind::Old,
            Kind::OldKeepAlive,
            Kind::Upgrade,
        ];
        idempotent.contains(&self)
    }

    pub(crate) fn is_old(self) -> bool {
        matches!(self, Kind::Old | Kind::OldKeepAlive)
    }

    /// Whether nothing else can follow it on its connection.
    pub(crate) fn is_last(self) -> bool {
        matches!(self, Kind::Old | Kind::Upgrade | Kind::Connect | Kind::Malformed(_) | Kind::Raw)
    }
}

/// How an answer's end is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Framing {
    Sized,
    /// Pieces of at most this many bytes.
    Chunked(usize),
    UntilClose,
}

/// What becomes of the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Good,
    /// It never comes.
    Silent,
    /// It ends after this share of its bytes, by an orderly end or by a reset.
    CutByEnd(u8),
    CutByReset(u8),
    /// A row of the table of malformed answers.
    Malformed(u8),
    /// It does not wait for the request's body.
    Early,
    /// The connection ends when the request's head is there, by an orderly end or by a reset.
    Aborts(bool),
    /// Bytes follow that nobody asked for.
    Unasked,
    /// It trickles, so slowly that a timeout may come first.
    Trickles,
}

/// Names that all belong to the same virtual host.
pub(crate) const HOSTS: &[&str] = &["h", "zz.example", "a.example:80", "m.example"];

/// One request and its answer.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) kind: Kind,
    /// The number of the cluster it is for.
    pub(crate) cluster: usize,
    /// Bytes of the request's body, or of the tunnel's way up.
    pub(crate) body: usize,
    /// The most in one chunk of it.
    pub(crate) chunk: usize,
    pub(crate) status: u16,
    /// Bytes of the answer's body, or of the tunnel's way down.
    pub(crate) answer: usize,
    pub(crate) framing: Framing,
    /// Interim answers in front of it.
    pub(crate) interim: u8,
    pub(crate) trailers: bool,
    pub(crate) says_close: bool,
    pub(crate) think_micros: u64,
    pub(crate) fate: Fate,
    /// Bytes of a field that makes the heads of the request and of its answer long.
    pub(crate) pad: usize,
    /// The path has dot segments.
    pub(crate) is_dotted: bool,
    /// The Host that is sent.
    pub(crate) host: &'static str,
    /// The answer is of HTTP/1.0.
    pub(crate) is_old_answer: bool,
    /// Chunks have extensions of so many bytes.
    pub(crate) extension: usize,
    /// An upgrade or CONNECT is agreed to.
    pub(crate) agrees: bool,
    /// Of a call: which of its protocol's variants it is in, and how long its frame says that the caller waits; 0 for ever.
    pub(crate) dialect: u8,
    pub(crate) timeout_ms: u32,
}

impl Exchange {
    /// Whether the upstream's connection ends with the answer.
    pub(crate) fn closes(&self) -> bool {
        self.says_close || self.framing == Framing::UntilClose || self.is_old_answer
    }

    /// A request of this kind, with everything else left to chance.
    pub(crate) fn new(kind: Kind, cluster: usize, plan: &Plan, choices: &mut Choices) -> Self {
        let is_tunnel = matches!(kind, Kind::Upgrade | Kind::Connect | Kind::Raw);
        let fails = choices.one_in(plan.origin_faults);
        let statuses: &[u16] = &[200, 200, 200, 200, 204, 304, 404, 500];
        let mut exchange = Exchange {
            kind,
            cluster,
            body: if kind.has_body() || is_tunnel { size(plan, choices) } else { 0 },
            chunk: choices.pick(&[9000, 100, 1, 2048, 70_000]),
            status: if is_tunnel { 200 } else { choices.pick(statuses) },
            answer: size(plan, choices),
            framing: Framing::Sized,
            interim: if choices.one_in(12) { choices.between(1, 3) as u8 } else { 0 },
            trailers: choices.chance(20),
            says_close: choices.one_in(15),
            think_micros: choices.below(plan.think_max) as u64,
            fate: Fate::Good,
            pad: if choices.one_in(8) { choices.between(1, 1500) } else { 0 },
            is_dotted: choices.one_in(10),
            host: choices.pick(HOSTS),
            is_old_answer: choices.one_in(15) && !is_tunnel,
            extension: if choices.one_in(5) { choices.between(1, 30) } else { 0 },
            agrees: choices.below(3) < 2,
            dialect: 0,
            timeout_ms: 0,
        };
        let is_bulky = plan.body_max > 300_000;
        let is_early = kind.has_body() && choices.one_in(if is_bulky { 4 } else { 12 });
        if is_early && is_bulky && choices.chance(50) {
            // Bodies that fill every queue matter most where nobody waits for them.
            (exchange.body, exchange.answer) = (choices.below(plan.body_max), choices.below(plan.body_max));
        }
        exchange.chunk = exchange.chunk.max(exchange.body.max(exchange.answer) / 200);
        exchange.framing = match choices.below(10) {
            0..5 => Framing::Sized,
            5..9 => Framing::Chunked(exchange.chunk),
            _ => Framing::UntilClose,
        };
        if matches!(exchange.status, 204 | 304) {
            exchange.answer = 0;
            exchange.framing = Framing::Sized;
        }
        if exchange.is_old_answer && matches!(exchange.framing, Framing::Chunked(_)) {
            exchange.framing = Framing::UntilClose;
        }
        if kind == Kind::Connect && !exchange.agrees {
            exchange.status = 404;
        }
        if is_tunnel && choices.chance(50) {
            // Both ends are through before the kernel is, or while one of them has yet to read what is queued.
            let most = choices.pick(&[60, 60, 10_000]);
            (exchange.body, exchange.answer) = (choices.below(most), choices.below(most));
        }
        if kind == Kind::NoRouteBody {
            // More than a megabyte is not read.
            exchange.body = if plan.is_calm { exchange.body.min(900_000) } else { plan.body_max };
        }
        if is_early {
            exchange.answer_early(plan);
        }
        if fails {
            exchange.fate = fate(&exchange, choices);
        }
        exchange
    }

    /// A call of this kind, with everything else left to chance but what its protocol says.
    pub(crate) fn call(kind: Kind, cluster: usize, plan: &Plan, choices: &mut Choices) -> Self {
        let fails = choices.one_in(plan.origin_faults);
        let timeouts: &[u32] = if plan.is_calm { &[0, 0, 0, 55_000] } else { &[0, 0, 0, 300, 20, 3000] };
        let share = choices.below(101) as u8;
        let fate = match choices.below(10) {
            _ if !fails => Fate::Good,
            0 | 1 => Fate::Silent,
            2 => Fate::CutByEnd(share),
            3 | 4 => Fate::CutByReset(share),
            5 => Fate::Malformed(share),
            6 => Fate::Aborts(share < 50),
            7 | 8 => Fate::Trickles,
            _ => Fate::Unasked,
        };
        Exchange {
            body: size(plan, choices),
            status: 200,
            framing: Framing::Sized,
            interim: 0,
            trailers: false,
            says_close: false,
            is_dotted: false,
            is_old_answer: false,
            extension: 0,
            // What nobody asked for does no harm where ids tell it from answers.
            fate: if fate == Fate::Good && choices.one_in(15) { Fate::Unasked } else { fate },
            timeout_ms: choices.pick(timeouts),
            ..Exchange::new(kind, cluster, plan, choices)
        }
    }

    /// The answer does not wait for the request's body.
    fn answer_early(&mut self, plan: &Plan) {
        self.fate = Fate::Early;
        self.body = self.body.min(if plan.is_calm { 900_000 } else { usize::MAX });
        // A close over an unread body would be a reset.
        self.says_close = false;
        self.is_old_answer = false;
        if self.framing == Framing::UntilClose {
            self.framing = Framing::Sized;
        }
    }
}

fn fate(exchange: &Exchange, choices: &mut Choices) -> Fate {
    let share = choices.below(101) as u8;
    // Without a frame of its own an orderly end is the end of the answer.
    let is_tunnel = matches!(exchange.kind, Kind::Upgrade | Kind::Connect | Kind::Raw);
    let is_framed = exchange.framing != Framing::UntilClose && !is_tunnel;
    match choices.below(10) {
        0 => Fate::Silent,
        1 | 2 if is_framed => Fate::CutByEnd(share),
        1..4 => Fate::CutByReset(share),
        4 | 5 if !is_tunnel => Fate::Malformed(share),
        4 | 5 => Fate::CutByReset(share),
        6 if exchange.kind.has_body() => Fate::Aborts(share < 50),
        6 | 7 if exchange.kind.has_body() => Fate::Early,
        6 | 7 => Fate::CutByReset(share),
        8 => Fate::Unasked,
        _ => Fate::Trickles,
    }
}

/// How long a body is: mostly short, and now and then worth a relay or more than any queue holds.
fn size(plan: &Plan, choices: &mut Choices) -> usize {
    let most = plan.body_max;
    let bulk = if most > 300_000 { 75 } else { 97 };
    match choices.below(100) {
        0..12 => 0,
        12..60 => choices.below(200),
        60..72 => choices.below(6000.min(most)),
        at if at < bulk => choices.below(20_000.min(most)),
        _ if most > 300_000 => 256 * 1024 + choices.below(most - 256 * 1024),
        _ => choices.below(most),
    }
}
