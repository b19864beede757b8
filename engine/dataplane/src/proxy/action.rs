//! What a route does with a request: one of its clusters, a rewrite, a redirect, a reply. It finds no route.

use super::pick::{NO_CLUSTER, Refusal};
use crate::config::{
    BUFFER_BYTES, ClusterHeader, ClusterIndex, FieldSource, Forward, HttpOptions, Redirect, RedirectPath,
    Rewrite, RouteAction,
};
use crate::io::{ConnId, Io};
use crate::net::listener::CoreListener;
use crate::observe::access_log::ResponseFlags;
use crate::route::target::{Asked, is_host, replace_prefix, write_location};
use crate::route::{Routed, Substitution, path_without_query};
use crate::stream::{LocalReply, Retry, Stream, StreamKey};
use crate::worker::Worker;
use sidering_codecs::{FieldName, Method, RequestHead};

/// Buffers for header lines that are kept for reuse.
const SPARE_LINES: usize = 256;

/// What header rules add to a head, or ask of it for its answer, is more than a head may be.
const REQUEST_TOO_LARGE: Refusal = (431, ResponseFlags::NONE, "request_headers_too_large_with_added");

/// What a regex makes of the path is longer than a path may be.
const PATH_TOO_LONG: Refusal = (414, ResponseFlags::NONE, "rewritten_path_too_long");

/// A request on its way to its route's action.
pub(super) struct Asking<'a> {
    pub(super) key: StreamKey,
    pub(super) downstream: ConnId,
    pub(super) head: &'a RequestHead<'a>,
    /// With query, as it was matched.
    pub(super) path: &'a [u8],
    pub(super) options: &'a HttpOptions,
    /// What a path may come to.
    pub(super) uri_bytes: usize,
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
                let cluster = match self.choose_cluster(listener, forward, found, asking.head) {
                    Ok(cluster) => cluster,
                    Err(refusal) => return Some(refusal),
                };
                self.edit_request(io, asking.key, asking.downstream, asking.options, asking.head);
                if self.edit_request_headers(io, asking.key, cluster, asking.head).is_err() {
                    return Some(REQUEST_TOO_LARGE);
                }
                if let Some(rewrite) = &forward.rewrite
                    && !self.rewrite(rewrite, found, asking)
                {
                    return Some(PATH_TOO_LONG);
                }
                if self.capture_for_answer(asking.key, asking.head).is_err() {
                    return Some(REQUEST_TOO_LARGE);
                }
                let stream = self.streams.get_mut(asking.key)?;
                stream.cluster = cluster;
                set_limits(stream, forward, found, is_connect);
                suit_call(stream, asking.head);
                self.apply_overrides(asking.key, asking.options.envoy_headers, asking.head);
                self.hash_request(io, listener, (asking.key, asking.downstream), forward, asking.head);
                // Where a listener takes both, calls are calls already.
                if let (Some(rule), None) = (&forward.bridge, asking.head.rpc) {
                    self.begin_bridged(asking.key, rule, asking.path, asking.head);
                    return None;
                }
                if !is_connect {
                    self.prepare_mirror(asking.key, forward, asking.head);
                }
                self.prepare_retries(asking.key, asking.head);
                self.dispatch_request(io, asking.key, asking.head, is_connect)
            }
        }
    }

    /// The core's key of the cluster that gets the request.
    fn choose_cluster(
        &self,
        listener: &CoreListener,
        forward: &Forward,
        found: Routed<'_>,
        head: &RequestHead<'_>,
    ) -> Result<u32, Refusal> {
        let cluster = match &forward.cluster_header {
            Some(header) => {
                let named = self.named_cluster(listener, header, head);
                named.ok_or((header.not_found_status, NO_CLUSTER.1, NO_CLUSTER.2))?
            }
            None => {
                let picked = listener.pick_weighted(&found);
                let weighted = forward.weighted_clusters.get(picked).map(|weighted| weighted.cluster);
                weighted.unwrap_or(forward.cluster)
            }
        };
        self.cluster_key(listener, cluster).ok_or(NO_CLUSTER)
    }

    /// The core's key of a cluster. A request that was delayed over a reload goes to the cluster that has the name now:
    /// keys of a configuration that is gone may be others' by now.
    pub(super) fn cluster_key(&self, listener: &CoreListener, cluster: ClusterIndex) -> Option<u32> {
        if self.cluster_keys.has(&listener.cluster_keys) {
            return listener.cluster_keys.get(cluster.0 as usize).copied();
        }
        let name = &listener.snapshot.clusters.get(cluster.0 as usize)?.name;
        let has_name = |key: &&u32| {
            let cluster = self.clusters.get(**key as usize).and_then(Option::as_ref);
            cluster.is_some_and(|cluster| cluster.config.name == *name)
        };
        self.cluster_keys.of(listener.protocol_name()).iter().find(has_name).copied()
    }

    /// The cluster that a request names.
    fn named_cluster(
        &self,
        listener: &CoreListener,
        header: &ClusterHeader,
        head: &RequestHead<'_>,
    ) -> Option<ClusterIndex> {
        let name = match &header.source {
            FieldSource::Method => head.method.as_bytes(),
            FieldSource::Path => self.edits.path().unwrap_or(head.path),
            FieldSource::Authority => self.edits.authority().unwrap_or(head.authority),
            FieldSource::Field(name) => self.edits.value_of(&head.fields, name.as_bytes())?,
        };
        listener.cluster_named(name)
    }

    /// Changes the target; `false` if it is longer then than it may be.
    fn rewrite(&mut self, rewrite: &Rewrite, found: Routed<'_>, asking: &Asking<'_>) -> bool {
        let path = asking.path;
        if let Some(prefix) = &rewrite.prefix {
            self.edits.set_path_parts(&replace_prefix(&found.route.matcher.path, path, prefix));
        }
        if let Some(substitution) = &rewrite.regex {
            let Some(bare) = self.replace(substitution, asking) else { return false };
            let slash = if self.replaced_scratch.starts_with(b"/") { &b""[..] } else { b"/" };
            self.edits.set_path_parts(&[slash, &self.replaced_scratch, &path[bare..]]);
        }
        if let Some(host) = &rewrite.host {
            self.edits.set_authority(host.as_bytes());
        }
        if let Some(name) = &rewrite.host_header {
            self.replaced_scratch.clear();
            let host = self.edits.value_of(&asking.head.fields, name.as_bytes()).unwrap_or_default();
            self.replaced_scratch.extend_from_slice(host);
            if is_host(&self.replaced_scratch) {
                self.edits.set_authority(&self.replaced_scratch);
            }
        }
        true
    }

    /// Puts the path, without its query, with what is replaced in it, into the scratch buffer. Tells how long it was
    /// before; `None` if it is too long now.
    fn replace(&mut self, substitution: &Substitution, asking: &Asking<'_>) -> Option<usize> {
        let bare = path_without_query(asking.path);
        self.replaced_scratch.clear();
        let out = &mut self.replaced_scratch;
        substitution.replace(bare, asking.uri_bytes, &mut self.substitutions, out).ok()?;
        Some(bare.len())
    }

    fn redirect(&mut self, redirect: &Redirect, found: Routed<'_>, asking: &Asking<'_>) -> Option<Refusal> {
        let authority = asking.head.authority;
        if authority.is_empty() && redirect.host.is_none() {
            // HTTP/1.0 need not say which host it means, and a location must.
            return Some((400, ResponseFlags::default(), "redirect_without_host"));
        }
        if let RedirectPath::Regex(substitution) = &redirect.path
            && self.replace(substitution, asking).is_none()
        {
            return Some(PATH_TOO_LONG);
        }
        let mut lines = self.spare_lines.pop().unwrap_or_default();
        lines.clear();
        lines.extend_from_slice(b"location: ");
        let replaced = &self.replaced_scratch;
        let asked = Asked { scheme: scheme_of(asking), authority, path: asking.path, replaced };
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

/// A call may say itself how long its caller waits. It is not hedged: an attempt is told by its connection, which many share.
fn suit_call(stream: &mut Stream, head: &RequestHead<'_>) {
    if stream.is_call {
        stream.retry.hedges = false;
    }
    if let Some(timeout_ms) = head.rpc.and_then(|rpc| rpc.timeout_ms()) {
        let timeout_ms = u64::from(timeout_ms);
        let is_shorter = stream.route_timeout_ms == 0 || timeout_ms < stream.route_timeout_ms;
        if is_shorter {
            stream.route_timeout_ms = timeout_ms;
        }
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
