//! Reads how a listener with `protocol: auto` finds out what its connections speak.

use super::cluster::Clusters;
use super::protocol::{LATER, detectable};
use super::section::{Section, choice, list};
use super::tree::Tree;
use sidering_codecs::registry::protocols;
use sidering_dataplane::config::{Detection, TCP};

const TIMEOUT_MS: u64 = 1000;

/// Reads `detection` and `cluster`.
pub(super) fn read(section: &mut Section<'_>, clusters: &mut Clusters) -> Detection {
    let problems = section.problems;
    let fallback = section.find("cluster").map(|tree| clusters.refer(tree, TCP, problems));
    let all = || protocols().map(|protocol| protocol.name).collect();
    let Some(tree) = section.find("detection") else {
        return Detection { protocols: all(), timeout_ms: TIMEOUT_MS, fallback };
    };
    let mut section = Section::open("detection", tree, problems);
    let protocols = section.find("protocols").map(|tree| spoken(tree, &section));
    let timeout_ms = section.duration_ms("timeout", 1, TIMEOUT_MS);
    section.finish();
    Detection { protocols: protocols.unwrap_or_else(all), timeout_ms, fallback }
}

fn spoken(tree: &Tree, section: &Section<'_>) -> Vec<&'static str> {
    let problems = section.problems;
    let mut spoken = vec![];
    for item in list(tree, "protocols such as [http, bolt]", problems) {
        let Some(protocol) = choice(item, &detectable(), LATER, problems) else { continue };
        if spoken.contains(&protocol.name) {
            problems.error(item.place, format!("`{}` a second time", protocol.name), "each protocol once");
        } else {
            spoken.push(protocol.name);
        }
    }
    spoken
}
