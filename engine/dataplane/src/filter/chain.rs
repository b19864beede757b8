//! A listener's chain as one core runs it. For every place that a request can be routed to it is known beforehand which
//! filters the request meets there, so that a request only walks along a row of them.

use super::{Filter, FilterConfig, Parts};
use crate::config::{ChainedFilter, FilterOverride, HttpListener};
use std::rc::Rc;

/// The compiled chain. Copies of it are of the same filters.
#[derive(Clone)]
pub struct Chain {
    /// The first is the listener's own, for requests that no route takes.
    rows: Vec<Row>,
    /// By virtual host.
    hosts: Vec<HostRows>,
}

/// The filters of one place, without those that are left out there.
#[derive(Clone)]
struct Row {
    filters: Box<[Rc<dyn Filter>]>,
    wants_peer: bool,
}

#[derive(Clone)]
struct HostRows {
    row: u32,
    /// By route; empty if none of them says anything of its own.
    routes: Box<[u32]>,
}

/// What stands at each place of a chain: `None` where a filter is left out.
type Places = Vec<Option<(FilterConfig, Rc<dyn Filter>)>>;

impl Chain {
    /// Compiles a checked chain; `None` if the listener has no filter.
    pub fn compile(http: &HttpListener, parts: &Parts<'_>) -> Option<Self> {
        if http.filters.is_empty() {
            return None;
        }
        let own: Places = http
            .filters
            .iter()
            .map(|filter| (!filter.disabled).then(|| (filter.config.clone(), filter.config.compile(parts))))
            .collect();
        let mut chain = Chain { rows: vec![Row::new(&own)], hosts: vec![] };
        for host in http.routes.virtual_hosts() {
            let (row, places) = chain.special(0, &own, &host.filters, &http.filters, parts);
            let says_nothing = host.routes.iter().all(|route| route.filters.is_empty());
            let routes: Box<[u32]> = if says_nothing {
                Box::default()
            } else {
                let special = |route: &crate::config::Route| {
                    chain.special(row, &places, &route.filters, &http.filters, parts).0
                };
                host.routes.iter().map(special).collect()
            };
            chain.hosts.push(HostRows { row, routes });
        }
        Some(chain)
    }

    /// The row, and what stands in it, where `overrides` are said on top of a more general row.
    fn special(
        &mut self,
        row: u32,
        general: &Places,
        overrides: &[FilterOverride],
        chain: &[ChainedFilter],
        parts: &Parts<'_>,
    ) -> (u32, Places) {
        let mut places = general.clone();
        for special in overrides {
            let Some(at) = chain.iter().position(|filter| filter.config.name() == special.filter) else {
                continue;
            };
            places[at] = special.config.as_ref().map(|config| {
                let config = match &places[at] {
                    Some((general, _)) => config.over(general),
                    None => config.clone(),
                };
                let filter = config.compile(parts);
                (config, filter)
            });
        }
        if overrides.is_empty() {
            return (row, places);
        }
        self.rows.push(Row::new(&places));
        (self.rows.len() as u32 - 1, places)
    }

    /// The same filters, without those that mean nothing for calls.
    #[must_use]
    pub fn for_calls(&self) -> Self {
        let kept = |row: &Row| {
            let filters: Box<[_]> =
                row.filters.iter().filter(|filter| filter.concerns_calls()).cloned().collect();
            Row { wants_peer: row.wants_peer, filters }
        };
        Chain { rows: self.rows.iter().map(kept).collect(), hosts: self.hosts.clone() }
    }

    /// The row of requests that come to this virtual host and route, if to any.
    pub fn row(&self, place: Option<(u32, u32)>) -> u32 {
        let Some((host, route)) = place else { return 0 };
        let Some(host) = self.hosts.get(host as usize) else { return 0 };
        host.routes.get(route as usize).copied().unwrap_or(host.row)
    }

    /// The filters of a row, in the order in which requests meet them.
    pub fn filters(&self, row: u32) -> &[Rc<dyn Filter>] {
        self.rows.get(row as usize).map(|row| &*row.filters).unwrap_or_default()
    }

    /// Whether any filter of the row looks at the client's address.
    pub fn wants_peer(&self, row: u32) -> bool {
        self.rows.get(row as usize).is_some_and(|row| row.wants_peer)
    }
}

impl Row {
    fn new(places: &Places) -> Self {
        let filters: Box<[_]> = places.iter().flatten().map(|(_, filter)| Rc::clone(filter)).collect();
        let wants_peer = filters.iter().any(|filter| filter.wants_peer());
        Row { filters, wants_peer }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Route, Share, VirtualHost};
    use crate::filter::fault::{self, Abort};
    use crate::filter::test_request::Asked;
    use crate::filter::{StreamFilters, Verdict, cors, rbac};
    use crate::route::RouteTable;
    use std::sync::Arc;

    fn compile(http: &HttpListener) -> Option<Chain> {
        Chain::compile(
            http,
            &Parts { counters: &Arc::default(), rate_limits: &Rc::default(), codings: &Rc::default() },
        )
    }

    /// Aborts all requests with the status.
    fn abort(status: u16) -> FilterConfig {
        let abort = Some(Abort::Fixed { status, share: Share::ALL });
        FilterConfig::Fault(Box::new(fault::Config { abort, ..fault::Config::default() }))
    }

    fn says(config: Option<FilterConfig>) -> Vec<FilterOverride> {
        vec![FilterOverride { filter: "fault", config }]
    }

    /// What the filters answer at each place.
    fn status(chain: &Chain, place: Option<(u32, u32)>) -> Option<u16> {
        let filters = chain.filters(chain.row(place));
        let mut state = StreamFilters::default();
        state.begin(0, filters.len(), place);
        Asked::new("GET", "/", &[]).with(|request| {
            filters.iter().enumerate().find_map(|(at, filter)| {
                match filter.on_request(request, &mut state.memory(at)) {
                    Verdict::Reply(reply) => Some(reply.status),
                    _ => None,
                }
            })
        })
    }

    fn listener(disabled: bool) -> HttpListener {
        let route = |filters| Route { filters, ..Route::default() };
        let silent = VirtualHost { routes: vec![route(vec![])], ..VirtualHost::default() };
        let mixed = VirtualHost {
            routes: vec![route(vec![]), route(says(Some(abort(503)))), route(says(None))],
            filters: says(Some(abort(502))),
            ..VirtualHost::default()
        };
        let off = VirtualHost {
            routes: vec![route(vec![]), route(says(Some(abort(504))))],
            filters: says(None),
            ..VirtualHost::default()
        };
        let pass = FilterConfig::Rbac(Box::default());
        let filters = vec![
            ChainedFilter { config: pass, disabled: false },
            ChainedFilter { config: abort(501), disabled },
        ];
        HttpListener {
            filters,
            routes: RouteTable::compile(vec![silent, mixed, off]).into(),
            ..HttpListener::default()
        }
    }

    #[test]
    fn the_most_special_word_holds() {
        let chain = compile(&listener(false)).unwrap();
        for (place, expected) in [
            (None, Some(501)),
            (Some((0, 0)), Some(501)),
            (Some((1, 0)), Some(502)),
            (Some((1, 1)), Some(503)),
            (Some((1, 2)), None),
            (Some((2, 0)), None),
            (Some((2, 1)), Some(504)),
        ] {
            assert_eq!(status(&chain, place), expected, "{place:?}");
        }
        assert_eq!(chain.filters(chain.row(Some((1, 2)))).len(), 1);
    }

    #[test]
    fn a_disabled_filter_works_where_it_is_configured() {
        let chain = compile(&listener(true)).unwrap();
        for (place, expected) in [(None, None), (Some((0, 0)), None), (Some((1, 0)), Some(502))] {
            assert_eq!(status(&chain, place), expected, "{place:?}");
        }
    }

    #[test]
    fn no_filter_is_no_chain_and_places_without_words_of_their_own_share_a_row() {
        assert!(compile(&HttpListener::default()).is_none());
        let chain = compile(&listener(false)).unwrap();
        assert_eq!(chain.rows.len(), 1 + 3 + 2);
        assert!(chain.hosts[0].routes.is_empty());
    }

    #[test]
    fn calls_pass_by_what_is_for_http_alone() {
        let mut http = listener(false);
        let cors = FilterConfig::Cors(Box::default());
        http.filters.push(ChainedFilter { config: cors, disabled: false });
        let chain = compile(&http).unwrap();
        assert_eq!(chain.filters(chain.row(None)).len(), 3);
        let calls = chain.for_calls();
        for place in [None, Some((0, 0)), Some((1, 1)), Some((1, 2))] {
            assert_eq!(status(&calls, place), status(&chain, place), "{place:?}");
            assert_eq!(calls.filters(calls.row(place)).len(), chain.filters(chain.row(place)).len() - 1);
        }
        let (one, other) = (&chain.filters(0)[0], &calls.filters(0)[0]);
        assert!(Rc::ptr_eq(one, other), "what it counts, it counts for both");
    }

    #[test]
    fn addresses_are_asked_for_only_where_they_matter() {
        let address = "10.0.0.0".parse().unwrap();
        let block = crate::config::Cidr { address, prefix_bits: 8 };
        let principals = vec![rbac::Condition::Not(Box::new(rbac::Condition::RemoteIp(block)))];
        let policy = rbac::Policy { name: "a".into(), permissions: vec![rbac::Condition::Any], principals };
        let rules = Some(rbac::Rules { action: rbac::Action::Deny, policies: vec![policy] });
        let config = FilterConfig::Rbac(Box::new(rbac::Config { rules, shadow_rules: None }));
        let filter = FilterOverride { filter: "rbac", config: Some(config) };
        let mut http = listener(false);
        let mut hosts = http.routes.virtual_hosts().to_vec();
        hosts[0].filters = vec![filter];
        http.routes = RouteTable::compile(hosts).into();
        let chain = compile(&http).unwrap();
        let wants = |place| chain.wants_peer(chain.row(place));
        assert_eq!([wants(None), wants(Some((0, 0))), wants(Some((1, 0)))], [false, true, false]);
    }

    #[test]
    fn cors_policies_are_merged_from_the_route_up() {
        let policy = |methods: &str, age: &str| cors::Config {
            allow_methods: methods.into(),
            max_age: age.into(),
            ..cors::Config::default()
        };
        let (route, host) = (policy("", "1"), policy("GET", "2"));
        let wrap = |config| FilterConfig::Cors(Box::new(config));
        assert_eq!(wrap(route).over(&wrap(host)), wrap(policy("GET", "1")));
    }
}
