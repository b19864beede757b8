//! Reads the endpoints of a cluster.

use super::problem::Problems;
use super::section::{Section, integer, name, text};
use super::subsets;
use super::tree::{Tree, Value};
use super::units;
use sidering_dataplane::config::Endpoint;
use sidering_dataplane::io::Address;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// All endpoints of a cluster, no address twice.
pub(super) fn read_all(trees: &[Tree], problems: &Problems) -> Vec<Endpoint> {
    let mut lines: HashMap<Address, u32> = HashMap::with_capacity(trees.len());
    let mut endpoints = Vec::with_capacity(trees.len());
    for tree in trees {
        let Some((address, template)) = read(tree, problems, endpoint_address) else { continue };
        let endpoint = Endpoint { address, ..template };
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

/// An address alone, or a mapping with a weight. How the address is written is the caller's business; the endpoint stands
/// for all but its address.
pub(super) fn read<A>(
    tree: &Tree,
    problems: &Problems,
    read_address: impl Fn(&Tree, &Problems) -> Option<A>,
) -> Option<(A, Endpoint)> {
    let template = Endpoint::new(Address::Ip(SocketAddr::from(([0, 0, 0, 0], 0))));
    if !matches!(tree.value, Value::Mapping(_)) {
        return Some((read_address(tree, problems)?, template));
    }
    let mut section = Section::open("an endpoint", tree, problems);
    let address = section.require("address", "ip:port").and_then(|tree| read_address(tree, problems));
    let weight = section.find("weight").map_or(Some(1), |tree| integer(tree, 1..=128, problems));
    let priority = section.integer("priority", 0..=u64::from(Endpoint::LAST_PRIORITY), 0) as u32;
    let zone = section.find("zone").and_then(|tree| name(tree, problems)).map(Arc::from);
    let metadata = section.find("metadata").map(|tree| subsets::metadata(tree, problems)).unwrap_or_default();
    section.finish();
    Some((address?, Endpoint { weight: weight? as u32, priority, zone, metadata, ..template }))
}

pub(super) fn endpoint_address(tree: &Tree, problems: &Problems) -> Option<Address> {
    const OF_NAMES: &str =
        "an IP address; host names take `discovery: strict_dns` or `logical_dns` of the cluster";
    reachable_address(tree, OF_NAMES, problems)
}

/// An address of somebody else; `of_names` is what is expected where a host name stands.
pub(super) fn reachable_address(tree: &Tree, of_names: &str, problems: &Problems) -> Option<Address> {
    let given = text(tree, units::ADDRESS, problems)?;
    let address = match units::address(given) {
        Ok(address) => address,
        Err(expected) => {
            let is_name = units::host_port(given).is_ok_and(|(host, _)| host.parse::<IpAddr>().is_err());
            let expected = if is_name { of_names } else { expected };
            problems.error(tree.place, format!("{} is not an address", tree.describe()), expected);
            return None;
        }
    };
    if matches!(&address, Address::Ip(ip) if ip.port() == 0) {
        problems.error(tree.place, "nothing can be reached on port 0", "a port from 1 to 65535");
        return None;
    }
    Some(address)
}
