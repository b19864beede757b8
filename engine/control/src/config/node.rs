//! Reads where this proxy stands.

use super::cluster::Clusters;
use super::problem::Problems;
use super::section::{Section, name};
use super::tree::Tree;
use sidering_dataplane::config::{ClusterIndex, TCP};
use std::sync::Arc;

/// The key `node`.
#[derive(Debug, Default)]
pub(super) struct Node<'t> {
    /// The zone that it stands in.
    pub(super) zone: Option<Arc<str>>,
    /// The name of the cluster that it belongs to, which is read later.
    pub(super) local_cluster: Option<&'t Tree<'t>>,
}

impl<'t> Node<'t> {
    pub(super) fn read(root: &mut Section<'t>, problems: &'t Problems) -> Node<'t> {
        let Some(tree) = root.find("node") else { return Node::default() };
        let mut section = Section::open("the node", tree, problems);
        let zone = section.find("zone").and_then(|tree| name(tree, problems)).map(Arc::from);
        let local_cluster = section.find("local_cluster");
        section.finish();
        Node { zone, local_cluster }
    }

    /// The cluster that it belongs to.
    pub(super) fn local_cluster(&self, clusters: &mut Clusters, problems: &Problems) -> Option<ClusterIndex> {
        self.local_cluster.map(|tree| clusters.refer(tree, TCP, problems))
    }
}
