//! Whether anything on a listener for calls asks for their headers. Some protocols have them behind the payload (Dubbo's
//! attachments, Tars' context), where they are only read if somebody wants them: nobody says so in the file. Header rules
//! are no such thing: what has its headers behind the payload has none of them.

use super::protocol::has_calls;
use sidering_dataplane::config::{
    AccessLogFields, ClusterHeader, FieldSource, Forward, HashPolicy, HashSource, HeaderMatch, HttpListener,
    LinkTables, Listener, ListenerKind, Route, RouteAction, RouteMatch, VirtualHost, ZoneKey,
};
use sidering_dataplane::filter::FilterConfig;

/// Tells the codecs of all listeners for calls.
pub(super) fn settle(listeners: &mut [Listener], access_log: Option<&AccessLogFields>) {
    let is_logged = access_log.is_some_and(|fields| fields.rpc_group || !fields.request_fields.is_empty());
    for listener in listeners {
        if let ListenerKind::Http(http) = &mut listener.kind
            && has_calls(http.protocol)
        {
            http.codec.late_fields = is_logged || asks(http);
        }
    }
}

fn asks(http: &HttpListener) -> bool {
    http.filters.iter().any(|filter| filter.config.looks_at_fields())
        || http.routes.virtual_hosts().iter().any(of_host)
        || http.routes.chain().iter().any(|link| match &link.tables {
            LinkTables::Table(_) => false,
            LinkTables::Zones(map) => map.keys.iter().any(|key| matches!(key, ZoneKey::Header(_))),
        })
}

fn of_host(host: &VirtualHost) -> bool {
    let configs = host.filters.iter().filter_map(|special| special.config.as_ref());
    configs.into_iter().any(FilterConfig::looks_at_fields) || host.routes.iter().any(of_route)
}

fn of_route(route: &Route) -> bool {
    let mut configs = route.filters.iter().filter_map(|special| special.config.as_ref());
    of_match(&route.matcher)
        || configs.any(FilterConfig::looks_at_fields)
        || matches!(&route.action, RouteAction::Forward(forward) if of_forward(forward))
}

/// Dubbo's group is an attachment; its service and version may be corrected there, but stand in front as well.
fn of_match(matcher: &RouteMatch) -> bool {
    let Some(conditions) = &matcher.conditions else { return false };
    conditions.headers.iter().any(HeaderMatch::looks_at_field)
        || conditions.rpc.as_ref().is_some_and(|rpc| rpc.group.is_some())
}

fn of_forward(forward: &Forward) -> bool {
    let is_field = |policy: &HashPolicy| matches!(&policy.source, HashSource::Header(FieldSource::Field(_)));
    let by_header = forward.cluster_header.as_deref();
    forward.hash.iter().any(is_field)
        || by_header.is_some_and(|ClusterHeader { source, .. }| matches!(source, FieldSource::Field(_)))
}
