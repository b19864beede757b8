//! The broker and real cores' buckets, with messages that come late: what is given out, and how soon it is where the
//! requests are.

use super::*;
use sidering_dataplane::filter::local_rate_limit::shares::{CoreLimit, Kind, Place, RateLimits, Report};
use sidering_dataplane::filter::local_rate_limit::{Bucket, Limit};
use sidering_dataplane::io::Time;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

/// Cores with one bucket, and what is on its way between them and the broker.
struct World {
    now_ms: u64,
    cores: Vec<(RateLimits, Rc<CoreLimit>)>,
    broker: Broker,
    reports: VecDeque<(u64, ShareReport)>,
    orders: Vec<VecDeque<(u64, ShareOrder)>>,
    random: u64,
    slowest_ms: u64,
    /// One in so many reports is lost; 0: none.
    lost: u64,
}

impl World {
    fn new(cores: u32, limit: Limit, slowest_ms: u64, lost: u64, seed: u64) -> World {
        let core = |core| {
            let limits = RateLimits::new(core, 1);
            let bucket = limits.add(limit, Kind::Tokens, cores, 0, &Arc::default());
            (limits, bucket)
        };
        let mut broker = Broker::new(cores as usize);
        broker.begin(1);
        World {
            now_ms: 100_000,
            cores: (0..cores).map(core).collect(),
            broker,
            reports: VecDeque::new(),
            orders: (0..cores).map(|_| VecDeque::new()).collect(),
            random: seed,
            slowest_ms,
            lost,
        }
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below.max(1)
    }

    /// Another millisecond: messages that are due arrive, in order.
    fn step(&mut self) {
        self.now_ms += 1;
        let now = Time::default().after_ms(self.now_ms);
        while self.reports.front().is_some_and(|(due, _)| *due <= self.now_ms) {
            let (_, report) = self.reports.pop_front().unwrap();
            let orders = self.broker.handle(&report, self.now_ms);
            self.send(orders);
        }
        if self.now_ms.is_multiple_of(250) {
            let orders = self.broker.tick(self.now_ms);
            self.send(orders);
        }
        for core in 0..self.cores.len() {
            while self.orders[core].front().is_some_and(|(due, _)| *due <= self.now_ms) {
                let (_, order) = self.orders[core].pop_front().unwrap();
                self.cores[core].0.handle(&order, now);
            }
            for report in self.cores[core].0.take_reports() {
                if self.lost > 0 && self.draw(self.lost) == 0 {
                    continue;
                }
                let due = self.now_ms + self.draw(self.slowest_ms);
                let due = due.max(self.reports.back().map_or(0, |(due, _)| *due));
                self.reports.push_back((due, report));
            }
        }
    }

    fn send(&mut self, orders: Orders) {
        for (core, order) in orders {
            let due = self.now_ms + self.draw(self.slowest_ms);
            let due = due.max(self.orders[core].back().map_or(0, |(due, _)| *due));
            self.orders[core].push_back((due, order));
        }
    }

    /// Whether a request on this core gets a token.
    fn ask(&mut self, core: usize) -> bool {
        let now = Time::default().after_ms(self.now_ms);
        let (limits, limit) = &self.cores[core];
        let takes = limit.with_bucket(Place::Common, now, |bucket| {
            bucket.note_asked(now);
            let takes = bucket.tokens(now) > 0;
            if takes {
                Bucket::take(bucket);
            }
            takes
        });
        if !takes {
            limits.want(limit, Place::Common, now);
        }
        takes
    }
}

const SECOND: Limit = Limit { max_tokens: 100, tokens_per_fill: 100, fill_interval_ms: 1_000 };

#[test]
fn no_more_is_given_out_than_the_bucket_has_whatever_comes_late_or_is_lost() {
    for seed in 1..=100 {
        let limit = Limit {
            max_tokens: [1, 3, 10, 100][seed as usize % 4],
            tokens_per_fill: [1, 2, 50][seed as usize % 3],
            fill_interval_ms: [50, 200, 700][seed as usize % 3],
        };
        let cores = [2, 3, 8][seed as usize % 3];
        let mut world = World::new(cores, limit, 1 + seed % 40, [0, 0, 5][seed as usize % 3], seed);
        // What one bucket would have, were it asked for a token each time that one is given out.
        let (mut tokens, mut fill) = (limit.max_tokens, world.now_ms / limit.fill_interval_ms);
        let mut hot = 0;
        for step in 0..4_000 {
            world.step();
            let fills = world.now_ms / limit.fill_interval_ms - fill;
            fill += fills;
            tokens = (tokens + fills * limit.tokens_per_fill).min(limit.max_tokens);
            if step % 500 == 0 {
                hot = world.draw(u64::from(cores)) as usize;
            }
            for _ in 0..world.draw(6) {
                let core = if world.draw(4) == 0 { world.draw(u64::from(cores)) as usize } else { hot };
                if world.ask(core) {
                    assert!(tokens > 0, "seed {seed}, step {step}: a token too many");
                    tokens -= 1;
                }
            }
        }
    }
}

#[test]
fn one_hot_core_has_the_whole_bucket_soon() {
    for (cores, seed) in [(2, 1), (4, 2), (16, 3)] {
        let mut world = World::new(cores, SECOND, 3, 0, seed);
        let mut given = 0;
        // From the beginning of a fill to its end.
        for _ in 0..1_000 {
            given += u64::from(world.ask(0));
            world.step();
        }
        assert_eq!(given, 100, "{cores} cores: the tokens that the others had, too");
        // Another one gets hot.
        let last = cores as usize - 1;
        for _ in 0..2_000 {
            world.ask(last);
            world.step();
        }
        let mut given = 0;
        for _ in 0..1_000 {
            given += u64::from(world.ask(last));
            world.step();
        }
        assert_eq!(given, 100, "{cores} cores: the whole rate on another core");
    }
}

#[test]
fn all_tokens_of_a_small_bucket_are_had_from_any_core() {
    let limit = Limit { max_tokens: 3, tokens_per_fill: 3, fill_interval_ms: 3_600_000 };
    for core in 0..8 {
        let mut world = World::new(8, limit, 2, 0, core + 1);
        let mut given = 0;
        for _ in 0..5_000 {
            given += u64::from(world.ask(core as usize));
            world.step();
        }
        assert_eq!(given, 3, "core {core}");
    }
}

#[test]
fn what_nobody_asks_for_goes_back_to_equal_shares_and_is_forgotten() {
    let mut world = World::new(4, SECOND, 3, 0, 9);
    for _ in 0..500 {
        world.ask(2);
        world.step();
    }
    assert!(world.broker.is_busy());
    for _ in 0..12_000 {
        world.step();
    }
    assert!(!world.broker.is_busy());
    let given: Vec<_> = (0..4).map(|core| (0..100).take_while(|_| world.ask(core)).count()).collect();
    assert_eq!(given, [25; 4]);
}

#[test]
fn the_number_of_buckets_is_bounded() {
    let mut broker = Broker::new(2);
    broker.begin(1);
    let wants = |number: u32, version| ShareReport {
        core: 0,
        bucket: BucketName { version, number, key: Box::default() },
        limit: SECOND,
        report: Report::Wants { demand: 1 },
    };
    for number in 0..MOST_BUCKETS as u32 {
        assert_eq!(broker.handle(&wants(number, 1), 0).len(), 1);
    }
    assert!(broker.handle(&wants(MOST_BUCKETS as u32, 1), 0).is_empty());
    // Those of another configuration are nobody's, and a new one begins with none.
    broker.begin(2);
    assert!(!broker.is_busy());
    assert!(broker.handle(&wants(0, 1), 0).is_empty());
    assert_eq!(broker.handle(&wants(0, 2), 0).len(), 1);
}
