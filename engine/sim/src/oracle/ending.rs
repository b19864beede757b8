//! The end of a run: everything has had its one outcome, nothing is left behind, and the books are closed.

use crate::coverage::Situation;
use crate::ledger::Outcome;
use crate::peers::calls::status_of;
use crate::peers::exchange::Kind;
use crate::plan::Mode;
use crate::run::{Report, note_time};
use crate::world::World;
use sidering_dataplane::io::Machine;
use sidering_dataplane::observe::counters::Counter;

/// Every timeout of a calm run is longer: whatever takes so long was waiting for one.
const CALM_MICROS: u64 = 50_000_000;

impl World {
    /// After every completion and message.
    #[inline]
    pub(crate) fn watch(&mut self) {
        self.check_pools();
        self.check_gauges();
    }

    /// After every turn.
    pub(crate) fn after_turn(&mut self) {
        note_time(self.engine.now);
        self.check_queues();
        self.check_ages();
        self.check_drain();
        self.check_timers();
        self.check_farewells();
    }

    /// Lives through the run and checks what it has come to.
    pub(crate) fn run_to_the_end(mut self) -> Report {
        self.run();
        let is_finished = self.worker.is_finished();
        if is_finished {
            self.check_finished();
        } else {
            self.finish_peers();
            self.check_quiet();
        }
        let World { engine, .. } = &mut self;
        let micros = engine.now;
        self.end_machine();
        self.say_records();
        self.check_outcomes();
        self.check_records();
        self.check_zero();
        self.check_totals();
        self.check_copies();
        self.check_connects();
        self.check_results();
        self.meet_counters();
        Report { hash: self.engine.journal.hash(), coverage: self.engine.coverage.clone(), micros }
    }

    /// The machine says that it is finished: no client is left.
    fn check_finished(&mut self) {
        assert!(self.is_draining || self.was_stopped, "the machine is finished, and nobody asked for it");
        let open: u64 = self.engine.truth.listeners.iter().map(|listener| listener.open).sum();
        assert_eq!(open, 0, "the machine is finished, and has clients");
        let left = self.engine.open_conns().filter(|conn| conn.is_told || !conn.is_accepted()).count();
        assert!(left == 0 || !self.was_stopped, "the machine was stopped, and has {left} connections open");
        if !self.was_stopped {
            let cut = self
                .oracle
                .drained_at
                .is_some_and(|since| self.engine.now - since >= self.shape.drain_timeout_ms * 1000);
            self.engine.meet(if cut { Situation::DrainCut } else { Situation::DrainFinished });
        }
    }

    /// Nothing will ever happen any more, so there is nothing left.
    fn check_quiet(&mut self) {
        self.turn();
        assert!(!self.is_draining, "the drain never ends");
        assert_eq!(self.oracle.core.timers.get(), 0, "timers are left");
        assert_eq!(self.oracle.core.streams_active.get(), 0, "streams are left");
        assert_eq!(self.engine.open_count(), 0, "connections are left");
        assert_eq!(self.oracle.core.connections_active.get(), 0, "connections are left in the machine");
        assert_eq!(self.engine.closing_conns(), 0, "connections never finish to close");
        assert_eq!(self.engine.slots.out(), 0, "slots are not at home");
    }

    /// Drops the machine as the driver does, and lets the peers see it.
    fn end_machine(&mut self) {
        let options = sidering_dataplane::worker::WorkerOptions {
            core: 0,
            counters: std::sync::Arc::default(),
            access_log: None,
            reports: None,
            notices: None,
            seed: 1,
            neighbours: None,
            kept_slots_max: 0,
        };
        drop(std::mem::replace(&mut self.worker, sidering_dataplane::worker::Worker::new(options)));
        self.engine.tear_down();
        self.let_peers_see();
        self.finish_peers();
        self.engine.tear_down();
        assert_eq!(self.engine.slots.out(), 0, "slots are not at home after the machine's end");
        assert_eq!(self.engine.parked_count(), 0, "receives are parked after the machine's end");
    }

    /// Each request has its one outcome, and it is one that it may have.
    fn check_outcomes(&mut self) {
        for (tag, request) in self.ledger.requests.iter().enumerate() {
            let kind = request.exchange.kind;
            let Some(outcome) = request.outcome else { panic!("request {tag} ({kind:?}) has no outcome") };
            if let Outcome::Refused(status) = outcome {
                let success = status_of(self.plan.protocol, 200);
                assert!(status != success, "call {tag} is answered by the proxy itself as if all were well");
            }
            // A call that is sent reaches somebody, once.
            if kind == Kind::OneWay && outcome == Outcome::Sent && self.plan.mode == Mode::Calm {
                let seen = request.sights.len();
                let may_be_lost = self.ledger.reset_clusters.contains(&request.exchange.cluster);
                let suits = seen == 1 || seen == 0 && may_be_lost;
                assert!(suits, "call {tag}, which nobody answers, was seen {seen} times");
            }
            if let Outcome::Local(status) = outcome {
                let suits = match kind {
                    Kind::Malformed(_) => (400..=505).contains(&status),
                    Kind::Direct => status == 200 || status >= 400,
                    _ => status >= 400,
                };
                assert!(suits, "request {tag} ({kind:?}) is answered {status} by the proxy itself");
            }
            if self.plan.is_calm {
                let waited =
                    request.ended_at.unwrap_or(0).saturating_sub(request.due_since.unwrap_or(u64::MAX));
                assert!(
                    waited < CALM_MICROS,
                    "request {tag} ({kind:?}) waited for {waited} us in a calm run"
                );
                let is_fine = self.is_fine(request, outcome);
                let mode = self.plan.mode;
                assert!(is_fine, "request {tag} ({kind:?}) came to {outcome:?} in a {mode:?} run");
            }
        }
    }

    /// Whether a request may end like this when nothing went wrong.
    fn is_fine(&self, request: &crate::ledger::Request, outcome: Outcome) -> bool {
        let kind = request.exchange.kind;
        if kind.is_call() {
            return self.is_fine_call(request, outcome);
        }
        let expected = match kind {
            Kind::Direct => Some(200),
            Kind::NoRoute | Kind::NoRouteBody => Some(404),
            Kind::Trace => Some(405),
            _ => None,
        };
        match outcome {
            Outcome::Answered(status) => {
                status == request.exchange.status || status == 200 && !kind.has_body()
            }
            Outcome::Local(status) if matches!(kind, Kind::Malformed(_)) => status != 408,
            // Its listener was taken away before its first request came.
            Outcome::Local(404) if self.plan.reloads > 0 => request.sights.is_empty(),
            Outcome::Cut if kind == Kind::Raw && self.plan.reloads > 0 => request.sights.is_empty(),
            Outcome::Local(status) if expected.is_some() => Some(status) == expected,
            // The pooled connection was closed by its upstream, and the request may not be sent twice.
            Outcome::Local(503) => self.plan.mode != Mode::Calm && !kind.may_be_sent_twice(),
            // It took longer than one try may, and there could be no other one beside it.
            Outcome::Local(504) => {
                let is_kept = request.exchange.body <= self.plan.buffer_bytes as usize;
                self.plan.hedges() && kind.has_body() && !(is_kept && kind != Kind::PostChunked)
            }
            Outcome::Local(_) | Outcome::Cut | Outcome::GivenUp => false,
            Outcome::Refused(_) | Outcome::RefusedOneOf | Outcome::Sent => false,
            Outcome::Unanswered => {
                request.may_go_unanswered
                    || matches!(kind, Kind::Malformed(_))
                    || self.plan.swaps()
                        && request.sights.is_empty()
                        && !(request.is_first && self.plan.reloads == 0)
            }
        }
    }

    /// The same of a call.
    fn is_fine_call(&self, request: &crate::ledger::Request, outcome: Outcome) -> bool {
        let kind = request.exchange.kind;
        let may_be_stale = self.plan.mode != Mode::Calm;
        let says = |status, http| status == status_of(self.plan.protocol, http);
        match outcome {
            Outcome::Answered(_) => kind == Kind::Call,
            Outcome::Sent => kind == Kind::OneWay,
            Outcome::Refused(status) if kind == Kind::LostCall => says(status, 404),
            // The pooled connection was closed by its upstream, and the call may not be sent twice.
            Outcome::Refused(status) if says(status, 503) || says(status, 502) => may_be_stale,
            // Its listener was taken away before it came.
            Outcome::Refused(status) => {
                says(status, 404) && self.plan.reloads > 0 && request.sights.is_empty()
            }
            Outcome::RefusedOneOf => may_be_stale || kind == Kind::LostCall,
            Outcome::Unanswered => {
                let may_be_unseen = self.plan.swaps() && request.sights.is_empty();
                request.may_go_unanswered || may_be_unseen && !(request.is_first && self.plan.reloads == 0)
            }
            Outcome::Local(_) | Outcome::Cut | Outcome::GivenUp => false,
        }
    }

    /// Every gauge is at zero.
    fn check_zero(&self) {
        for (id, listener) in self.oracle.listeners.iter().enumerate() {
            let gauges = [&listener.requests_active, &listener.connections_active].map(Counter::get);
            assert_eq!(gauges, [0; 2], "requests and connections of listener {id} at the end");
        }
        for (number, cluster) in self.oracle.clusters.iter().enumerate() {
            let gauges = [&cluster.requests_active, &cluster.requests_pending].map(Counter::get);
            assert_eq!(gauges, [0; 2], "requests active and pending of cluster {number} at the end");
            let retries = cluster.retries_active.get();
            assert_eq!(retries, 0, "retries of cluster {number} at the end");
            for (at, endpoint) in self.oracle.endpoints[number].iter().enumerate() {
                let active = endpoint.requests_active.get();
                assert_eq!(active, 0, "requests of endpoint {at} of cluster {number} at the end");
            }
        }
    }

    /// Situations that only the counters tell of.
    fn meet_counters(&mut self) {
        let listeners = &self.oracle.listeners;
        let overflow: u64 = listeners.iter().map(|listener| listener.connections_overflow.get()).sum();
        let coverage = &mut self.engine.coverage;
        coverage.meet_times(Situation::ConnectionLimit, overflow);
        coverage.meet_times(Situation::BodyRelayed, u64::from(self.engine.truth.relayed_bytes > 0));
    }
}
