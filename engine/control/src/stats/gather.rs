//! Reads all counters once and names them. Reading is all it does: cores aren't asked, nor held up.

use super::Counted;
use super::filter_names::FILTERS;
use super::health_names::{HEALTH_CHECK, OUTLIER_DETECTION};
use super::ledger::Ledger;
use super::metric::{Family, Kind, Sample, Summed, Value};
use super::names::{
    CLUSTER, CLUSTER_TIMES, CORE, DETECTION, EACH_CORE, EACH_ENGINE, ENGINE, HTTP, HTTP_TIMES, LISTENER,
    METHOD, METHOD_TIMES, Numbers, SEARCH, TCP, Times,
};
use super::process::ProcessFacts;
use crate::config::show_address;
use crate::discovery::EndpointSearch;
use sidering_codecs::registry::place_of;
use sidering_dataplane::config::{Cluster, Listener, ListenerKind};
use sidering_dataplane::observe::counters::{Counter, ListenerCounters};
use sidering_dataplane::observe::methods::{CallCounters, MethodCounters};

type Labels = Vec<(&'static str, String)>;

/// One thing that is counted: how its samples are labelled, and what stands before their plain names.
struct Scope {
    labels: Labels,
    plain: String,
}

/// All metrics, grouped by name.
pub(super) fn gather(counted: &Counted<'_>, facts: &ProcessFacts) -> Vec<Family> {
    let Counted { ledger, snapshot, search } = *counted;
    let mut families = Families(vec![]);
    facts.families(&mut families.0);
    let whole = Scope { labels: vec![], plain: String::new() };
    families.numbers(CORE, &whole, || ledger.cores().iter().map(|core| &*core.core));
    families.numbers(ENGINE, &whole, || ledger.cores().iter().map(|core| &*core.engine));
    for (index, core) in ledger.cores().iter().enumerate() {
        let scope = Scope { labels: vec![("core", index.to_string())], plain: format!("core.{index}.") };
        families.numbers(EACH_CORE, &scope, || std::iter::once(&*core.core));
        families.numbers(EACH_ENGINE, &scope, || std::iter::once(&*core.engine));
    }
    for listener in &snapshot.listeners {
        families.listener(listener, ledger);
    }
    for cluster in &snapshot.clusters {
        families.cluster(cluster, ledger, search);
    }
    families.methods(ledger);
    families.0
}

/// A peer's name as it may stand in a line.
fn readable(name: &[u8]) -> String {
    String::from_utf8_lossy(name).replace(char::is_control, "_")
}

struct Families(Vec<Family>);

impl Families {
    fn listener(&mut self, listener: &Listener, ledger: &Ledger) {
        let name = listener.name.as_str();
        // Envoy writes the address with an underscore, so that the port is no part of a name of its own.
        let address = show_address(&listener.address).replace(':', "_");
        let scope = Scope {
            plain: format!("listener.{address}."),
            labels: vec![("listener_address", address), ("listener_name", name.to_owned())],
        };
        let counters = || ledger.listener(name);
        self.numbers(LISTENER, &scope, counters);
        if let ListenerKind::Http(http) = &listener.kind
            && let Some(detection) = &http.detection
        {
            self.numbers(DETECTION, &scope, counters);
            for protocol in &detection.protocols {
                self.detected(protocol, &scope, counters);
            }
        }
        match listener.kind {
            ListenerKind::Tcp { .. } => {
                let scope =
                    Scope { labels: vec![("tcp_prefix", name.to_owned())], plain: format!("tcp.{name}.") };
                self.numbers(TCP, &scope, counters);
            }
            ListenerKind::Http(ref http) => {
                let labels = vec![("http_conn_manager_prefix", name.to_owned())];
                let scope = Scope { labels, plain: format!("http.{name}.") };
                self.numbers(HTTP, &scope, counters);
                self.times(HTTP_TIMES, &scope, counters);
                for filter in &http.filters {
                    let name = filter.config.name();
                    for (_, numbers) in FILTERS.iter().filter(|(known, _)| *known == name) {
                        self.numbers(numbers, &scope, counters);
                    }
                }
                let help = "Responses by the class of their status.";
                self.classes("http_downstream_rq_xx", "downstream_rq", help, &scope, |class| {
                    counters().map(|counters| counters.responses[class].get()).sum()
                });
            }
        }
    }

    /// How many connections turned out to speak a protocol.
    fn detected<'c, I>(&mut self, protocol: &str, scope: &Scope, counters: impl Fn() -> I)
    where
        I: Iterator<Item = &'c ListenerCounters>,
    {
        let Some(place) = place_of(protocol) else { return };
        let mut labels = vec![("protocol", protocol.to_owned())];
        labels.extend(scope.labels.iter().cloned());
        let scope = Scope { labels, plain: scope.plain.clone() };
        let count = counters().map(|counters| counters.connections_detected[place].get()).sum();
        let help = "Connections by the protocol that was detected.";
        let plain = format!("downstream_cx_detected.{protocol}");
        let value = Value::Number(count);
        self.add("listener_downstream_cx_detected", &plain, Kind::Counter, help, &scope, value);
    }

    fn cluster(&mut self, cluster: &Cluster, ledger: &Ledger, search: &EndpointSearch) {
        let name = cluster.name.as_str();
        let scope =
            Scope { labels: vec![("cluster_name", name.to_owned())], plain: format!("cluster.{name}.") };
        let counters = || ledger.cluster(name);
        self.numbers(CLUSTER, &scope, counters);
        self.times(CLUSTER_TIMES, &scope, counters);
        let help = "Responses by the class of their status.";
        self.classes("cluster_upstream_rq_xx", "upstream_rq", help, &scope, |class| {
            counters().map(|counters| counters.responses[class].get()).sum()
        });
        let endpoints = search.of(name).unwrap_or(&cluster.endpoints).len() as u64;
        self.add(
            "cluster_membership_total",
            "membership_total",
            Kind::Gauge,
            "Endpoints.",
            &scope,
            Value::Number(endpoints),
        );
        let health = || ledger.health(name).into_iter();
        if cluster.health_check.is_some() {
            self.numbers(HEALTH_CHECK, &scope, health);
        }
        if cluster.outlier_detection.is_some() || cluster.heartbeat.is_some() {
            self.numbers(OUTLIER_DETECTION, &scope, health);
        }
        let healthy = Value::Number(health().map(|health| health.members_healthy.get()).sum());
        let help = "Endpoints that traffic may go to.";
        self.add("cluster_membership_healthy", "membership_healthy", Kind::Gauge, help, &scope, healthy);
        if let Some((_, counters)) = search.search(name) {
            for (name, plain, help, number) in SEARCH {
                self.add(name, plain, Kind::Counter, help, &scope, Value::Number(number(&counters)));
            }
        }
    }

    /// Calls by protocol, service and method; those that have none of their own are under `other`.
    fn methods(&mut self, ledger: &Ledger) {
        let calls = || ledger.cores().iter().map(|core| &core.core.calls);
        let Some(names) = calls().next().map(CallCounters::names) else { return };
        let mut known: Vec<_> = names
            .iter()
            .map(|(place, name)| (name.protocol, readable(&name.service), readable(&name.method), place))
            .collect();
        known.sort_unstable();
        for (protocol, service, method, place) in known {
            let of_place = || calls().filter_map(|calls| calls.of_place(place));
            self.method([protocol, &service, &method], of_place);
        }
        if calls().any(|calls| calls.other().requests.get() > 0) {
            self.method(["other"; 3], || calls().map(CallCounters::other));
        }
    }

    fn method<'c, I>(&mut self, [protocol, service, method]: [&str; 3], counters: impl Fn() -> I)
    where
        I: Iterator<Item = &'c MethodCounters>,
    {
        let labels = [("protocol", protocol), ("service", service), ("method", method)];
        let labels = labels.map(|(label, value)| (label, value.to_owned())).to_vec();
        let scope = Scope { labels, plain: format!("rpc.{protocol}.{service}.{method}.") };
        self.numbers(METHOD, &scope, &counters);
        let help = "Answers to calls by the class of their status in HTTP's vocabulary.";
        self.classes("rpc_downstream_rq_xx", "downstream_rq", help, &scope, |class| {
            counters().map(|counters| counters.responses[class].get()).sum()
        });
        self.times(METHOD_TIMES, &scope, counters);
    }

    /// The sums of a table's numbers over `counters`.
    fn numbers<'c, C, I>(&mut self, table: Numbers<C>, scope: &Scope, counters: impl Fn() -> I)
    where
        C: 'c,
        I: Iterator<Item = &'c C>,
    {
        for (name, plain, kind, help, number) in table {
            // Gauges may be read between the two halves of a move from core to core: wrapping keeps the sum right.
            let sum = counters().map(|counters| Counter::get(number(counters))).fold(0, u64::wrapping_add);
            self.add(name, plain, *kind, help, scope, Value::Number(sum));
        }
    }

    fn times<'c, C, I>(&mut self, table: Times<C>, scope: &Scope, counters: impl Fn() -> I)
    where
        C: 'c,
        I: Iterator<Item = &'c C>,
    {
        for (name, plain, help, histogram) in table {
            let summed = Summed::of(counters().map(histogram));
            self.add(name, plain, Kind::Histogram, help, scope, Value::Histogram(Box::new(summed)));
        }
    }

    /// Five counters, one for each class of status.
    fn classes(
        &mut self,
        name: &'static str,
        plain: &str,
        help: &'static str,
        scope: &Scope,
        count: impl Fn(usize) -> u64,
    ) {
        for class in 0..5 {
            let digit = class + 1;
            let mut labels = vec![("response_code_class", digit.to_string())];
            labels.extend(scope.labels.iter().cloned());
            let scope = Scope { labels, plain: scope.plain.clone() };
            let plain = format!("{plain}_{digit}xx");
            self.add(name, &plain, Kind::Counter, help, &scope, Value::Number(count(class)));
        }
    }

    fn add(
        &mut self,
        name: &'static str,
        plain: &str,
        kind: Kind,
        help: &'static str,
        scope: &Scope,
        value: Value,
    ) {
        let sample = Sample { labels: scope.labels.clone(), plain: format!("{}{plain}", scope.plain), value };
        match self.0.iter_mut().find(|family| family.name == name) {
            Some(family) => family.samples.push(sample),
            None => self.0.push(Family { name, kind, help, samples: vec![sample] }),
        }
    }
}
