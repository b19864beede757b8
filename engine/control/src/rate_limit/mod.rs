//! Keeps the shares that cores have of token buckets where the requests are. It holds no tokens itself, and the sum of
//! all shares never exceeds their bucket: what a core is to lose it has confirmed before another one gets it.
//!
//! A core that runs dry asks. All cores are then asked what they need, those that need less give up the rest, and those
//! that have run dry share it. A bucket that nobody asks for any more goes back to equal shares.

mod shared_bucket;
mod split;

use shared_bucket::SharedBucket;
use sidering_dataplane::filter::local_rate_limit::shares::{BucketName, Order, ShareOrder, ShareReport};
use std::collections::BTreeMap;

/// Buckets whose shares may be other than equal. Beyond it cores keep what they have.
const MOST_BUCKETS: usize = 8192;

/// What cores are told: the core, and the order.
pub(crate) type Orders = Vec<(usize, ShareOrder)>;

/// The shares of all buckets that have been asked for.
#[derive(Debug)]
pub(crate) struct Broker {
    cores: usize,
    version: u64,
    buckets: BTreeMap<BucketName, SharedBucket>,
}

impl Broker {
    pub(crate) fn new(cores: usize) -> Broker {
        Broker { cores, version: 0, buckets: BTreeMap::new() }
    }

    /// Another configuration has buckets of its own.
    pub(crate) fn begin(&mut self, version: u64) {
        self.version = version;
        self.buckets.clear();
    }

    /// Deals with what a core tells at `now_ms`.
    pub(crate) fn handle(&mut self, report: &ShareReport, now_ms: u64) -> Orders {
        let (core, name) = (report.core as usize, &report.bucket);
        if name.version != self.version || core >= self.cores {
            return vec![];
        }
        if !self.buckets.contains_key(name) {
            if self.buckets.len() >= MOST_BUCKETS {
                return vec![];
            }
            self.buckets.insert(name.clone(), SharedBucket::new(name, report.limit, self.cores));
        }
        let Some(bucket) = self.buckets.get_mut(name) else { return vec![] };
        named(name, bucket.handle(core, report.report, now_ms))
    }

    /// Whether [`Broker::tick`] has anything to look after.
    pub(crate) fn is_busy(&self) -> bool {
        !self.buckets.is_empty()
    }

    /// Ends what has taken too long, and makes shares equal again that nobody asked for in a while.
    pub(crate) fn tick(&mut self, now_ms: u64) -> Orders {
        let mut orders = vec![];
        self.buckets.retain(|name, bucket| {
            orders.extend(named(name, bucket.tick(now_ms)));
            !bucket.is_over(now_ms)
        });
        orders
    }
}

fn named(name: &BucketName, orders: Vec<(usize, Order)>) -> Orders {
    orders.into_iter().map(|(core, order)| (core, ShareOrder { bucket: name.clone(), order })).collect()
}

#[cfg(test)]
mod tests;
