//! Reads who is ejected from a cluster for what it answers: `outlier_detection`.

use super::problem::Problems;
use super::section::Section;
use super::tree::Tree;
use sidering_dataplane::config::{Enforcing, FailurePercentage, OutlierDetection, SuccessRate};

const MOST: u64 = 1_000_000;

/// What is not said is Envoy's default.
pub(super) fn outlier_detection(tree: &Tree, problems: &Problems) -> OutlierDetection {
    let default = OutlierDetection::default();
    let mut section = Section::open("an outlier detection", tree, problems);
    let mut row = |key, default: u32| section.integer(key, 0..=MOST, u64::from(default)) as u32;
    let consecutive_5xx = row("consecutive_errors", default.consecutive_5xx);
    let consecutive_gateway_failure = row("consecutive_gateway_errors", default.consecutive_gateway_failure);
    let consecutive_local_origin_failure =
        row("consecutive_local_origin_errors", default.consecutive_local_origin_failure);
    let base_ejection_ms = section.duration_ms("base_ejection", 1, default.base_ejection_ms);
    let longest_ms = default.max_ejection_ms.max(base_ejection_ms);
    let read = OutlierDetection {
        consecutive_5xx,
        consecutive_gateway_failure,
        consecutive_local_origin_failure,
        split_local_origin: section.boolean("split_local_origin_errors", default.split_local_origin),
        interval_ms: section.duration_ms("interval", 1, default.interval_ms),
        base_ejection_ms,
        max_ejection_ms: section.duration_ms("max_ejection", base_ejection_ms, longest_ms),
        max_ejection_jitter_ms: section.duration_ms("max_ejection_jitter", 0, default.max_ejection_jitter_ms),
        max_ejected_percent: percent(&mut section, "max_ejected_percent", default.max_ejected_percent),
        always_eject_one: section.boolean("always_eject_one_host", default.always_eject_one),
        success_rate: section
            .find("success_rate")
            .map_or(default.success_rate.clone(), |tree| success_rate(tree, problems)),
        failure_percentage: section
            .find("failure_percentage")
            .map_or(default.failure_percentage.clone(), |tree| failure_percentage(tree, problems)),
        enforcing: section.find("enforcing").map_or(default.enforcing, |tree| enforcing(tree, problems)),
        active_check_unejects: section
            .boolean("successful_active_check_unejects_host", default.active_check_unejects),
    };
    section.finish();
    read
}

fn percent(section: &mut Section<'_>, key: &'static str, default: u32) -> u32 {
    section.integer(key, 0..=100, u64::from(default)) as u32
}

fn success_rate(tree: &Tree, problems: &Problems) -> SuccessRate {
    let default = OutlierDetection::default().success_rate;
    let mut section = Section::open("a success rate", tree, problems);
    let minimum_hosts = section.integer("minimum_hosts", 0..=MOST, u64::from(default.minimum_hosts)) as u32;
    let request_volume = section.integer("request_volume", 0..=MOST, default.request_volume);
    let stdev_factor = section.integer("stdev_factor", 0..=MOST, u64::from(default.stdev_factor)) as u32;
    section.finish();
    SuccessRate { minimum_hosts, request_volume, stdev_factor }
}

fn failure_percentage(tree: &Tree, problems: &Problems) -> FailurePercentage {
    let default = OutlierDetection::default().failure_percentage;
    let mut section = Section::open("a failure percentage", tree, problems);
    let threshold_percent = percent(&mut section, "threshold", default.threshold_percent);
    let minimum_hosts = section.integer("minimum_hosts", 0..=MOST, u64::from(default.minimum_hosts)) as u32;
    let request_volume = section.integer("request_volume", 0..=MOST, default.request_volume);
    section.finish();
    FailurePercentage { threshold_percent, minimum_hosts, request_volume }
}

fn enforcing(tree: &Tree, problems: &Problems) -> Enforcing {
    let default = OutlierDetection::default().enforcing;
    let mut section = Section::open("percentages of enforcing", tree, problems);
    let mut percent = |key, default| percent(&mut section, key, default);
    let read = Enforcing {
        consecutive_5xx: percent("consecutive_errors", default.consecutive_5xx),
        consecutive_gateway_failure: percent(
            "consecutive_gateway_errors",
            default.consecutive_gateway_failure,
        ),
        consecutive_local_origin_failure: percent(
            "consecutive_local_origin_errors",
            default.consecutive_local_origin_failure,
        ),
        success_rate: percent("success_rate", default.success_rate),
        local_origin_success_rate: percent("local_origin_success_rate", default.local_origin_success_rate),
        failure_percentage: percent("failure_percentage", default.failure_percentage),
        local_origin_failure_percentage: percent(
            "local_origin_failure_percentage",
            default.local_origin_failure_percentage,
        ),
    };
    section.finish();
    read
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, parse};

    fn read(detection: &str) -> Result<OutlierDetection, String> {
        let text = format!(
            "listeners: [{{ name: l, address: 127.0.0.1:0, protocol: tcp, cluster: c }}]\n\
             clusters: [{{ name: c, endpoints: [127.0.0.1:1], outlier_detection: {detection} }}]"
        );
        let loaded = parse("test", &text, &Overrides::default()).map_err(|report| report.to_string())?;
        let detection = loaded.snapshot.clusters[0].outlier_detection.as_deref().expect("it is configured");
        Ok(detection.clone())
    }

    #[test]
    fn what_is_not_said_is_envoys_default() {
        assert_eq!(read("{}").unwrap(), OutlierDetection::default());
        let some = read("{ consecutive_errors: 7, max_ejected_percent: 50, enforcing: { success_rate: 3 } }");
        let mut expected =
            OutlierDetection { consecutive_5xx: 7, max_ejected_percent: 50, ..OutlierDetection::default() };
        expected.enforcing.success_rate = 3;
        assert_eq!(some.unwrap(), expected);
    }

    #[test]
    fn the_longest_ejection_is_no_shorter_than_the_first() {
        assert_eq!(read("{ base_ejection: 30s }").unwrap().max_ejection_ms, 300_000);
        assert_eq!(read("{ base_ejection: 10m }").unwrap().max_ejection_ms, 600_000);
        assert!(read("{ base_ejection: 30s, max_ejection: 30s }").is_ok());
        assert!(read("{ base_ejection: 30s, max_ejection: 29s }").unwrap_err().contains("out of range"));
    }

    #[test]
    fn mistakes_are_named() {
        for (detection, words) in [
            ("5", "where an outlier detection belongs"),
            ("{ consecutive_5xx: 5 }", "unknown key `consecutive_5xx`"),
            ("{ max_ejected_percent: 101 }", "a whole number from 0 to 100"),
            ("{ interval: 0 }", "out of range"),
            ("{ success_rate: { minimum_host: 1 } }", "did you mean `minimum_hosts`?"),
            ("{ enforcing: { failure_percentage: 101 } }", "a whole number from 0 to 100"),
            ("{ failure_percentage: { threshold: 101 } }", "a whole number from 0 to 100"),
        ] {
            let report = read(detection).expect_err(detection);
            assert!(report.contains(words), "{detection}: {report}");
        }
    }
}
