//! What a route does with a request: one of its clusters, a rewrite, a redirect, a reply. It finds no route.

use super::pick::{NO_CLUSTER, Refusal};
use crate::config::{BUFFER_BYTES, ClusterIndex, Forward, HttpOptions, Redirect, RouteAction};
use crate::io::{ConnId, Io};
use crate::net::listener::CoreListener;
use crate::observe::access_log::ResponseFlags;
use crate::route::Routed;
use crate::route::target::{Asked, replace_prefix, write_location};
use crate::stream::{LocalReply, Retry, Stream, StreamKey};
use crate::worker::Worker;
use sidering_codecs::{FieldName, Method, RequestHead};
use std::rc::Rc;

/// Buffers for header lines that are kept for reuse.
const SPARE_LINES: usize = 256;

/// What header rules add to a head, or ask of it for its answer, is more than a head may be.
const REQUEST_TOO_LARGE: Refusal = (431, ResponseFlags::NONE, "request_headers_too_large_with_added");

/// A request on its way to its route's action.
pub(super) struct Asking<'a> {
    pub(super) key: StreamKey,
    pub(super) downstream: ConnId,
    pub(super) head: &'a RequestHead<'a>,
    /// With query, as it was matched.
    pub(super) path: &'a [u8],
    pub(super) options: &'a HttpOptions,
}

impl<I: Io> Worker<I> {
    /// Starts the action of the route that was found, if one was; tells the local reply if the request is refused.
    pub(super) fn act(
        &mut self,
        io: &mut I,
        listener: &CoreListener,
        found: Option<Routed<'_>>,
        asking: &Asking<'_>,
    ) -> Option<Refusal> {
        let Some(found) = found else { return Some((404, ResponseFlags::NO_ROUTE, "route_not_found")) };
        if !found.route.action.forwards() && self.capture_for_answer(asking.key, asking.head).is_err() {
            return Some(REQUEST_TOO_LARGE);
        }
        match &found.route.action {
            RouteAction::DirectResponse { status, .. } => {
                self.reply_as_configured(asking.key, *status, found, vec![]);
                None
            }
            RouteAction::Redirect(redirect) => self.redirect(redirect, found, asking),
            RouteAction::Forward(forward) => {
                let is_connect = asking.head.method == Method::Connect;
                let picked = listener.pick_weighted(&found);
                let weighted = forward.weighted_clusters.get(picked).map(|weighted| weighted.cluster);
                let cluster = weighted.unwrap_or(forward.cluster);
                let Some(cluster) = self.cluster_key(listener, cluster) else { return Some(NO_CLUSTER) };
                self.edit_request(io, asking.key, asking.downstream, asking.options, asking.head);
                if self.edit_request_headers(io, asking.key, cluster, asking.head).is_err() {
                    return Some(REQUEST_TOO_LARGE);
                }
                self.rewrite(forward, found, asking.path);
                if self.capture_for_answer(asking.key, asking.head).is_err() {
                    return Some(REQUEST_TOO_LARGE);
                }
                let stream = self.streams.get_mut(asking.key)?;
                stream.cluster = cluster;
                set_limits(stream, forward, found, is_connect);
                self.apply_overrides(asking.key, asking.options.envoy_headers, asking.head);
                self.prepare_retries(asking.key, asking.head);
                self.dispatch_request(io, asking.key, asking.head, is_connect)
            }
        }
    }

    /// The core's key of a cluster. A request that was delayed over a reload goes to the cluster that has the name now:
    /// keys of a configuration that is gone may be others' by now.
    fn cluster_key(&self, listener: &CoreListener, cluster: ClusterIndex) -> Option<u32> {
        if Rc::ptr_eq(&listener.cluster_keys, &self.cluster_keys) {
            return listener.cluster_keys.get(cluster.0 as usize).copied();
        }
        let name = &listener.snapshot.clusters.get(cluster.0 as usize)?.name;
        let has_name = |key: &&u32| {
            let cluster = self.clusters.get(**key as usize).and_then(Option::as_ref);
            cluster.is_some_and(|cluster| cluster.config.name == *name)
        };
        self.cluster_keys.iter().find(has_name).copied()
    }

    fn rewrite(&mut self, forward: &Forward, found: Routed<'_>, path: &[u8]) {
        if let Some(prefix) = &forward.rewrite.prefix {
            self.edits.set_path_parts(&replace_prefix(&found.route.matcher.path, path, prefix));
        }
        if let Some(host) = &forward.rewrite.host {
            self.edits.set_authority(host.as_bytes());
        }
    }

    fn redirect(&mut self, redirect: &Redirect, found: Routed<'_>, asking: &Asking<'_>) -> Option<Refusal> {
        let authority = asking.head.authority;
        if authority.is_empty() && redirect.host.is_none() {
            // HTTP/1.0 need not say which host it means, and a location must.
            return Some((400, ResponseFlags::default(), "redirect_without_host"));
        }
        let mut lines = self.spare_lines.pop().unwrap_or_default();
        lines.clear();
        lines.extend_from_slice(b"location: ");
        let asked = Asked { scheme: scheme_of(asking), authority, path: asking.path };
        write_location(redirect, &found.route.matcher.path, asked, &mut lines);
        lines.extend_from_slice(b"\r\n");
        self.reply_as_configured(asking.key, redirect.status, found, lines);
        None
    }

    fn reply_as_configured(&mut self, key: StreamKey, status: u16, found: Routed<'_>, lines: Vec<u8>) {
        let direct = Some((found.virtual_host as u32, found.index as u32));
        let reply = LocalReply::new(status, ResponseFlags::default(), "direct_response");
        self.reply_locally(key, LocalReply { direct, lines, ..reply });
    }

    /// Takes the buffer of a reply's header lines back.
    pub(super) fn reclaim_lines(&mut self, lines: Vec<u8>) {
        if lines.capacity() > 0 && self.spare_lines.len() < SPARE_LINES {
            self.spare_lines.push(lines);
        }
    }
}

/// How long it may take, and how often it may be tried.
fn set_limits(stream: &mut Stream, forward: &Forward, found: Routed<'_>, is_connect: bool) {
    stream.route_timeout_ms = forward.timeout_ms;
    stream.route = Some((found.virtual_host as u32, found.index as u32));
    stream.buffer_bytes = forward.buffer_bytes.unwrap_or(BUFFER_BYTES);
    stream.max_duration_ms = forward.max_stream_duration_ms;
    if let Some(idle_timeout_ms) = forward.idle_timeout_ms {
        stream.idle_timeout_ms = idle_timeout_ms;
    }
    if let Some(policy) = forward.retry.as_deref().filter(|_| !is_connect) {
        stream.retry = Retry::by_policy(policy);
    }
}

/// How the client spoke to the first proxy, where that one is trusted to say so, and otherwise to us.
fn scheme_of(asking: &Asking<'_>) -> &'static [u8] {
    let told =
        asking.head.fields.find(FieldName::XForwardedProto).filter(|_| !asking.options.use_remote_address);
    match told {
        Some(field) if field.value.eq_ignore_ascii_case(b"https") => b"https",
        _ => b"http",
    }
}
