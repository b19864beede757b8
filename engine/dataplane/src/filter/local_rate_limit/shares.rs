//! A core's buckets by number, and how their shares move between cores: orders of control in, reports out.
//!
//! Every core compiles the same configuration in the same order, so that a number means the same bucket everywhere. A core
//! that runs dry says so; control asks all what they need, takes from those that have too much and, once they have
//! confirmed, gives to those that have too little. A share is thus never at two cores.

pub use super::bucket::Kind;
use super::bucket::{Bucket, Share};
use super::config::Limit;
use super::keys::{Core, Keys};
use crate::io::Time;
use crate::observe::counters::ListenerCounters;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// Reports kept for control at most; more are dropped, and the bucket asks again.
const MOST_REPORTS: usize = 64;

/// Names a bucket on all cores.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketName {
    /// Of the snapshot whose bucket it is.
    pub version: u64,
    pub number: u32,
    /// The values that it is for; empty if it is one for all.
    pub key: Box<[u8]>,
}

/// What control tells a core of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareOrder {
    pub bucket: BucketName,
    pub order: Order,
}

/// See [`ShareOrder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Tell how much you need.
    Tell,
    /// This is your share, and these tokens come with it. Tell what you had to give up.
    Set { share: Share, given: u64 },
}

/// What a core tells control of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareReport {
    pub core: u32,
    pub bucket: BucketName,
    pub limit: Limit,
    pub report: Report,
}

/// See [`ShareReport`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// It has run dry; so many requests need tokens at present.
    Wants { demand: u64 },
    /// So many requests need tokens at present.
    Needs { demand: u64 },
    /// This is what it has from now on, and what it gave up.
    Has { share: Share, given_up: u64 },
}

/// Takes reports to control. Must neither block nor allocate without bound.
pub trait ReportSink {
    /// Takes a report; `false` if there is no room, in which case it is dropped.
    fn try_report(&mut self, report: ShareReport) -> bool;
}

/// The buckets of one configuration on one core.
#[derive(Debug, Default)]
pub struct RateLimits {
    core: u32,
    version: u64,
    limits: RefCell<Vec<Rc<CoreLimit>>>,
    reports: RefCell<Vec<ShareReport>>,
}

impl RateLimits {
    /// For a configuration with this version, on this core.
    pub fn new(core: u32, version: u64) -> RateLimits {
        RateLimits { core, version, ..RateLimits::default() }
    }

    /// Whether there is nothing to do for [`RateLimits::take_reports`].
    pub fn is_silent(&self) -> bool {
        self.reports.borrow().is_empty()
    }

    /// What control is to be told.
    pub fn take_reports(&self) -> Vec<ShareReport> {
        self.reports.take()
    }

    /// Makes room for a bucket of all requests, or of those with a key.
    pub fn add(
        &self,
        limit: Limit,
        kind: Kind,
        cores: u32,
        most_keys: u32,
        counters: &Arc<ListenerCounters>,
    ) -> Rc<CoreLimit> {
        let mut limits = self.limits.borrow_mut();
        let number = limits.len() as u32;
        let on = Core { core: self.core, cores, most_keys };
        let added = Rc::new(CoreLimit {
            number,
            limit,
            kind,
            on,
            common: RefCell::default(),
            keys: RefCell::default(),
            has_keys: Cell::new(0),
            counters: Arc::clone(counters),
        });
        limits.push(Rc::clone(&added));
        added
    }

    /// Asks for more for a bucket that has run dry. Tells whether an answer is worth waiting for.
    pub fn want(&self, limit: &CoreLimit, place: Place, now: Time) -> bool {
        if limit.on.cores < 2 {
            return false;
        }
        let key = limit.key(place);
        let wanted = limit.with_bucket(place, now, |bucket| {
            let has_all = bucket.share == Share::whole(&limit.limit);
            (!has_all && bucket.begin_to_want(now)).then(|| bucket.demand(now))
        });
        let Some(demand) = wanted else { return false };
        self.report(limit, key, Report::Wants { demand })
    }

    /// Does what control says. Of another configuration's buckets nothing is known any more.
    pub fn handle(&self, order: &ShareOrder, now: Time) {
        let BucketName { version, number, key } = &order.bucket;
        let limit = self.limits.borrow().get(*number as usize).map(Rc::clone);
        let Some(limit) = limit.filter(|_| *version == self.version) else { return };
        let report = match order.order {
            Order::Tell => {
                let place = if key.is_empty() {
                    Some(Place::Common)
                } else {
                    limit.keys.borrow().find(key).map(Place::Key)
                };
                let demand =
                    place.map_or(0, |place| limit.with_bucket(place, now, |bucket| bucket.demand(now)));
                Report::Needs { demand }
            }
            Order::Set { share, given } => {
                let place = limit.place(key, now);
                if !key.is_empty() && place == Place::Common {
                    // No room for it: what a new one would have is what it has.
                    let share =
                        Share::initial(&limit.limit, self.core, limit.on.cores, super::keys::salt(key));
                    Report::Has { share, given_up: given }
                } else {
                    let (share, given_up) = limit.with_bucket(place, now, |bucket| {
                        let given_up = bucket.change(share, given, now);
                        (bucket.share, given_up)
                    });
                    Report::Has { share, given_up }
                }
            }
        };
        self.report(&limit, key.clone(), report);
    }

    fn report(&self, limit: &CoreLimit, key: Box<[u8]>, report: Report) -> bool {
        let bucket = BucketName { version: self.version, number: limit.number, key };
        let mut reports = self.reports.borrow_mut();
        let has_room = reports.len() < MOST_REPORTS;
        if has_room {
            reports.push(ShareReport { core: self.core, bucket, limit: limit.limit, report });
        }
        has_room
    }
}

/// A configured bucket on one core.
#[derive(Debug)]
pub struct CoreLimit {
    number: u32,
    pub limit: Limit,
    kind: Kind,
    on: Core,
    /// Made when it is used first: most routes of many see no request for a while.
    common: RefCell<Option<Bucket>>,
    keys: RefCell<Keys>,
    has_keys: Cell<usize>,
    counters: Arc<ListenerCounters>,
}

/// Which bucket of a [`CoreLimit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The one for all, or for keys that have none of their own.
    Common,
    Key(u32),
}

impl CoreLimit {
    /// Where the tokens for a key are; the empty key's are the common ones.
    pub fn place(&self, key: &[u8], now: Time) -> Place {
        if key.is_empty() {
            return Place::Common;
        }
        let mut keys = self.keys.borrow_mut();
        let place = keys.place(key, &self.limit, &self.on, now);
        let new = keys.len() - self.has_keys.replace(keys.len());
        if new > 0 {
            self.counters.filters.local_rate_limit.keys.add(new as u64);
        }
        place.map_or(Place::Common, Place::Key)
    }

    /// Does something with a bucket.
    pub fn with_bucket<T: Default>(&self, place: Place, now: Time, act: impl FnOnce(&mut Bucket) -> T) -> T {
        match place {
            Place::Common => {
                let salt = super::keys::salt(&[]);
                let new = || {
                    Bucket::new(
                        &self.limit,
                        self.kind,
                        Share::initial(&self.limit, self.on.core, self.on.cores, salt),
                        now,
                    )
                };
                act(self.common.borrow_mut().get_or_insert_with(new))
            }
            Place::Key(at) => self.keys.borrow_mut().bucket(at).map(act).unwrap_or_default(),
        }
    }

    fn key(&self, place: Place) -> Box<[u8]> {
        match place {
            Place::Common => Box::default(),
            Place::Key(at) => self.keys.borrow().key(at).into(),
        }
    }
}

impl Drop for CoreLimit {
    /// The gauge is of the buckets there are.
    fn drop(&mut self) {
        self.counters.filters.local_rate_limit.keys.subtract(self.has_keys.get() as u64);
    }
}
