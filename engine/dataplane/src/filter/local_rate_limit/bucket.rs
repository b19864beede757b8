//! One core's part of a token bucket: plain arithmetic on the time it is told.
//!
//! All parts of a bucket together hold at most what the bucket may hold, and fill at the same moments (multiples of the
//! interval on the process's clock) by no more than the bucket does. So no more tokens are given out than it has.

use super::config::Limit;
use crate::io::Time;

/// What a core has of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    pub max_tokens: u64,
    pub tokens_per_fill: u64,
}

impl Share {
    /// The whole bucket.
    pub fn whole(limit: &Limit) -> Share {
        Share { max_tokens: limit.max_tokens, tokens_per_fill: limit.tokens_per_fill }
    }

    /// What a core has before anything is known of the traffic: an equal part. What cannot be divided goes to other cores
    /// for other `salt`s.
    pub fn initial(limit: &Limit, core: u32, cores: u32, salt: u64) -> Share {
        let cores = u64::from(cores.max(1));
        let place = (u64::from(core) + salt % cores) % cores;
        let part = |whole: u64| whole / cores + u64::from(place < whole % cores);
        Share { max_tokens: part(limit.max_tokens), tokens_per_fill: part(limit.tokens_per_fill) }
    }
}

/// The longest time over which requests are counted to tell how much a core needs.
const WINDOW_MICROS: u64 = 1_000_000;
/// A core asks for more at most this often, and less often if it is in vain.
const LEAST_PACE_MICROS: u64 = 20_000;
const MOST_PACE_MICROS: u64 = 1_000_000;

/// What becomes of what was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Tokens are gone, and new ones come with each fill.
    Tokens,
    /// Places are given back.
    Places,
}

/// A core's part of a bucket.
#[derive(Debug, Clone)]
pub struct Bucket {
    pub share: Share,
    kind: Kind,
    interval_micros: u64,
    tokens: u64,
    /// The number of the fill that it had last.
    filled: u64,
    /// Requests of this window of time and of the one before.
    window: u64,
    asked: u64,
    asked_before: u64,
    may_want_at: u64,
    pace_micros: u64,
}

impl Bucket {
    /// A full one.
    pub fn new(limit: &Limit, kind: Kind, share: Share, now: Time) -> Bucket {
        let interval_micros = (limit.fill_interval_ms * 1000).max(1);
        Bucket {
            share,
            kind,
            interval_micros,
            tokens: share.max_tokens,
            filled: now.micros / interval_micros,
            window: 0,
            asked: 0,
            asked_before: 0,
            may_want_at: 0,
            pace_micros: LEAST_PACE_MICROS,
        }
    }

    /// The tokens it has now.
    pub fn tokens(&mut self, now: Time) -> u64 {
        let fill = now.micros / self.interval_micros;
        let passed = fill.saturating_sub(self.filled);
        if passed > 0 {
            self.filled = fill;
            let new = passed.saturating_mul(self.share.tokens_per_fill);
            self.tokens = self.tokens.saturating_add(new).min(self.share.max_tokens);
        }
        self.tokens
    }

    /// Takes one, if there is one.
    pub fn take(&mut self) {
        self.tokens = self.tokens.saturating_sub(1);
        self.pace_micros = LEAST_PACE_MICROS;
    }

    /// A place is free again. One that the core has no share of any more is not its own.
    pub fn give_back(&mut self) {
        self.tokens = (self.tokens + 1).min(self.share.max_tokens);
    }

    /// Counts a request that needs a token.
    pub fn note_asked(&mut self, now: Time) {
        self.roll(now);
        self.asked += 1;
    }

    /// The requests of the last window of time, or of this one if they are more; places that are taken.
    pub fn demand(&mut self, now: Time) -> u64 {
        if self.kind == Kind::Places {
            return self.share.max_tokens - self.tokens;
        }
        self.roll(now);
        self.asked.max(self.asked_before)
    }

    fn roll(&mut self, now: Time) {
        let window = now.micros / self.interval_micros.min(WINDOW_MICROS);
        if window != self.window {
            self.asked_before = if window == self.window + 1 { self.asked } else { 0 };
            self.asked = 0;
            self.window = window;
        }
    }

    /// Whether it is time to ask the other cores for more; if so, the next time is later.
    pub fn begin_to_want(&mut self, now: Time) -> bool {
        if now.micros < self.may_want_at {
            return false;
        }
        self.may_want_at = now.micros.saturating_add(self.pace_micros);
        self.pace_micros = (self.pace_micros * 2).min(MOST_PACE_MICROS);
        true
    }

    /// Puts another share in place, with tokens that other cores gave up. Tells what no longer has room. Places that are
    /// taken stay with the core, which then has more than the share.
    pub fn change(&mut self, share: Share, given: u64, now: Time) -> u64 {
        if self.kind == Kind::Places {
            let taken = self.share.max_tokens - self.tokens;
            self.share = Share { max_tokens: share.max_tokens.max(taken), ..share };
            self.tokens = self.share.max_tokens - taken;
            return 0;
        }
        let tokens = self.tokens(now).saturating_add(given);
        self.share = share;
        self.tokens = tokens.min(share.max_tokens);
        tokens - self.tokens
    }

    /// Microseconds to the next fill.
    pub fn micros_to_fill(interval_ms: u64, now: Time) -> u64 {
        let interval = (interval_ms * 1000).max(1);
        interval - now.micros % interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(max_tokens: u64, tokens_per_fill: u64) -> Limit {
        Limit { max_tokens, tokens_per_fill, fill_interval_ms: 100 }
    }

    fn at(ms: u64) -> Time {
        Time::default().after_ms(ms)
    }

    #[test]
    fn it_begins_full_and_fills_at_multiples_of_its_interval_up_to_its_bound() {
        let limit = limit(5, 2);
        let mut bucket = Bucket::new(&limit, Kind::Tokens, Share::whole(&limit), at(1_050));
        for _ in 0..5 {
            assert!(bucket.tokens(at(1_050)) > 0);
            bucket.take();
        }
        for (ms, tokens) in [(1_099, 0), (1_100, 2), (1_199, 2), (1_200, 4), (1_300, 5), (9_000, 5)] {
            assert_eq!(bucket.tokens(at(ms)), tokens, "{ms}");
        }
    }

    #[test]
    fn parts_make_up_the_whole_whatever_the_number_of_cores() {
        for cores in 1..=7 {
            for salt in 0..9 {
                for (max, fill) in [(1, 1), (2, 9), (10, 3), (1000, 1)] {
                    let parts: Vec<_> =
                        (0..cores).map(|core| Share::initial(&limit(max, fill), core, cores, salt)).collect();
                    assert_eq!(parts.iter().map(|part| part.max_tokens).sum::<u64>(), max);
                    assert_eq!(parts.iter().map(|part| part.tokens_per_fill).sum::<u64>(), fill);
                }
            }
        }
        // One token is not always the same core's.
        let first = |salt| (0..4).find(|core| Share::initial(&limit(1, 1), *core, 4, salt).max_tokens == 1);
        assert_ne!(first(0), first(1));
    }

    #[test]
    fn what_a_smaller_share_has_no_room_for_is_given_up() {
        let limit = limit(10, 10);
        let mut bucket = Bucket::new(&limit, Kind::Tokens, Share::whole(&limit), at(0));
        bucket.take();
        let small = Share { max_tokens: 4, tokens_per_fill: 4 };
        assert_eq!(bucket.change(small, 0, at(0)), 5);
        assert_eq!(bucket.tokens(at(50)), 4);
        assert_eq!(bucket.change(Share::whole(&limit), 5, at(50)), 0);
        assert_eq!(bucket.tokens(at(50)), 9);
        assert_eq!(bucket.change(Share::whole(&limit), 5, at(50)), 4);
    }

    #[test]
    fn demand_is_of_the_last_window() {
        let limit = limit(10, 10);
        let mut bucket = Bucket::new(&limit, Kind::Tokens, Share::whole(&limit), at(0));
        for ms in [10, 20, 30, 110] {
            bucket.note_asked(at(ms));
        }
        assert_eq!(bucket.demand(at(110)), 3);
        assert_eq!(bucket.demand(at(210)), 1);
        assert_eq!(bucket.demand(at(310)), 0);
    }

    #[test]
    fn asking_in_vain_becomes_rarer() {
        let limit = limit(10, 10);
        let mut bucket = Bucket::new(&limit, Kind::Tokens, Share::default(), at(0));
        let mut asked = vec![];
        for ms in 0..2_000 {
            if bucket.begin_to_want(at(ms)) {
                asked.push(ms);
            }
        }
        assert_eq!(asked, [0, 20, 60, 140, 300, 620, 1_260]);
        bucket.take();
        assert!(bucket.begin_to_want(at(3_000)) && bucket.begin_to_want(at(3_020)));
    }

    #[test]
    fn places_come_back_and_those_taken_stay_with_the_core() {
        let limit = limit(4, 0);
        let mut bucket = Bucket::new(&limit, Kind::Places, Share::whole(&limit), at(0));
        for _ in 0..3 {
            bucket.take();
        }
        assert_eq!(bucket.tokens(at(9_000)), 1);
        let share = |max_tokens| Share { max_tokens, tokens_per_fill: 0 };
        assert_eq!(bucket.change(share(1), 5, at(9_000)), 0);
        assert_eq!((bucket.share, bucket.tokens(at(9_000))), (share(3), 0));
        bucket.give_back();
        assert_eq!(bucket.change(share(1), 0, at(9_000)), 0);
        assert_eq!((bucket.share, bucket.tokens(at(9_000))), (share(2), 0));
        bucket.change(share(4), 0, at(9_000));
        assert_eq!(bucket.tokens(at(9_000)), 2);
    }
}
