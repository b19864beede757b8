//! Reads which requests of a route are mirrored, and where to.

use super::cluster::Clusters;
use super::matcher::share;
use super::problem::Problems;
use super::section::Section;
use super::tree::Tree;
use sidering_dataplane::config::{Mirror, RouteMatch, Share};

/// Reads `mirror` of a route whose listener speaks `protocol`.
pub(super) fn read(
    tree: &Tree,
    matcher: &RouteMatch,
    protocol: &'static str,
    clusters: &mut Clusters,
    problems: &Problems,
) -> Mirror {
    let mut section = Section::open("a mirror", tree, problems);
    let cluster = section.require("cluster", "the name of a cluster");
    let cluster = cluster.map(|tree| clusters.refer(tree, protocol, problems)).unwrap_or_default();
    let share = section.find("percent").map_or(Share::ALL, |tree| share(tree, problems));
    if matcher.connect {
        problems.error(section.place, "a mirror of CONNECT requests", "it on routes of other requests");
    }
    section.finish();
    Mirror { cluster, share }
}
