//! The routes of a configuration. They take the same whatever it is: only by which tables differs.

use super::{Shape, rules, zones};
use sidering_dataplane::config::*;
use sidering_dataplane::route::RouteTable;

impl Shape {
    pub(super) fn http(&self, raw: ClusterIndex) -> ListenerKind {
        let timeout_ms = self.route_timeout_ms;
        let forward = |cluster| {
            let retry = self.retry.clone().map(Box::new);
            let buffer_bytes = Some(self.buffer_bytes);
            RouteAction::Forward(Forward { cluster, timeout_ms, retry, buffer_bytes, ..Forward::default() })
        };
        let route = |prefix: &str, action| Route {
            matcher: RouteMatch { path: PathMatch::Prefix(prefix.into()), ..RouteMatch::default() },
            action,
            headers: self.has_rules.then(|| Box::new(rules::of_route())),
            line: 1,
            ..Route::default()
        };
        let clusters = 0..self.clusters.len() - 1;
        if self.protocol != "http1" {
            let hosts = clusters.map(|at| host_of_calls(at, route("/", forward(ClusterIndex(at as u32)))));
            return ListenerKind::Http(Box::new(HttpListener {
                protocol: self.protocol,
                codec: self.codec,
                options: self.options.clone(),
                routes: RouteTable::compile(hosts.collect()).into(),
                ..HttpListener::default()
            }));
        }
        let mut routes: Vec<Route> =
            clusters.map(|at| route(&format!("/c{at}/"), forward(ClusterIndex(at as u32)))).collect();
        let direct = RouteAction::DirectResponse { status: 200, body: b"direct".to_vec() };
        let mut exact = route("", direct);
        exact.matcher.path = PathMatch::Exact("/direct".into());
        routes.push(exact);
        // Whatever comes here was not found above.
        let other = |status| RouteAction::DirectResponse { status, body: vec![] };
        routes.push(route("/c", other(418)));
        let to = if self.ends_connect { raw } else { ClusterIndex(0) };
        let mut connect = route("/", forward(to));
        connect.matcher.connect = true;
        routes.push(connect);
        let detection = self.detection();
        ListenerKind::Http(Box::new(HttpListener {
            protocol: if detection.is_some() { AUTO } else { "http1" },
            detection,
            codec: self.codec,
            options: self.options.clone(),
            headers: self.has_rules.then(|| Box::new(rules::of_listener())),
            routes: self.table(routes).into(),
            ..HttpListener::default()
        }))
    }

    /// Two of three versions find out that clients speak HTTP, among different others; connections of each go on in the next.
    fn detection(&self) -> Option<Box<Detection>> {
        let several = if self.version.is_multiple_of(2) {
            ["tars", "http1", "thrift"]
        } else {
            ["bolt", "dubbo", "http1"]
        };
        let protocols = several.to_vec();
        // Whoever stalls within the first bytes has as long as for a head.
        let timeout_ms =
            Some(self.limits.request_headers_timeout_ms).filter(|ms| *ms > 0).unwrap_or(3_600_000);
        let is_auto = !self.version.is_multiple_of(3);
        is_auto.then(|| Box::new(Detection { protocols, timeout_ms, fallback: None }))
    }

    /// By zones, or in every other version in a chain of two tables, which takes the same.
    fn table(&self, routes: Vec<Route>) -> RouteTable {
        if let Some(off) = self.zones {
            let (all, rest): (Vec<Route>, _) = routes.into_iter().partition(is_of_cluster);
            let some = all.iter().filter(|route| is_first(route)).cloned().collect();
            // The second host is the world's.
            let [some, all] = [some, all].map(|routes| self.virtual_hosts(routes).remove(0));
            let (tables, links) = zones::chain(off, &[some], &[all], self.virtual_hosts(rest));
            return RouteTable::chained(tables, links);
        }
        if self.version.is_multiple_of(2) {
            return RouteTable::compile(self.virtual_hosts(routes));
        }
        let (first, rest): (Vec<Route>, _) = routes.into_iter().partition(is_first);
        let mut hosts = self.virtual_hosts(first);
        // The second table's.
        hosts.pop();
        let named = |name: &str, virtual_hosts| NamedTable { name: name.into(), virtual_hosts };
        let pass_on = PassOn { no_match: true, no_healthy_endpoint: false };
        let links = (0..2).map(|table| ChainLink { tables: LinkTables::Table(table), pass_on }).collect();
        RouteTable::chained(vec![named("first", hosts), named("rest", self.virtual_hosts(rest))], links)
    }

    /// The names that clients use, among others and in no order; everything else may only be connected to.
    fn virtual_hosts(&self, routes: Vec<Route>) -> Vec<VirtualHost> {
        let names = ["zz.example", "h", "b.example", "a.example", "m.example", "*.wild.example"];
        let domains = names.iter().map(ToString::to_string).collect();
        let mut others: Vec<Route> = routes.iter().filter(|route| route.matcher.connect).cloned().collect();
        let action = RouteAction::DirectResponse { status: 421, body: vec![] };
        others.push(Route { action, line: 1, ..Route::default() });
        let headers = self.has_rules.then(|| Box::new(rules::of_host()));
        let host = |domains, routes| VirtualHost {
            domains,
            routes,
            headers: headers.clone(),
            ..VirtualHost::default()
        };
        vec![host(domains, routes), host(vec!["*".into()], others)]
    }
}

/// The calls of a service, which is named as its cluster; of one of them only a condition says so.
fn host_of_calls(at: usize, mut route: Route) -> VirtualHost {
    let service = format!("c{at}");
    let domain = if at == 1 { "*".to_owned() } else { service.clone() };
    let exact = StringMatch { pattern: StringPattern::Exact(service), ignore_case: false };
    let rpc = RpcMatch { service: Some(exact), ..RpcMatch::default() };
    route.matcher.conditions =
        Some(Box::new(Conditions { rpc: Some(Box::new(rpc)), ..Conditions::default() }));
    VirtualHost { domains: vec![domain], routes: vec![route], ..VirtualHost::default() }
}

fn is_of_cluster(route: &Route) -> bool {
    matches!(&route.action, RouteAction::Forward(_)) && !route.matcher.connect
}

/// Those of every other cluster.
fn is_first(route: &Route) -> bool {
    match &route.action {
        RouteAction::Forward(forward) => is_of_cluster(route) && forward.cluster.0.is_multiple_of(2),
        _ => false,
    }
}
