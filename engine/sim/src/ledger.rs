//! Every request of a run: what its client asked, what its upstream is to answer, who has seen it, and how it ended. The
//! rules that concern one request are kept here.

use crate::coverage::Situation;
use crate::peers::exchange::{Exchange, Kind};
use crate::plan::Mode;
use crate::stage::Stage;
use std::collections::HashMap;

/// How a request ended, as its client sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// Whole, from an upstream.
    Answered(u16),
    /// Whole, by the proxy itself.
    Local(u16),
    /// The answer began, and was cut so that the client can see it.
    Cut,
    /// The connection ended before any answer.
    Unanswered,
    /// The client has lost interest.
    GivenUp,
    /// Of a call: refused by the proxy itself, with a status in the protocol's own numbers.
    Refused(i32),
    /// One of several calls of the same id that were refused, which the statuses cannot be told apart of.
    RefusedOneOf,
    /// Of a call that nobody answers: written to its last byte.
    Sent,
}

/// An upstream that has read the request's head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight {
    pub(crate) link: u32,
    /// Bytes that the proxy had taken from this upstream by then.
    pub(crate) taken: u64,
}

/// One request, or one tunnel.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) exchange: Exchange,
    pub(crate) client: u32,
    /// When its first byte was written, and its last.
    pub(crate) begun_at: Option<u64>,
    pub(crate) whole_at: Option<u64>,
    /// When its client could first expect an answer: it is whole, and those before it are answered.
    pub(crate) due_since: Option<u64>,
    pub(crate) ended_at: Option<u64>,
    pub(crate) sights: Vec<Sight>,
    pub(crate) outcome: Option<Outcome>,
    /// Its client has read something of an answer.
    pub(crate) answer_begun: bool,
    /// When an upstream had read all of it.
    pub(crate) seen_whole_at: Option<u64>,
    /// Access-log records with its tag.
    pub(crate) records: u32,
    /// The client said that it would close, or the proxy did: no answer is owed any more.
    pub(crate) may_go_unanswered: bool,
    /// Nothing was asked before on its connection.
    pub(crate) is_first: bool,
}

/// All requests; a tag is an index.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) requests: Vec<Request>,
    /// When the machine was told to drain.
    pub(crate) drained_at: Option<u64>,
    /// Clusters of whose connections one was reset behind its last call, which destroys what its server had not read.
    pub(crate) reset_clusters: Vec<usize>,
    /// The ids that the proxy gave to requests, with their tags.
    pub(crate) ids: HashMap<String, u32>,
}

impl Ledger {
    /// Enters a request and gives it its tag.
    pub(crate) fn enter(&mut self, exchange: Exchange) -> u32 {
        self.requests.push(Request {
            exchange,
            client: u32::MAX,
            begun_at: None,
            whole_at: None,
            due_since: None,
            ended_at: None,
            sights: vec![],
            outcome: None,
            answer_begun: false,
            seen_whole_at: None,
            records: 0,
            may_go_unanswered: false,
            is_first: false,
        });
        self.requests.len() as u32 - 1
    }

    #[track_caller]
    pub(crate) fn get(&self, tag: u32) -> &Request {
        self.requests.get(tag as usize).unwrap_or_else(|| panic!("nobody sent a request {tag}"))
    }

    #[track_caller]
    pub(crate) fn get_mut(&mut self, tag: u32) -> &mut Request {
        self.requests.get_mut(tag as usize).unwrap_or_else(|| panic!("nobody sent a request {tag}"))
    }
}

impl Stage<'_> {
    /// A request has come to its one end.
    #[track_caller]
    pub(crate) fn conclude(&mut self, tag: u32, outcome: Outcome) {
        let now = self.engine.now;
        let request = self.ledger.get_mut(tag);
        let before = request.outcome.replace(outcome);
        assert!(before.is_none(), "request {tag} ends twice: {before:?}, then {outcome:?}");
        request.ended_at = Some(now);
        let kind = request.exchange.kind;
        self.meet(match outcome {
            Outcome::Answered(_) if kind == Kind::Raw => Situation::Tunnel,
            Outcome::Answered(_) | Outcome::Sent => Situation::Answered,
            Outcome::Local(_) | Outcome::Refused(_) | Outcome::RefusedOneOf => Situation::AnsweredLocally,
            Outcome::Cut | Outcome::Unanswered if kind == Kind::Raw => Situation::TunnelCut,
            Outcome::Cut => Situation::AnswerCut,
            Outcome::Unanswered => Situation::Unanswered,
            Outcome::GivenUp => Situation::ClientAborted,
        });
    }

    /// Requests that wait for a connection are served in turn. How long a connect takes may change their order a little.
    #[track_caller]
    fn check_turn(&self, tag: u32) {
        const TOLERANCE_MICROS: u64 = 300_000;
        let request = self.ledger.get(tag);
        let kind = request.exchange.kind;
        // Calls overtake each other on their connections.
        let waits_elsewhere = matches!(kind, Kind::Raw | Kind::Connect) || kind.is_call();
        // Who was not accepted at first comes later, and who met an endpoint that is down waits anew.
        let temper = &self.plan.temper;
        let is_disturbed = temper.accept_fails > 0 || temper.first_is_down;
        if waits_elsewhere || self.plan.mode != Mode::Calm || is_disturbed {
            return;
        }
        let Some(begun) = request.begun_at else { return };
        let overtaken: Vec<usize> = (0..self.ledger.requests.len())
            .filter(|other| {
                let waiting = &self.ledger.requests[*other];
                let is_rival = waiting.exchange.cluster == request.exchange.cluster
                    && waiting.exchange.kind.may_reach_upstream()
                    && !matches!(waiting.exchange.kind, Kind::Raw | Kind::Connect)
                    && waiting.sights.is_empty()
                    && waiting.outcome.is_none();
                let since = waiting.due_since.zip(waiting.whole_at).map(|(due, whole)| due.max(whole));
                is_rival && since.is_some_and(|since| since + TOLERANCE_MICROS < begun)
            })
            .collect();
        // Whose turn it was may have got a connection, and be on its way there: a new one, or one that has served others.
        let cluster = request.exchange.cluster;
        let is_used =
            |at| self.ledger.requests.iter().flat_map(|other| &other.sights).any(|sight| sight.link == at);
        let is_under_way = |at: &usize| {
            let link = &self.engine.links[*at];
            let is_reached = !is_used(*at as u32) || link.is_idle && !link.down.is_empty();
            link.cluster.is_some_and(|(of, _)| of == cluster) && !link.proxy_closed && is_reached
        };
        let under_way = (0..self.engine.links.len()).filter(is_under_way).count();
        assert!(overtaken.len() <= under_way, "request {tag} has overtaken requests {overtaken:?}");
    }

    /// A request that was seen before may be seen once more: because of a stale connection, or by the retry policy.
    #[track_caller]
    fn check_sent_again(&mut self, tag: u32, link: u32, answered: u64, goes_on: bool) {
        let request = self.ledger.get(tag);
        let kind = request.exchange.kind;
        // What was given up may still be read here, long after.
        let is_given_up = self.engine.has_given_up(link);
        let stale = if kind.may_be_sent_twice() { 1 } else { 0 };
        let attempts =
            self.plan.retry.as_ref().filter(|_| kind != Kind::Connect).map(|policy| policy.attempts);
        let most = (1 + attempts.unwrap_or(0) as usize) * (1 + stale);
        let seen = request.sights.len();
        assert!(seen < most || most > 1, "request {tag} ({kind:?}) was sent twice");
        assert!(seen < most, "request {tag} ({kind:?}) was sent more than {most} times");
        assert!(
            !request.answer_begun || is_given_up,
            "request {tag} was sent again after its client saw a part of its answer"
        );
        if attempts.is_none() {
            assert_eq!(answered, 0, "request {tag} was sent again after a part of its answer");
        }
        assert!(
            !goes_on || self.plan.hedges(),
            "request {tag} was sent again, and the attempt before goes on"
        );
        let body = request.exchange.body;
        let kept = self.plan.retry.as_ref().map_or(0, |_| self.plan.buffer_bytes as usize);
        let is_kept = !kind.has_body() || body <= kept || request.seen_whole_at.is_none();
        assert!(is_kept, "request {tag} was sent again with a body of {body} bytes, and {kept} are kept");
        self.meet(if attempts.is_some() { Situation::Retried } else { Situation::SentAgain });
        if goes_on {
            self.meet(Situation::Hedged);
        }
    }

    /// A call may be seen again because of the retry policy alone. What was given up may still be read, long after.
    #[track_caller]
    fn check_called_again(&mut self, tag: u32) {
        let request = self.ledger.get(tag);
        let attempts = self.plan.retry.as_ref().map_or(0, |policy| policy.attempts);
        let (seen, most) = (request.sights.len(), 1 + attempts as usize);
        assert!(seen < most, "call {tag} was sent more than {most} times");
        if seen > 0 {
            self.meet(Situation::Retried);
        }
    }

    /// An upstream has read the head of a request. It must be one that may come here, and may come once more.
    #[track_caller]
    pub(crate) fn sight(&mut self, tag: u32, link: u32) {
        let taken = self.taken_by_proxy(link);
        let request = self.ledger.get(tag);
        let kind = request.exchange.kind;
        assert!(kind.may_reach_upstream(), "request {tag} ({kind:?}) must not reach an upstream");
        assert!(request.begun_at.is_some(), "request {tag} was never sent");
        let expected = match kind {
            Kind::Raw => self.plan.raw_cluster(),
            Kind::Connect => {
                if self.plan.ends_connect {
                    self.plan.raw_cluster()
                } else {
                    0
                }
            }
            _ => request.exchange.cluster,
        };
        let cluster = self.engine.links[link as usize].cluster.map(|(cluster, _)| cluster);
        assert_eq!(cluster, Some(expected), "request {tag} went to the wrong cluster");
        self.check_turn(tag);
        if kind.is_call() {
            self.check_called_again(tag);
        } else if let Some(before) = request.sights.last() {
            let answered = self.taken_by_proxy(before.link) - before.taken;
            let goes_on = answered == 0 && !self.engine.has_given_up(before.link);
            self.check_sent_again(tag, link, answered, goes_on);
        }
        self.ledger.get_mut(tag).sights.push(Sight { link, taken });
    }
}
