//! What a route does with a request: one of its clusters, a rewrite, a redirect, a reply. It finds no route.

use super::pick::Refusal;
use crate::config::{Forward, HttpOptions, Redirect, RouteAction};
use crate::io::{ConnId, Io};
use crate::net::listener::CoreListener;
use crate::observe::access_log::ResponseFlags;
use crate::route::target::{Asked, replace_prefix, write_location};
use crate::route::{RouteTable, Routed};
use crate::stream::{LocalReply, StreamKey};
use crate::worker::Worker;
use sidering_codecs::{FieldName, Method, RequestHead};

/// Buffers for header lines that are kept for reuse.
const SPARE_LINES: usize = 64;

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
    /// Starts the action of the route that was found; tells the local reply if the request is refused.
    pub(super) fn act(
        &mut self,
        io: &mut I,
        listener: &CoreListener,
        routes: &RouteTable,
        found: Routed<'_>,
        asking: &Asking<'_>,
    ) -> Option<Refusal> {
        self.streams.get_mut(asking.key)?.route_line = found.route.line;
        match &found.route.action {
            RouteAction::DirectResponse { status, .. } => {
                self.reply_as_configured(asking.key, *status, found, vec![]);
                None
            }
            RouteAction::Redirect(redirect) => self.redirect(redirect, found, asking),
            RouteAction::Forward(forward) => {
                let picked = routes.pick_weighted(found.virtual_host, found.index);
                let weighted = forward.weighted_clusters.get(picked).map(|weighted| weighted.cluster);
                let cluster = weighted.unwrap_or(forward.cluster);
                let stream = self.streams.get_mut(asking.key)?;
                stream.cluster = listener.cluster_keys[cluster.0 as usize];
                stream.route_timeout_ms = forward.timeout_ms;
                self.rewrite(forward, found, asking.path);
                self.edit_request(io, asking.key, asking.downstream, asking.options, asking.head);
                self.dispatch_request(io, asking.key, asking.head, asking.head.method == Method::Connect)
            }
        }
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

/// How the client spoke to the first proxy, where that one is trusted to say so, and otherwise to us.
fn scheme_of(asking: &Asking<'_>) -> &'static [u8] {
    let told =
        asking.head.fields.find(FieldName::XForwardedProto).filter(|_| !asking.options.use_remote_address);
    match told {
        Some(field) if field.value.eq_ignore_ascii_case(b"https") => b"https",
        _ => b"http",
    }
}
