//! Looks for endpoints once, for whoever wants to know where a request would go now. The running process follows them instead.

use super::resolver::Resolver;
use super::{Discovery, DnsSource, EndpointSource, Outcome, dns, file};
use crate::config::Loaded;
use sidering_dataplane::config::Endpoint;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Fills the clusters with the endpoints of their files, and with those behind names if `resolve` says so. What is to be said of it,
/// by the cluster's name.
#[must_use]
pub fn look_once(loaded: &mut Loaded, resolve: bool) -> BTreeMap<String, String> {
    let mut notes = BTreeMap::new();
    for discovery in &loaded.discoveries {
        let (endpoints, note) = look(discovery, resolve);
        let cluster = loaded.snapshot.clusters.iter_mut().find(|cluster| cluster.name == discovery.cluster);
        if let (Some(cluster), Some(endpoints)) = (cluster, endpoints) {
            Arc::make_mut(cluster).endpoints = endpoints;
        }
        notes.insert(discovery.cluster.clone(), note);
    }
    notes
}

fn look(discovery: &Discovery, resolve: bool) -> (Option<Arc<[Endpoint]>>, String) {
    match &discovery.source {
        EndpointSource::File(path) => match file::read_once(path) {
            Outcome::Endpoints(endpoints) if endpoints.is_empty() => {
                (Some(endpoints), format!("{} has no endpoint now", path.display()))
            }
            Outcome::Endpoints(endpoints) => (Some(endpoints), format!("as {} has them now", path.display())),
            Outcome::Failed(reason) => (None, reason),
        },
        EndpointSource::Dns(source) => {
            let names: Vec<&str> = source.targets.iter().map(|target| target.host.as_str()).collect();
            if resolve {
                resolved(source)
            } else {
                let names = names.join(", ");
                (None, format!("{names} is resolved at run time; --resolve does it now"))
            }
        }
    }
}

fn resolved(source: &DnsSource) -> (Option<Arc<[Endpoint]>>, String) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => return (None, format!("names cannot be resolved: {error}")),
    };
    let (mut addresses, mut notes) = (vec![], vec![]);
    runtime.block_on(async {
        let resolver = match Resolver::new(&source.servers, source.family) {
            Ok(resolver) => resolver,
            Err(error) => return notes.push(error.to_string()),
        };
        for target in &source.targets {
            let (found, note) = resolve(&resolver, &target.host).await;
            addresses.push(found);
            notes.push(note);
        }
    });
    (Some(dns::endpoints(source, &addresses).into()), notes.join(", "))
}

async fn resolve(resolver: &Resolver, host: &str) -> (Vec<IpAddr>, String) {
    if let Ok(address) = host.parse() {
        return (vec![address], format!("{host} is an address"));
    }
    match resolver.resolve(host).await {
        Ok(answer) => {
            let what =
                if answer.addresses.is_empty() { "has no address now" } else { "as it is resolved now" };
            (answer.addresses, format!("{host} {what}"))
        }
        Err(error) => (vec![], error.to_string()),
    }
}
