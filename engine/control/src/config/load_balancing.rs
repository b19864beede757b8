//! Reads how the requests of a cluster are spread over its endpoints. The keys are the cluster's own, named as Envoy names them.

use super::problem::Problems;
use super::section::{Section, scalar};
use super::tree::Tree;
use sidering_dataplane::config::{Cluster, LoadBalancing, PriorityPolicy, RingSizes, SlowStart};

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
pub(super) fn read(section: &mut Section<'_>, problems: &Problems) -> Cluster {
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
    Cluster { lb, priorities, slow_start, ..Cluster::default() }
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
    if section.place_of("window").is_none() {
        problems.error(tree.place, "`window` is missing", "how long a slow start takes, as `60s`");
    }
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
