//! Sending a request again: only if no byte of an answer came, on a connection that others had used before, and only
//! requests that may be sent twice (RFC 9110 section 9.2.2). A request with a body is not kept, so it is not sent again.

use crate::cluster::Outcome;
use crate::io::{CloseMode, ConnId, Io};
use crate::observe::access_log::ResponseFlags;
use crate::proxy::pick::{NO_HEALTHY_UPSTREAM, Refusal};
use crate::stream::{Progress, StreamKey, Upstream};
use crate::worker::Worker;

/// Times a request may find its pooled connection closed before it fails.
const STALE_ATTEMPTS: u8 = 2;

impl<I: Io> Worker<I> {
    pub(crate) fn may_send_again(&self, key: StreamKey, id: ConnId) -> bool {
        let (Some(stream), Some(conn)) = (self.streams.get(key), self.conns.get(id)) else { return false };
        conn.exchanges > 1
            && !conn.answer_started
            && stream.response == Progress::Awaited
            && stream.is_idempotent
            && !stream.request_has_body
            && stream.attached() == Some(id)
            && stream.head.is_some()
            && stream.reply.is_none()
            && stream.attempt.connects < STALE_ATTEMPTS
    }

    /// To the endpoint, or to another one if the cluster has lost it meanwhile or it is unwell.
    pub(super) fn open_to(&mut self, io: &mut I, key: StreamKey, endpoint: u32) -> Option<Refusal> {
        let random = self.next_random();
        let stream = self.streams.get(key)?;
        let request = stream.pick_request(self.now, random, &[]);
        match self.clusters.get_mut(stream.cluster as usize) {
            Some(Some(cluster)) if !cluster.admits(endpoint) => match cluster.pick(&request) {
                Some(other) => self.open_or_wait(io, key, other),
                None => Some(NO_HEALTHY_UPSTREAM),
            },
            _ => self.open_or_wait(io, key, endpoint),
        }
    }

    /// Sends the request on a connection of its own to the same endpoint.
    pub(crate) fn retry(&mut self, io: &mut I, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let Some(stale) = stream.attached() else { return };
        stream.attempt.upstream = Upstream::Unrouted;
        stream.attempt.sent = None;
        let was_counted = std::mem::take(&mut stream.attempt.is_at_endpoint);
        let Some(host) = stream.attempt.host.as_ref() else { return };
        let endpoint = host.index;
        if was_counted {
            host.counters.requests_active.subtract(1);
        }
        if let Some(Some(cluster)) = self.clusters.get(stream.cluster as usize) {
            cluster.counters.requests_retried_stale.add(1);
        }
        if let Some(conn) = self.conns.get_mut(stale) {
            conn.stream = None;
        }
        self.close_conn(io, stale, CloseMode::Graceful);
        if let Some((status, flags, details)) = self.open_to(io, key, endpoint) {
            let flags = flags.with(ResponseFlags::UPSTREAM_CONNECTION_TERMINATION);
            self.fail_attempt(io, key, (status, flags, details), Outcome::Abandoned);
        }
    }
}
