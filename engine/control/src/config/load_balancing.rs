//! Reads how the requests of a cluster are spread over its endpoints. The keys are the cluster's own, named as Envoy names them.

use super::node::Node;
use super::problem::Problems;
use super::section::{Section, scalar};
use super::subsets;
use super::tree::Tree;
use sidering_dataplane::config::{Cluster, LoadBalancing, PriorityPolicy, RingSizes, SlowStart, ZoneAware};

const BALANCERS: &[(&str, LoadBalancing)] = &[
    ("round_robin", LoadBalancing::RoundRobin),
    ("least_request", LoadBalancing::LeastRequest),
    ("random", LoadBalancing::Random),
    ("peak_ewma", LoadBalancing::PeakEwma),
    ("ring_hash", LoadBalancing::RingHash(RingSizes { minimum: 1024, maximum: RingSizes::LARGEST })),
    ("maglev", LoadBalancing::Maglev),
];
/// Envoy's `aggression` is any number above 0; beyond these nothing changes any more.
const AGGRESSION: (f64, f64) = (0.01, 100.0);

/// A cluster of which nothing but that is said.
pub(super) fn read(section: &mut Section<'_>, node: &Node<'_>, problems: &Problems) -> Cluster {
    let lb = section.choice("lb", BALANCERS, &[]).unwrap_or_default();
    let lb = match (section.find("ring_hash"), lb) {
        (Some(tree), LoadBalancing::RingHash(default)) => {
            LoadBalancing::RingHash(ring_sizes(tree, default, problems))
        }
        (Some(tree), _) => {
            problems.error(tree.place, "`ring_hash` without `lb: ring_hash`", "both, or neither");
            lb
        }
        (None, lb) => lb,
    };
    let priorities = priorities(section);
    let slow_start = section.find("slow_start").map(|tree| {
        if !matches!(lb, LoadBalancing::RoundRobin | LoadBalancing::LeastRequest) {
            let expected = "`lb: round_robin` or `lb: least_request`; the others do not go by weights";
            problems.error(tree.place, "`slow_start` with this balancer", expected);
        }
        slow_start(tree, problems)
    });
    let zone_aware = section.find("zone_aware").and_then(|tree| zone_aware(tree, node, problems));
    let subsets = section.find("subsets").map(|tree| subsets::read(tree, problems));
    Cluster { lb, priorities, slow_start, zone_aware, subsets, ..Cluster::default() }
}

fn zone_aware(tree: &Tree, node: &Node<'_>, problems: &Problems) -> Option<ZoneAware> {
    let mut section = Section::open("zone awareness", tree, problems);
    let routing_enabled_percent = section.integer("routing_enabled", 0..=100, 100) as u32;
    let min_cluster_size = section.integer("min_cluster_size", 0..=10_000_000, 6) as u32;
    let fails_on_panic = section.boolean("fail_traffic_on_panic", false);
    let is_forced = section.boolean("force_locality_direct_routing", false);
    section.finish();
    if node.zone.is_none() {
        problems.error(
            tree.place,
            "`zone_aware` without a zone",
            "`node: { zone: .. }`, the zone of this proxy",
        );
    }
    if node.local_cluster.is_none() && !is_forced {
        let expected = "`node: { local_cluster: .. }`, the cluster that this proxy belongs to, or \
                        `force_locality_direct_routing: true`";
        problems.error(tree.place, "`zone_aware` without a local cluster", expected);
    }
    let zone = node.zone.clone()?;
    Some(ZoneAware { zone, routing_enabled_percent, min_cluster_size, fails_on_panic, is_forced })
}

fn ring_sizes(tree: &Tree, default: RingSizes, problems: &Problems) -> RingSizes {
    let mut section = Section::open("the sizes of a ring", tree, problems);
    let maximum = section.integer("maximum_ring_size", 1..=RingSizes::LARGEST, default.maximum);
    let minimum = section.integer("minimum_ring_size", 1..=RingSizes::LARGEST, default.minimum.min(maximum));
    if let Some(place) = section.place_of("minimum_ring_size").filter(|_| minimum > maximum) {
        problems.error(
            place,
            format!("{minimum} is more than `maximum_ring_size`"),
            format!("at most {maximum}"),
        );
    }
    section.finish();
    RingSizes { minimum, maximum }
}

fn priorities(section: &mut Section<'_>) -> PriorityPolicy {
    let default = PriorityPolicy::default();
    let threshold = u64::from(default.panic_threshold_percent);
    let factor = u64::from(default.overprovisioning_percent);
    PriorityPolicy {
        panic_threshold_percent: section.integer("healthy_panic_threshold", 0..=100, threshold) as u32,
        overprovisioning_percent: section.integer("overprovisioning_factor", 1..=10_000, factor) as u32,
    }
}

fn slow_start(tree: &Tree, problems: &Problems) -> SlowStart {
    let mut section = Section::open("a slow start", tree, problems);
    section.require("window", "how long it takes, such as 60s");
    let window_ms = section.duration_ms("window", 1, 60_000);
    let aggression = section.find("aggression").map_or(1.0, |tree| {
        let number = scalar(tree).and_then(|text| text.parse::<f64>().ok());
        let number = number.filter(|number| (AGGRESSION.0..=AGGRESSION.1).contains(number));
        number.unwrap_or_else(|| {
            let expected = format!("a number from {} to {}", AGGRESSION.0, AGGRESSION.1);
            problems.error(tree.place, format!("{} is no aggression", tree.describe()), expected);
            1.0
        })
    });
    let min_weight_percent = section.integer("min_weight_percent", 0..=100, 10) as f64;
    section.finish();
    SlowStart { window_ms, aggression, min_weight_percent }
}
