//! Local rate limiting (Envoy's `local_ratelimit`): token buckets for a listener, a virtual host, a route, and for
//! descriptors of requests. Each bucket is of all cores together; how they share it is in [`shares`].

mod bucket;
mod config;
mod descriptor;
mod keys;
pub mod shares;

pub use bucket::{Bucket, Kind, Share};
pub use config::{Action, Config, Descriptor, Limit, MOST_RULES};
pub use keys::salt;

use super::{Filter, Memory, Parts, Reply, RequestView, ResponseView, Settings, Verdict};
use crate::config::{HeaderMatch, is_part};
use crate::observe::access_log::ResponseFlags;
use crate::observe::counters::{Counter, ListenerCounters};
use descriptor::Rule;
use shares::{CoreLimit, Place, RateLimits};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// How long a request waits for other cores' tokens: control answers within a millisecond unless it is busy. Only the
/// one waits that asks for them, and asking has its pace.
const PATIENCE_MS: u64 = 20;

/// What it counts.
#[derive(Debug, Default)]
pub struct Counters {
    pub enabled: Counter,
    pub ok: Counter,
    pub rate_limited: Counter,
    pub enforced: Counter,
    /// Gauge: values with a bucket of their own.
    pub keys: Counter,
    /// Requests whose value had to share a bucket with others for want of room.
    pub keys_overflow: Counter,
}

struct LocalRateLimit {
    config: Config,
    rules: Vec<Rule>,
    default: Option<Rc<CoreLimit>>,
    /// One for each descriptor.
    descriptors: Vec<Rc<CoreLimit>>,
    limits: Rc<RateLimits>,
    key: RefCell<Vec<u8>>,
    counters: Arc<ListenerCounters>,
}

/// The buckets that a request needs a token of.
type Needed<'f> = [Option<(&'f CoreLimit, Place)>; MOST_RULES + 1];

/// What the buckets say to a request: the one that has the fewest tokens left, and how many.
enum Decision<'f> {
    Unlimited,
    Taken(&'f CoreLimit, u64),
    Refused(&'f CoreLimit, Place),
}

impl Settings for Config {
    fn compile(&self, parts: &Parts<'_>) -> Rc<dyn Filter> {
        let add = |limit: Limit, most_keys: u32| {
            parts.rate_limits.add(limit, Kind::Tokens, self.cores, most_keys, parts.counters)
        };
        Rc::new(LocalRateLimit {
            config: self.clone(),
            rules: descriptor::compile(self),
            default: self.token_bucket.map(|limit| add(limit, 0)),
            descriptors: self
                .descriptors
                .iter()
                .map(|known| add(known.token_bucket, self.most_keys))
                .collect(),
            limits: Rc::clone(parts.rate_limits),
            key: RefCell::default(),
            counters: Arc::clone(parts.counters),
        })
    }

    fn looks_at_paths(&self) -> bool {
        self.rules.iter().flatten().any(|action| match action {
            Action::HeaderMatch { headers, .. } => headers.iter().any(HeaderMatch::looks_at_path),
            Action::RequestHeader { name, .. } => name == ":path",
            _ => false,
        })
    }

    fn looks_at_fields(&self) -> bool {
        self.rules.iter().flatten().any(|action| match action {
            Action::HeaderMatch { headers, .. } => headers.iter().any(HeaderMatch::looks_at_field),
            Action::RequestHeader { name, .. } => !is_part(name),
            _ => false,
        })
    }
}

impl Filter for LocalRateLimit {
    fn on_request(&self, request: &mut RequestView<'_>, memory: &mut Memory<'_>) -> Verdict {
        let says_nothing = self.default.is_none() && self.descriptors.is_empty();
        if says_nothing || !self.config.enabled.takes(request.draw()) {
            return Verdict::Continue;
        }
        self.counters.filters.local_rate_limit.enabled.add(1);
        match self.decide(request) {
            Decision::Refused(limit, place) if self.limits.want(limit, place, request.now) => {
                Verdict::Delay { ms: PATIENCE_MS }
            }
            decision => self.carry_out(decision, request, memory),
        }
    }

    /// Other cores have given what they could spare.
    fn on_resumed(&self, request: &mut RequestView<'_>, memory: &mut Memory<'_>) -> Verdict {
        self.carry_out(self.decide(request), request, memory)
    }

    fn on_response(&self, response: &mut ResponseView<'_>, memory: &mut Memory<'_>) {
        let Some(limit) = self.told(*memory.word) else { return };
        let reset_seconds =
            Bucket::micros_to_fill(limit.limit.fill_interval_ms, response.now).div_ceil(1_000_000);
        let remaining = *memory.word & u64::from(u32::MAX);
        for (name, number) in [
            ("x-ratelimit-limit", limit.limit.max_tokens),
            ("x-ratelimit-remaining", remaining),
            ("x-ratelimit-reset", reset_seconds),
        ] {
            response.edits.add(name.as_bytes(), Decimal::new(number).as_bytes());
        }
    }

    fn wants_peer(&self) -> bool {
        self.config.rules.iter().flatten().any(|action| *action == Action::RemoteAddress)
    }
}

impl LocalRateLimit {
    /// Takes a token of each bucket that the request needs one of, or of none.
    fn decide(&self, request: &RequestView<'_>) -> Decision<'_> {
        let needed = self.needed(request);
        let now = request.now;
        let mut least: Option<(&CoreLimit, u64)> = None;
        for (limit, place) in needed.iter().flatten() {
            let tokens = limit.with_bucket(*place, now, |bucket| {
                bucket.note_asked(now);
                bucket.tokens(now)
            });
            if tokens == 0 {
                return Decision::Refused(limit, *place);
            }
            if least.is_none_or(|(_, fewest)| tokens < fewest) {
                least = Some((limit, tokens));
            }
        }
        for (limit, place) in needed.iter().flatten() {
            limit.with_bucket(*place, now, Bucket::take);
        }
        least.map_or(Decision::Unlimited, |(limit, tokens)| Decision::Taken(limit, tokens - 1))
    }

    fn needed(&self, request: &RequestView<'_>) -> Needed<'_> {
        let mut needed: Needed<'_> = [None; MOST_RULES + 1];
        let mut used = 0;
        let mut key = self.key.borrow_mut();
        for rule in self.rules.iter().take(MOST_RULES) {
            let Some(descriptor) = rule.find(request, &mut key) else { continue };
            let Some(limit) = self.descriptors.get(descriptor) else { continue };
            let place = limit.place(&key, request.now);
            if place == Place::Common && !key.is_empty() {
                self.counters.filters.local_rate_limit.keys_overflow.add(1);
            }
            let is_known =
                needed.iter().flatten().any(|(known, at)| std::ptr::eq(*known, &**limit) && *at == place);
            if !is_known {
                needed[used] = Some((limit, place));
                used += 1;
            }
        }
        if let Some(limit) =
            self.default.as_deref().filter(|_| used == 0 || self.config.always_consume_default)
        {
            needed[used] = Some((limit, Place::Common));
        }
        needed
    }

    fn carry_out(
        &self,
        decision: Decision<'_>,
        request: &mut RequestView<'_>,
        memory: &mut Memory<'_>,
    ) -> Verdict {
        let counters = &self.counters.filters.local_rate_limit;
        match decision {
            Decision::Unlimited => {}
            Decision::Taken(limit, left) => self.tell(limit, left, memory),
            Decision::Refused(limit, _) => {
                counters.rate_limited.add(1);
                if self.config.enforced.takes(request.draw()) {
                    counters.enforced.add(1);
                    self.tell(limit, 0, memory);
                    request.add_line("x-envoy-ratelimited", b"true");
                    return Verdict::Reply(Reply {
                        status: self.config.status,
                        body: "local_rate_limited",
                        flags: ResponseFlags::RATE_LIMITED,
                        details: "local_rate_limited".into(),
                    });
                }
                return Verdict::Continue;
            }
        }
        counters.ok.add(1);
        Verdict::Continue
    }

    /// Remembers what the answer is to tell: the bucket's place, from 1, and its tokens.
    fn tell(&self, limit: &CoreLimit, left: u64, memory: &mut Memory<'_>) {
        if !self.config.tells_limits {
            return;
        }
        let all = self.default.iter().chain(&self.descriptors);
        if let Some(at) = all.map(|known| &**known).position(|known| std::ptr::eq(known, limit)) {
            *memory.word = (at as u64 + 1) << 32 | left.min(u64::from(u32::MAX));
        }
    }

    fn told(&self, word: u64) -> Option<&CoreLimit> {
        let at = (word >> 32).checked_sub(1)?;
        self.default.iter().chain(&self.descriptors).nth(at as usize).map(|limit| &**limit)
    }
}

/// A number as text, without a buffer of its own on the heap.
struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    fn new(mut number: u64) -> Decimal {
        let (mut digits, mut start) = ([b'0'; 20], 20);
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return Decimal { digits, start };
            }
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

#[cfg(test)]
mod tests;
