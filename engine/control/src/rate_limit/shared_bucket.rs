//! One bucket's shares, and the round of questions and answers in which they change.

use super::split::{Want, split};
use sidering_dataplane::filter::local_rate_limit::shares::{BucketName, Order, Report};
use sidering_dataplane::filter::local_rate_limit::{Limit, Share, salt};

/// A core that ran dry counts as dry for this long.
const DRY_MS: u64 = 1_000;
/// Between two rounds; longer each time that one changes nothing.
const LEAST_PAUSE_MS: u64 = 50;
const MOST_PAUSE_MS: u64 = 1_000;
/// A round whose answers do not come is given up. What was to be lost counts as still there until its core confirms.
const ROUND_MS: u64 = 1_000;
/// After this long without a question, or after ten fills if that is longer, shares become equal again.
const REST_MS: u64 = 10_000;

/// The state of one bucket. A core's share here is never less than what the core has.
#[derive(Debug)]
pub(super) struct SharedBucket {
    limit: Limit,
    initial: Vec<Share>,
    shares: Vec<Share>,
    /// Orders to each core that it has yet to confirm.
    unconfirmed: Vec<u32>,
    dry_until_ms: Vec<u64>,
    round: Round,
    quiet_until_ms: u64,
    pause_ms: u64,
    wanted_ms: u64,
}

/// ```text
/// Rest -> Asking (what each needs) -> Taking (from those with too much) -> Rest (the others have got it)
/// ```
#[derive(Debug)]
enum Round {
    Rest,
    Asking { began_ms: u64, needs: Vec<Option<u64>> },
    Taking { began_ms: u64, targets: Vec<Share>, given_up: u64 },
}

type CoreOrders = Vec<(usize, Order)>;

impl SharedBucket {
    pub(super) fn new(name: &BucketName, limit: Limit, cores: usize) -> SharedBucket {
        let salt = salt(&name.key);
        let initial: Vec<_> =
            (0..cores as u32).map(|core| Share::initial(&limit, core, cores as u32, salt)).collect();
        SharedBucket {
            limit,
            shares: initial.clone(),
            initial,
            unconfirmed: vec![0; cores],
            dry_until_ms: vec![0; cores],
            round: Round::Rest,
            quiet_until_ms: 0,
            pause_ms: LEAST_PAUSE_MS,
            wanted_ms: 0,
        }
    }

    pub(super) fn handle(&mut self, core: usize, report: Report, now_ms: u64) -> CoreOrders {
        match report {
            Report::Wants { demand } => {
                self.wanted_ms = now_ms;
                self.dry_until_ms[core] = now_ms + DRY_MS;
                match self.round {
                    Round::Rest if now_ms >= self.quiet_until_ms => self.ask(core, demand, now_ms),
                    _ => self.note_need(core, demand, now_ms),
                }
            }
            Report::Needs { demand } => self.note_need(core, demand, now_ms),
            Report::Has { share, given_up } => self.confirm(core, share, given_up, now_ms),
        }
    }

    fn ask(&mut self, core: usize, demand: u64, now_ms: u64) -> CoreOrders {
        let mut needs = vec![None; self.shares.len()];
        needs[core] = Some(demand);
        self.round = Round::Asking { began_ms: now_ms, needs };
        (0..self.shares.len()).filter(|other| *other != core).map(|other| (other, Order::Tell)).collect()
    }

    fn note_need(&mut self, core: usize, demand: u64, now_ms: u64) -> CoreOrders {
        let Round::Asking { needs, .. } = &mut self.round else { return vec![] };
        needs[core] = Some(demand);
        let Some(needs) = needs.iter().copied().collect::<Option<Vec<u64>>>() else { return vec![] };
        let want = |(core, need): (usize, &u64)| match need {
            _ if self.dry_until_ms[core] >= now_ms => Want::All,
            0 => Want::Tokens(0),
            // With some room to grow, but no more than it got along with.
            need => Want::Tokens((need + need / 4 + 1).min(self.shares[core].max_tokens)),
        };
        let wants: Vec<_> = needs.iter().enumerate().map(want).collect();
        let targets = split(&self.limit, &wants);
        self.pause_ms =
            if targets == self.shares { (self.pause_ms * 2).min(MOST_PAUSE_MS) } else { LEAST_PAUSE_MS };
        self.take(targets, now_ms)
    }

    /// Tells those that have too much; the others get theirs once these have confirmed.
    fn take(&mut self, targets: Vec<Share>, now_ms: u64) -> CoreOrders {
        let mut orders = vec![];
        for (core, (share, target)) in self.shares.iter().zip(&targets).enumerate() {
            let less = Share {
                max_tokens: share.max_tokens.min(target.max_tokens),
                tokens_per_fill: share.tokens_per_fill.min(target.tokens_per_fill),
            };
            if less != *share {
                self.unconfirmed[core] += 1;
                orders.push((core, Order::Set { share: less, given: 0 }));
            }
        }
        self.round = Round::Taking { began_ms: now_ms, targets, given_up: 0 };
        if orders.is_empty() { self.give(now_ms) } else { orders }
    }

    fn confirm(&mut self, core: usize, share: Share, given_up: u64, now_ms: u64) -> CoreOrders {
        self.unconfirmed[core] = self.unconfirmed[core].saturating_sub(1);
        // Only the last answer says what the core has now.
        if self.unconfirmed[core] == 0 {
            self.shares[core] = share;
        }
        let Round::Taking { given_up: all, .. } = &mut self.round else { return vec![] };
        *all += given_up;
        if self.unconfirmed.iter().all(|unconfirmed| *unconfirmed == 0) { self.give(now_ms) } else { vec![] }
    }

    /// What is nobody's goes to those that should have more.
    fn give(&mut self, now_ms: u64) -> CoreOrders {
        let Round::Taking { targets, given_up, .. } = std::mem::replace(&mut self.round, Round::Rest) else {
            return vec![];
        };
        self.quiet_until_ms = now_ms + self.pause_ms;
        let sum = |part: fn(&Share) -> u64| self.shares.iter().map(part).sum::<u64>();
        let mut free = Share {
            max_tokens: self.limit.max_tokens.saturating_sub(sum(|share| share.max_tokens)),
            tokens_per_fill: self.limit.tokens_per_fill.saturating_sub(sum(|share| share.tokens_per_fill)),
        };
        let mut tokens = given_up;
        let mut orders = vec![];
        for (core, target) in targets.iter().enumerate() {
            let share = self.shares[core];
            let more = Share {
                max_tokens: target.max_tokens.saturating_sub(share.max_tokens).min(free.max_tokens),
                tokens_per_fill: target
                    .tokens_per_fill
                    .saturating_sub(share.tokens_per_fill)
                    .min(free.tokens_per_fill),
            };
            if more == Share::default() {
                continue;
            }
            // There is room for as many tokens as for what was taken.
            let given = tokens.min(more.max_tokens);
            tokens -= given;
            free.max_tokens -= more.max_tokens;
            free.tokens_per_fill -= more.tokens_per_fill;
            let share = Share {
                max_tokens: share.max_tokens + more.max_tokens,
                tokens_per_fill: share.tokens_per_fill + more.tokens_per_fill,
            };
            self.shares[core] = share;
            self.unconfirmed[core] += 1;
            orders.push((core, Order::Set { share, given }));
        }
        orders
    }

    pub(super) fn tick(&mut self, now_ms: u64) -> CoreOrders {
        match self.round {
            Round::Asking { began_ms, .. } | Round::Taking { began_ms, .. } => {
                if now_ms > began_ms + ROUND_MS {
                    self.round = Round::Rest;
                    self.quiet_until_ms = now_ms + MOST_PAUSE_MS;
                }
                vec![]
            }
            Round::Rest if self.rests(now_ms) && self.shares != self.initial => {
                self.take(self.initial.clone(), now_ms)
            }
            Round::Rest => vec![],
        }
    }

    fn rests(&self, now_ms: u64) -> bool {
        now_ms > self.wanted_ms + REST_MS.max(self.limit.fill_interval_ms.saturating_mul(10))
    }

    /// Whether nothing is left to be known of it.
    pub(super) fn is_over(&self, now_ms: u64) -> bool {
        let is_confirmed = self.unconfirmed.iter().all(|unconfirmed| *unconfirmed == 0);
        matches!(self.round, Round::Rest) && self.rests(now_ms) && self.shares == self.initial && is_confirmed
    }
}
