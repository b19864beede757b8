//! The compiled virtual hosts of one listener: which domain takes an authority, and which of its routes a path.

use super::split::Split;
use crate::config::{PathMatch, Route, RouteAction, VirtualHost};

/// The longest authority (without port) that is looked up; longer ones only match `*`. A DNS name has at most 253 bytes.
const LONGEST_AUTHORITY: usize = 255;

/// The domains of a listener, ready for lookups.
#[derive(Debug)]
pub struct RouteTable {
    /// Sorted by domain, for binary search.
    exact: Vec<(Box<[u8]>, u32)>,
    /// `*.example.com` as `.example.com`, longest first.
    suffixes: Vec<(Box<[u8]>, u32)>,
    /// `api.*` as `api.`, longest first.
    prefixes: Vec<(Box<[u8]>, u32)>,
    any: Option<u32>,
    hosts: Vec<Vec<Route>>,
    /// By virtual host and route; a host without weighted clusters has none.
    splits: Vec<Box<[Option<Box<Split>>]>>,
}

/// A route that was found.
#[derive(Debug, Clone, Copy)]
pub struct Routed<'a> {
    /// Index of the virtual host within the listener.
    pub virtual_host: usize,
    /// Index of the route within the virtual host.
    pub index: usize,
    pub route: &'a Route,
}

impl RouteTable {
    /// Compiles checked virtual hosts (no domain stands in two of them).
    pub fn compile(virtual_hosts: &[VirtualHost]) -> Self {
        let mut table = RouteTable {
            exact: vec![],
            suffixes: vec![],
            prefixes: vec![],
            any: None,
            hosts: vec![],
            splits: vec![],
        };
        for (index, host) in virtual_hosts.iter().enumerate() {
            let index = index as u32;
            for domain in &host.domains {
                let domain = domain.to_ascii_lowercase();
                if domain == "*" {
                    table.any = Some(index);
                } else if let Some(suffix) = domain.strip_prefix('*') {
                    table.suffixes.push((suffix.as_bytes().into(), index));
                } else if let Some(prefix) = domain.strip_suffix('*') {
                    table.prefixes.push((prefix.as_bytes().into(), index));
                } else {
                    table.exact.push((domain.as_bytes().into(), index));
                }
            }
            table.hosts.push(host.routes.clone());
            table.splits.push(splits(&host.routes));
        }
        table.exact.sort();
        table.suffixes.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        table.prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        table
    }

    /// The route for a request: the virtual host by authority (exact, longest suffix, longest prefix, `*`; with the
    /// port as sent first, then without), then its first route that takes the path. `path` may carry a query.
    pub fn find(&self, authority: &[u8], path: &[u8], is_connect: bool) -> Option<Routed<'_>> {
        let virtual_host = self.virtual_host(authority)? as usize;
        let path = path_without_query(path);
        let (index, route) = self.hosts[virtual_host].iter().enumerate().find(|(_, route)| {
            route.matcher.connect == is_connect && takes(&route.matcher.path, path, is_connect)
        })?;
        Some(Routed { virtual_host, index, route })
    }

    /// The route at this place, as [`Routed`] tells it.
    pub fn route(&self, virtual_host: usize, index: usize) -> Option<&Route> {
        self.hosts.get(virtual_host)?.get(index)
    }

    /// Which of its weighted clusters gets the next request of a route; 0 if it has none.
    pub fn pick_weighted(&self, virtual_host: usize, index: usize) -> usize {
        let split = self.splits.get(virtual_host).and_then(|splits| splits.get(index)?.as_ref());
        split.map_or(0, |split| split.pick())
    }

    fn virtual_host(&self, authority: &[u8]) -> Option<u32> {
        if self.exact.is_empty() && self.suffixes.is_empty() && self.prefixes.is_empty() {
            return self.any;
        }
        let mut lower = [0u8; LONGEST_AUTHORITY];
        let Some(lower) = lower.get_mut(..authority.len()) else { return self.any };
        lower.copy_from_slice(authority);
        lower.make_ascii_lowercase();
        let bare = without_port(lower);
        self.exact(lower)
            .or_else(|| self.exact(bare))
            .or_else(|| wildcard(&self.suffixes, |suffix| longer(lower, suffix) && lower.ends_with(suffix)))
            .or_else(|| wildcard(&self.suffixes, |suffix| longer(bare, suffix) && bare.ends_with(suffix)))
            .or_else(|| wildcard(&self.prefixes, |prefix| longer(bare, prefix) && bare.starts_with(prefix)))
            .or(self.any)
    }

    fn exact(&self, host: &[u8]) -> Option<u32> {
        let at = self.exact.binary_search_by(|(domain, _)| domain.as_ref().cmp(host)).ok()?;
        Some(self.exact[at].1)
    }
}

/// Nothing at all where no route of the host has weighted clusters.
fn splits(routes: &[Route]) -> Box<[Option<Box<Split>>]> {
    let split = |route: &Route| match &route.action {
        RouteAction::Forward(forward) => Split::new(&forward.weighted_clusters).map(Box::new),
        _ => None,
    };
    let splits: Box<[_]> = routes.iter().map(split).collect();
    if splits.iter().all(Option::is_none) { Box::default() } else { splits }
}

/// A wildcard stands for at least one byte.
fn longer(host: &[u8], part: &[u8]) -> bool {
    host.len() > part.len()
}

fn wildcard(domains: &[(Box<[u8]>, u32)], fits: impl Fn(&[u8]) -> bool) -> Option<u32> {
    domains.iter().find(|(part, _)| fits(part)).map(|(_, index)| *index)
}

/// The path up to its query.
pub(super) fn path_without_query(path: &[u8]) -> &[u8] {
    memchr::memchr(b'?', path).map_or(path, |query| &path[..query])
}

fn takes(rule: &PathMatch, path: &[u8], is_connect: bool) -> bool {
    match rule {
        PathMatch::Any => true,
        PathMatch::Exact(exact) => path == exact.as_bytes(),
        // CONNECT has no path, and OPTIONS asks `*` of the server as a whole.
        PathMatch::Prefix(prefix) if prefix == "/" => is_connect || path.starts_with(b"/") || path == b"*",
        PathMatch::Prefix(prefix) => path.starts_with(prefix.as_bytes()),
    }
}

fn without_port(authority: &[u8]) -> &[u8] {
    match memchr::memrchr(b':', authority) {
        Some(colon) if authority[colon + 1..].iter().all(u8::is_ascii_digit) => &authority[..colon],
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RouteMatch;

    fn route(path: PathMatch, line: u32) -> Route {
        Route { matcher: RouteMatch { path, ..RouteMatch::default() }, line, ..Route::default() }
    }

    fn host(domains: &[&str], line: u32) -> VirtualHost {
        let domains = domains.iter().map(ToString::to_string).collect();
        VirtualHost { domains, routes: vec![route(PathMatch::Any, line)], ..VirtualHost::default() }
    }

    #[test]
    fn domains_exact_then_longest_suffix_then_longest_prefix_then_any() {
        let table = RouteTable::compile(&[
            host(&["*"], 1),
            host(&["api.example.com", "with.port:8080"], 2),
            host(&["*.example.com"], 3),
            host(&["*.deep.example.com", "*-x.example.com"], 4),
            host(&["api.*"], 5),
            host(&["api.internal.*"], 6),
            host(&["[::1]"], 7),
        ]);
        for (authority, line) in [
            ("api.example.com", 2),
            ("API.Example.COM:80", 2),
            ("with.port:8080", 2),
            ("with.port:8081", 1),
            ("with.port", 1),
            ("b.example.com", 3),
            ("a.deep.example.com", 4),
            ("b-x.example.com", 4),
            (".example.com", 1),
            ("example.com", 1),
            ("api.org", 5),
            ("api.internal.org:1", 6),
            ("api.", 1),
            ("[::1]:443", 7),
            ("[::1]", 7),
            ("", 1),
            ("other", 1),
        ] {
            let found = table.find(authority.as_bytes(), b"/", false).unwrap();
            assert_eq!(found.route.line, line, "{authority}");
        }
        let long = "a".repeat(LONGEST_AUTHORITY + 1);
        assert_eq!(table.find(long.as_bytes(), b"/", false).unwrap().route.line, 1);
    }

    #[test]
    fn no_domain_takes_it_without_any() {
        let table = RouteTable::compile(&[host(&["a.example"], 1)]);
        assert!(table.find(b"b.example", b"/", false).is_none());
        let long = "a".repeat(LONGEST_AUTHORITY + 1);
        assert!(table.find(long.as_bytes(), b"/", false).is_none());
    }

    #[test]
    fn the_first_route_in_order_that_takes_the_path() {
        let mut connect = route(PathMatch::Any, 9);
        connect.matcher.connect = true;
        let table = RouteTable::compile(&[VirtualHost {
            domains: vec!["*".into()],
            routes: vec![
                route(PathMatch::Exact("/a".into()), 1),
                route(PathMatch::Prefix("/a".into()), 2),
                connect,
                route(PathMatch::Prefix("/".into()), 3),
            ],
            ..VirtualHost::default()
        }]);
        let line = |path: &str| table.find(b"h", path.as_bytes(), false).map(|found| found.route.line);
        assert_eq!(line("/a"), Some(1));
        assert_eq!(line("/a?q=/b"), Some(1));
        assert_eq!(line("/a/b"), Some(2));
        assert_eq!(line("/ab"), Some(2));
        assert_eq!(line("/"), Some(3));
        assert_eq!(line("*"), Some(3));
        assert_eq!(table.find(b"h:443", b"", true).unwrap().route.line, 9);
    }
}
