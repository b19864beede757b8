//! How the requests of a cluster are spread over its endpoints, as the configuration says it.

use crate::config::show_ms;
use crate::json::Json;
use sidering_dataplane::config::{Cluster, LoadBalancing, Metadata, Snapshot, SubsetFallback, SubsetPolicy};

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
    if let Some(zone_aware) = &cluster.zone_aware {
        json.key("zone_aware").object(|json| {
            json.key("routing_enabled").number(u64::from(zone_aware.routing_enabled_percent));
            json.key("min_cluster_size").number(u64::from(zone_aware.min_cluster_size));
            json.key("fail_traffic_on_panic").boolean(zone_aware.fails_on_panic);
            json.key("force_locality_direct_routing").boolean(zone_aware.is_forced);
        });
    }
    if let Some(subsets) = &cluster.subsets {
        json.key("subsets").object(|json| write_subsets(json, subsets));
    }
}

fn write_subsets(json: &mut Json, subsets: &SubsetPolicy) {
    json.key("selectors").list(&subsets.selectors, |json, selector| {
        json.object(|json| {
            json.key("keys").list(&selector.keys, |json, key| json.text(key));
            if let Some(fallback) = &selector.fallback {
                write_fallback(json, fallback);
            }
        });
    });
    write_fallback(json, &subsets.fallback);
    metadata(json, "default_subset", &subsets.default_subset);
}

fn write_fallback(json: &mut Json, fallback: &SubsetFallback) {
    json.key("fallback_policy").text(match fallback {
        SubsetFallback::NoFallback => "no_fallback",
        SubsetFallback::AnyEndpoint => "any_endpoint",
        SubsetFallback::DefaultSubset => "default_subset",
        SubsetFallback::KeysSubset(_) => "keys_subset",
    });
    if let SubsetFallback::KeysSubset(keys) = fallback {
        json.key("fallback_keys_subset").list(keys, |json, key| json.text(key));
    }
}

/// Metadata, if there are any.
pub(super) fn metadata(json: &mut Json, key: &str, metadata: &Metadata) {
    if !metadata.is_empty() {
        json.key(key).object(|json| {
            for (name, value) in metadata.iter() {
                json.key(name).text(value);
            }
        });
    }
}

/// Where the proxy stands, as far as anything depends on it.
pub(super) fn node(json: &mut Json, snapshot: &Snapshot) {
    let zone = snapshot.clusters.iter().find_map(|cluster| cluster.zone_aware.as_ref());
    let local = snapshot.local_cluster.and_then(|local| snapshot.clusters.get(local.0 as usize));
    if zone.is_none() && local.is_none() {
        return;
    }
    json.key("node").object(|json| {
        if let Some(zone_aware) = zone {
            json.key("zone").text(&zone_aware.zone);
        }
        if let Some(local) = local {
            json.key("local_cluster").text(&local.name);
        }
    });
}
