//! Reads the endpoints of a cluster.

use super::problem::Problems;
use super::section::{Section, address, integer};
use super::tree::{Tree, Value};
use sidering_dataplane::config::Endpoint;
use sidering_dataplane::io::Address;
use std::collections::HashMap;

/// All endpoints of a cluster, no address twice.
pub(super) fn read_all(trees: &[Tree], problems: &Problems) -> Vec<Endpoint> {
    let mut lines: HashMap<Address, u32> = HashMap::with_capacity(trees.len());
    let mut endpoints = Vec::with_capacity(trees.len());
    for tree in trees {
        let Some(endpoint) = read(tree, problems) else { continue };
        if let Some(line) = lines.insert(endpoint.address.clone(), tree.place.line) {
            let message = format!("{} is an endpoint of this cluster already", endpoint.address);
            problems.error(
                tree.place,
                message,
                format!("each address once; it is on line {line}, where it may have a weight"),
            );
        }
        endpoints.push(endpoint);
    }
    endpoints
}

/// An address alone, or a mapping.
fn read(tree: &Tree, problems: &Problems) -> Option<Endpoint> {
    if !matches!(tree.value, Value::Mapping(_)) {
        let address = endpoint_address(tree, problems)?;
        return Some(Endpoint::new(address));
    }
    let mut section = Section::open("an endpoint", tree, problems);
    let address = section.require("address", "ip:port").and_then(|tree| endpoint_address(tree, problems));
    let weight = section.find("weight").map_or(Some(1), |tree| integer(tree, 1..=128, problems));
    let priority = section.integer("priority", 0..=u64::from(Endpoint::LAST_PRIORITY), 0) as u32;
    section.later(&["metadata", "zone"]);
    section.finish();
    Some(Endpoint { weight: weight? as u32, priority, ..Endpoint::new(address?) })
}

fn endpoint_address(tree: &Tree, problems: &Problems) -> Option<Address> {
    let address = address(tree, problems)?;
    if matches!(&address, Address::Ip(ip) if ip.port() == 0) {
        problems.error(tree.place, "nothing can be reached on port 0", "a port from 1 to 65535");
        return None;
    }
    Some(address)
}
