//! How the requests of a cluster are spread over its endpoints, as the configuration says it.

use crate::config::show_ms;
use crate::json::Json;
use sidering_dataplane::config::{Cluster, LoadBalancing};

/// The keys of a cluster that are about nothing else.
pub(super) fn write(json: &mut Json, cluster: &Cluster) {
    if let LoadBalancing::RingHash(sizes) = cluster.lb {
        json.key("ring_hash").object(|json| {
            json.key("minimum_ring_size").number(sizes.minimum);
            json.key("maximum_ring_size").number(sizes.maximum);
        });
    }
    let priorities = cluster.priorities;
    json.key("healthy_panic_threshold").number(u64::from(priorities.panic_threshold_percent));
    json.key("overprovisioning_factor").number(u64::from(priorities.overprovisioning_percent));
    if let Some(slow) = cluster.slow_start {
        json.key("slow_start").object(|json| {
            json.key("window").text(&show_ms(slow.window_ms));
            json.key("aggression").decimal(&slow.aggression.to_string());
            json.key("min_weight_percent").number(slow.min_weight_percent as u64);
        });
    }
}
