//! A bound on the requests that are under way at once, on all cores together: places are shared as token buckets are, but
//! go back when a request is over instead of being filled up.

mod config;

pub use config::Config;

use super::local_rate_limit::shares::{CoreLimit, Kind, Place, RateLimits};
use super::local_rate_limit::{Bucket, Limit};
use super::{EndView, Filter, Memory, Parts, Reply, RequestView, Settings, Verdict};
use crate::io::Time;
use crate::observe::access_log::ResponseFlags;
use crate::observe::counters::{Counter, ListenerCounters};
use std::rc::Rc;
use std::sync::Arc;

/// How long the request that asks other cores for a place waits for it.
const PATIENCE_MS: u64 = 20;
/// For how long a place counts as needed by the core that uses it.
const WINDOW_MS: u64 = 1000;

/// What it counts.
#[derive(Debug, Default)]
pub struct Counters {
    /// Gauge: requests under way that have a place.
    pub active: Counter,
    pub rejected: Counter,
}

struct ConcurrencyLimit {
    limit: Option<Rc<CoreLimit>>,
    status: u16,
    limits: Rc<RateLimits>,
    counters: Arc<ListenerCounters>,
}

/// Set in a request's word while it has a place.
const HAS_PLACE: u64 = 1;

impl Settings for Config {
    fn compile(&self, parts: &Parts<'_>) -> Rc<dyn Filter> {
        let limit =
            Limit { max_tokens: self.max_concurrency, tokens_per_fill: 0, fill_interval_ms: WINDOW_MS };
        let add = || parts.rate_limits.add(limit, Kind::Places, self.cores, 0, parts.counters);
        Rc::new(ConcurrencyLimit {
            limit: (self.max_concurrency > 0).then(add),
            status: self.status,
            limits: Rc::clone(parts.rate_limits),
            counters: Arc::clone(parts.counters),
        })
    }
}

impl Filter for ConcurrencyLimit {
    fn on_request(&self, request: &mut RequestView<'_>, memory: &mut Memory<'_>) -> Verdict {
        let Some(limit) = &self.limit else { return Verdict::Continue };
        if self.enter(limit, request.now, memory) {
            return Verdict::Continue;
        }
        if self.limits.want(limit, Place::Common, request.now) {
            return Verdict::Delay { ms: PATIENCE_MS };
        }
        self.reject(request)
    }

    fn on_resumed(&self, request: &mut RequestView<'_>, memory: &mut Memory<'_>) -> Verdict {
        match &self.limit {
            Some(limit) if !self.enter(limit, request.now, memory) => self.reject(request),
            _ => Verdict::Continue,
        }
    }

    fn on_end(&self, end: &EndView, memory: &mut Memory<'_>) {
        if let Some(limit) = &self.limit
            && std::mem::take(memory.word) == HAS_PLACE
        {
            limit.with_bucket(Place::Common, end.now, Bucket::give_back);
            self.counters.filters.concurrency_limit.active.subtract(1);
        }
    }
}

impl ConcurrencyLimit {
    fn enter(&self, limit: &CoreLimit, now: Time, memory: &mut Memory<'_>) -> bool {
        let enters = limit.with_bucket(Place::Common, now, |bucket| {
            bucket.note_asked(now);
            let enters = bucket.tokens(now) > 0;
            if enters {
                bucket.take();
            }
            enters
        });
        if enters {
            *memory.word = HAS_PLACE;
            self.counters.filters.concurrency_limit.active.add(1);
        }
        enters
    }

    fn reject(&self, request: &mut RequestView<'_>) -> Verdict {
        self.counters.filters.concurrency_limit.rejected.add(1);
        request.add_line("x-envoy-overloaded", b"true");
        Verdict::Reply(Reply {
            status: self.status,
            body: "reached concurrency limit",
            flags: ResponseFlags::OVERLOAD,
            details: "reached_concurrency_limit".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::local_rate_limit::Share;
    use super::super::local_rate_limit::shares::{BucketName, Order, Report, ShareOrder};
    use super::*;
    use crate::filter::test_request::{Alone, Asked, compiled};

    fn get() -> Asked {
        Asked::new("GET", "/", &[])
    }

    /// Whether each of them is let in; with what is left behind of those that are.
    fn enter(filter: &Rc<dyn Filter>, count: usize) -> (Vec<bool>, Vec<Alone>) {
        let asked = (0..count).map(|_| {
            let mut alone = Alone::new(filter);
            (alone.ask(&get()).0 == Verdict::Continue, alone)
        });
        asked.unzip()
    }

    #[test]
    fn at_the_bound_requests_are_rejected_until_one_is_over() {
        // Bound - 1, bound, and beyond it.
        let (filter, counters) = compiled(&Config { max_concurrency: 2, ..Config::default() });
        let (entered, mut inside) = enter(&filter, 2);
        assert_eq!(entered, [true, true]);
        let (verdict, lines) = Alone::new(&filter).ask(&get());
        let Verdict::Reply(reply) = verdict else { panic!("{verdict:?}") };
        assert_eq!((reply.status, reply.details.as_str()), (503, "reached_concurrency_limit"));
        assert_eq!(
            (reply.flags.names().collect::<Vec<_>>(), &*lines),
            (vec!["OM"], "x-envoy-overloaded: true\r\n")
        );
        let counters = &counters.filters.concurrency_limit;
        assert_eq!((counters.active.get(), counters.rejected.get()), (2, 1));
        inside[0].end();
        assert_eq!(enter(&filter, 2).0, [true, false]);
        inside[1].end();
        assert_eq!(counters.active.get(), 1);
    }

    #[test]
    fn without_a_bound_all_are_let_in() {
        let (filter, counters) = compiled(&Config::default());
        assert_eq!(enter(&filter, 100).0, [true; 100]);
        assert_eq!(counters.filters.concurrency_limit.active.get(), 0);
    }

    #[test]
    fn a_core_keeps_the_places_that_are_taken_and_gives_up_the_others() {
        let limits = Rc::new(RateLimits::new(0, 1));
        let parts = Parts { counters: &Arc::default(), rate_limits: &limits, codings: &Rc::default() };
        let filter = Config { max_concurrency: 10, cores: 2, ..Config::default() }.compile(&parts);
        let (entered, mut inside) = enter(&filter, 3);
        assert_eq!(entered, [true; 3]);
        let set = |max_tokens| {
            let share = Share { max_tokens, tokens_per_fill: 0 };
            let bucket = BucketName { version: 1, number: 0, key: Box::default() };
            limits.handle(&ShareOrder { bucket, order: Order::Set { share, given: 7 } }, Time::default());
            limits.take_reports().pop().map(|report| report.report)
        };
        let has =
            |max_tokens| Some(Report::Has { share: Share { max_tokens, tokens_per_fill: 0 }, given_up: 0 });
        assert_eq!(set(1), has(3));
        inside[0].end();
        assert_eq!(set(1), has(2));
        assert_eq!(set(9), has(9));
        let (entered, _inside) = enter(&filter, 7);
        assert_eq!(entered, [true; 7]);
        // Then it asks for more, and that request waits.
        assert_eq!(Alone::new(&filter).ask(&get()).0, Verdict::Delay { ms: PATIENCE_MS });
    }
}
