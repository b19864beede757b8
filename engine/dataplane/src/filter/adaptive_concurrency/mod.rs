//! Adaptive concurrency (Envoy's `adaptive_concurrency`): a bound on the requests under way that follows their latency. A
//! controller on each core, which sees that core's requests alone, with its part of the configured limits.

mod config;
mod gradient;

pub use config::{Config, MinRtt};

use super::{EndView, Filter, Memory, Parts, Reply, RequestView, Settings, Verdict};
use crate::observe::access_log::ResponseFlags;
use crate::observe::counters::{Counter, ListenerCounters};
use gradient::Gradient;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// What it counts.
#[derive(Debug, Default)]
pub struct Counters {
    pub rq_blocked: Counter,
    /// Gauge: the sum of the limits.
    pub concurrency_limit: Counter,
    /// Gauge: controllers that measure the latency of an unloaded upstream.
    pub min_rtt_calculation_active: Counter,
    /// Gauge: requests under way.
    pub active: Counter,
}

struct AdaptiveConcurrency {
    config: Config,
    /// Made for the first request, whose time is the first that is known.
    gradient: RefCell<Option<Gradient>>,
    active: Cell<u32>,
    random: Cell<u64>,
    told: Cell<(u64, u64)>,
    counters: Arc<ListenerCounters>,
}

impl Settings for Config {
    fn compile(&self, parts: &Parts<'_>) -> Rc<dyn Filter> {
        Rc::new(AdaptiveConcurrency {
            config: self.clone(),
            gradient: RefCell::default(),
            active: Cell::new(0),
            random: Cell::new(0),
            told: Cell::default(),
            counters: Arc::clone(parts.counters),
        })
    }
}

impl Filter for AdaptiveConcurrency {
    fn on_request(&self, request: &mut RequestView<'_>, memory: &mut Memory<'_>) -> Verdict {
        if !self.config.enabled {
            return Verdict::Continue;
        }
        self.random.set(request.draw());
        let limit = self.with_gradient(request.now, |gradient| {
            gradient.pass(request.now);
            gradient.limit()
        });
        let counters = &self.counters.filters.adaptive_concurrency;
        if self.active.get() < limit {
            self.active.set(self.active.get() + 1);
            counters.active.add(1);
            // Its beginning, so that 0 is none.
            *memory.word = request.now.micros + 1;
            return Verdict::Continue;
        }
        counters.rq_blocked.add(1);
        Verdict::Reply(Reply {
            status: self.config.status,
            body: "reached concurrency limit",
            flags: ResponseFlags::default(),
            details: "reached_concurrency_limit".into(),
        })
    }

    fn on_end(&self, end: &EndView, memory: &mut Memory<'_>) {
        let Some(began) = std::mem::take(memory.word).checked_sub(1) else { return };
        self.active.set(self.active.get() - 1);
        self.counters.filters.adaptive_concurrency.active.subtract(1);
        if end.is_complete {
            let began = crate::io::Time { micros: began };
            let random = self.random.get().rotate_left((self.active.get() % 63) + 1) >> 1;
            self.with_gradient(end.now, |gradient| gradient.record(began, end.now, random));
        }
    }
}

impl AdaptiveConcurrency {
    fn with_gradient<T>(&self, now: crate::io::Time, act: impl FnOnce(&mut Gradient) -> T) -> T {
        let mut gradient = self.gradient.borrow_mut();
        let gradient = gradient.get_or_insert_with(|| Gradient::new(&self.config, now));
        let outcome = act(gradient);
        self.tell(u64::from(gradient.limit()), u64::from(gradient.is_measuring()));
        outcome
    }

    /// Keeps the gauges, which are sums over all controllers of the listener.
    fn tell(&self, limit: u64, measuring: u64) {
        let (old_limit, old_measuring) = self.told.replace((limit, measuring));
        let counters = &self.counters.filters.adaptive_concurrency;
        if (limit, measuring) != (old_limit, old_measuring) {
            counters.concurrency_limit.add(limit.wrapping_sub(old_limit));
            counters.min_rtt_calculation_active.add(measuring.wrapping_sub(old_measuring));
        }
    }
}

impl Drop for AdaptiveConcurrency {
    fn drop(&mut self) {
        self.tell(0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::test_request::{Alone, Asked, compiled};
    use crate::io::Time;

    fn get(ms: u64) -> Asked {
        let mut asked = Asked::new("GET", "/", &[]);
        asked.now = Time::default().after_ms(ms);
        asked
    }

    #[test]
    fn beyond_the_limit_requests_are_blocked_and_those_that_end_make_room() {
        let (filter, counters) = compiled(&Config { min_concurrency: 2, ..Config::default() });
        let mut inside: Vec<_> = (0..2).map(|_| Alone::new(&filter)).collect();
        for alone in &mut inside {
            assert_eq!(alone.ask(&get(0)).0, Verdict::Continue);
        }
        let mut blocked = Alone::new(&filter);
        let Verdict::Reply(reply) = blocked.ask(&get(0)).0 else { panic!("not blocked") };
        assert_eq!((reply.status, reply.body), (503, "reached concurrency limit"));
        assert_eq!(
            (reply.details.as_str(), reply.flags),
            ("reached_concurrency_limit", ResponseFlags::default())
        );
        blocked.end();
        let counters = &counters.filters.adaptive_concurrency;
        let counted = || (counters.active.get(), counters.concurrency_limit.get(), counters.rq_blocked.get());
        assert_eq!(counted(), (2, 2, 1));
        inside[0].end();
        assert_eq!(Alone::new(&filter).ask(&get(0)).0, Verdict::Continue);
        assert_eq!((counted(), counters.min_rtt_calculation_active.get()), ((2, 2, 1), 1));
        inside[1].end();
        drop((inside, filter, blocked));
        assert_eq!((counted(), counters.min_rtt_calculation_active.get()), ((1, 0, 1), 0));
    }

    #[test]
    fn it_can_be_off() {
        let (filter, counters) =
            compiled(&Config { min_concurrency: 1, enabled: false, ..Config::default() });
        for _ in 0..3 {
            assert_eq!(Alone::new(&filter).ask(&get(0)).0, Verdict::Continue);
        }
        assert_eq!(counters.filters.adaptive_concurrency.concurrency_limit.get(), 0);
    }
}
