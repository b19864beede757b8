//! Retries by policy: whether an attempt that came to nothing is followed by another one, when, and where. Envoy's rules
//! (docs/root/configuration/http/http_filters/router_filter.rst). Once anything of an answer has reached the client,
//! there is no further attempt. A pooled connection that was found closed is another matter: see `retry.rs`.

use crate::cluster::Outcome;
use crate::config::{RetryOn, RetryPolicy, RouteAction};
use crate::io::{CloseMode, ConnId, Io};
use crate::net::listener::CoreListenerKind;
use crate::observe::access_log::ResponseFlags;
use crate::proxy::pick::NO_HEALTHY_UPSTREAM;
use crate::stream::{HEDGED, Progress, Retry, Stream, StreamKey, Upstream};
use crate::worker::Worker;
use sidering_codecs::{RequestHead, ResponseHead};

/// What is decided about another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There is no reason for one, or it is not possible any more.
    No,
    /// It is due when the back-off is over.
    Again,
    /// There is a reason, and nothing left.
    Exhausted,
    /// There is a reason, and the circuit breaker is open.
    Overflow,
}

impl Verdict {
    /// What the access log says of it.
    fn flags(self) -> ResponseFlags {
        match self {
            Verdict::No | Verdict::Again => ResponseFlags::default(),
            Verdict::Exhausted => ResponseFlags::UPSTREAM_RETRY_LIMIT_EXCEEDED,
            Verdict::Overflow => ResponseFlags::UPSTREAM_OVERFLOW,
        }
    }
}

impl<I: Io> Worker<I> {
    /// A request is routed, and it is known what is wanted for it.
    pub(crate) fn prepare_retries(&mut self, key: StreamKey, head: &RequestHead<'_>) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        // A try that may take as long as the whole is not limited by itself.
        if stream.route_timeout_ms > 0 && stream.retry.per_try_timeout_ms >= stream.route_timeout_ms {
            stream.retry.per_try_timeout_ms = 0;
        }
        self.prepare_body(key, head);
    }

    /// The head of an answer has come, of which the client has seen nothing yet: whether it is dropped for another attempt, one
    /// to come or one under way.
    pub(crate) fn retries_instead(
        &mut self,
        io: &mut I,
        key: StreamKey,
        id: ConnId,
        head: &ResponseHead<'_>,
    ) -> bool {
        let Some(stream) = self.streams.get_mut(key) else { return false };
        if head.is_interim() {
            // An answer that has begun may take its time.
            stream.retry.per_try_timeout_ms = 0;
            // It goes on to the client, who must not get another one of another attempt.
            self.make_final(key);
            self.settle_on(io, key, id);
            return false;
        }
        if stream.retry.on.is_empty() {
            return false;
        }
        let (would, is_retry) = (answer_is_retriable(stream, head), stream.attempt_on(id).is_counted);
        if stream.hedge_on(id).is_some() {
            if would {
                return true;
            }
        } else {
            let verdict = self.decide(key, would, false);
            self.note_verdict(key, verdict);
            if verdict == Verdict::Again || would && self.change_parts(key) {
                return true;
            }
        }
        self.count_success(key, is_retry && !would);
        self.settle_on(io, key, id);
        false
    }

    fn count_success(&self, key: StreamKey, is_success: bool) {
        if let Some(stream) = self.streams.get(key).filter(|_| is_success)
            && let Some(Some(cluster)) = self.clusters.get(stream.cluster as usize)
        {
            cluster.counters.retries_succeeded.add(1);
        }
    }

    /// No answer came: whether there will be another attempt. `reasons` are the conditions that this failure meets.
    pub(crate) fn retries_after(&mut self, key: StreamKey, reasons: RetryOn) -> Verdict {
        let Some(stream) = self.streams.get(key) else { return Verdict::No };
        if stream.retry.on.is_empty() {
            return Verdict::No;
        }
        let nothing_sent = stream.attempt.sent.is_none();
        let before_request = nothing_sent && stream.retry.on.has(RetryOn::RESET_BEFORE_REQUEST);
        let would = stream.retry.on.has(reasons) || before_request && reasons.has(RetryOn::RESET);
        let verdict = self.decide(key, would, false);
        self.note_verdict(key, verdict);
        verdict
    }

    pub(super) fn note_verdict(&mut self, key: StreamKey, verdict: Verdict) {
        if let Some(stream) = self.streams.get_mut(key) {
            stream.flags = stream.flags.with(verdict.flags());
        }
    }

    /// Whether an attempt that there is a reason for is made: then its place is taken, and its time set. `is_beside`: what it
    /// follows goes on.
    pub(super) fn decide(&mut self, key: StreamKey, would: bool, is_beside: bool) -> Verdict {
        self.end_retry(key);
        let random = self.next_random();
        let Some(stream) = self.streams.get_mut(key) else { return Verdict::No };
        let is_possible = stream.retry.is_on()
            && stream.response == Progress::Awaited
            && stream.head.is_some()
            && stream.reply.is_none();
        stream.retry.is_missed = would && stream.retry.is_too_large;
        if !would || !is_possible {
            return Verdict::No;
        }
        let Some(Some(cluster)) = self.clusters.get_mut(stream.cluster as usize) else { return Verdict::No };
        if stream.retry.remaining == 0 {
            cluster.counters.retries_exhausted.add(1);
            return Verdict::Exhausted;
        }
        stream.retry.remaining -= 1;
        if stream.hedged.len() > HEDGED || !cluster.begin_retry(is_beside) {
            cluster.counters.retries_overflow.add(1);
            return Verdict::Overflow;
        }
        stream.attempt.is_counted = true;
        stream.retry.made += 1;
        cluster.counters.retries.add(1);
        cluster.counters.retries_backed_off.add(1);
        let back_off = policy(stream).map_or_else(Default::default, |policy| policy.back_off);
        stream.retry.due = self.now.after_ms(random % back_off_bound(back_off, stream.retry.made));
        Verdict::Again
    }

    /// The attempt under way is given up; the next one waits for its time. The connection must be gone or returned.
    pub(crate) fn back_off(&mut self, io: &mut I, key: StreamKey, outcome: Outcome) {
        self.record_attempt_end(key, outcome);
        let Some(stream) = self.streams.get_mut(key) else { return };
        let upstream = std::mem::replace(&mut stream.attempt.upstream, Upstream::BackingOff);
        stream.attempt.sent = None;
        if let Upstream::Attached(id) | Upstream::Connecting(id) = upstream {
            self.part_from(io, key, id, CloseMode::Reset);
        }
        self.arm_stream(key);
    }

    /// The back-off is over: the request goes out again, to another endpoint than before if there is one.
    pub(crate) fn try_again(&mut self, io: &mut I, key: StreamKey) {
        let random = self.next_random();
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.attempt.upstream = Upstream::Unrouted;
        let cluster = self.clusters.get_mut(stream.cluster as usize).and_then(Option::as_mut);
        let tried = stream.tried();
        let request = stream.pick_request(self.now, random, &tried);
        let picked = cluster.and_then(|cluster| Some((cluster.pick(&request)?, cluster)));
        let Some((endpoint, cluster)) = picked else {
            self.fail_attempt(io, key, NO_HEALTHY_UPSTREAM, Outcome::Abandoned);
            return;
        };
        cluster.counters.requests_total.add(1);
        stream.attempt.host = cluster.hosts.get(endpoint).cloned();
        // What a connect may be tried is a matter of each attempt.
        stream.attempt.connects = 0;
        let cluster_key = stream.cluster;
        if let Some(conn) = self.take_conn(cluster_key, endpoint, key) {
            self.attach(key, conn);
            self.send_kept_head(io, key, conn);
            self.resume_after_attach(key);
        } else if let Some(refusal) = self.open_or_wait(io, key, endpoint) {
            self.fail_attempt(io, key, refusal, Outcome::Abandoned);
        }
        // The timer has fired for the back-off, and the other deadlines still hold.
        self.arm_stream(key);
    }

    /// The retry under way is over, however it went.
    pub(crate) fn end_retry(&mut self, key: StreamKey) {
        if let Some(stream) = self.streams.get_mut(key)
            && std::mem::take(&mut stream.attempt.is_counted)
            && let Some(Some(cluster)) = self.clusters.get_mut(stream.cluster as usize)
        {
            cluster.end_retry();
        }
    }
}

impl Stream {
    /// The words for a failure, which also tell where its request could not be sent again for its length.
    pub(crate) fn details_of_failure(&self, details: &'static str) -> &'static str {
        if !self.retry.is_missed {
            return details;
        }
        match details {
            "upstream_connection_reset" => {
                "upstream_connection_reset,request_payload_exceeded_retry_buffer_limit"
            }
            "upstream_connection_termination" => {
                "upstream_connection_termination,request_payload_exceeded_retry_buffer_limit"
            }
            "upstream_per_try_timeout" => {
                "upstream_per_try_timeout,request_payload_exceeded_retry_buffer_limit"
            }
            "via_upstream" => "via_upstream,request_payload_exceeded_retry_buffer_limit",
            other => other,
        }
    }
}

/// The retry policy of the stream's route.
pub(crate) fn policy(stream: &Stream) -> Option<&RetryPolicy> {
    let (virtual_host, index) = stream.route?;
    let CoreListenerKind::Http { routes, .. } = &stream.listener.kind else { return None };
    match &routes.route(virtual_host as usize, index as usize)?.action {
        RouteAction::Forward(forward) => forward.retry.as_deref(),
        RouteAction::DirectResponse { .. } | RouteAction::Redirect(_) => None,
    }
}

/// The wait before retry number `made` is shorter than this many milliseconds.
fn back_off_bound(back_off: crate::config::BackOff, made: u32) -> u64 {
    let factor = 1u64.checked_shl(made).map_or(u64::MAX, |power| power - 1);
    back_off.base_ms.saturating_mul(factor).min(back_off.max_ms).max(1)
}

fn answer_is_retriable(stream: &Stream, head: &ResponseHead<'_>) -> bool {
    let on = stream.retry.on;
    let has = |name: &[u8]| head.fields.find_by_name(name).is_some();
    if has(b"x-envoy-overloaded") {
        return false;
    }
    if has(b"x-envoy-ratelimited") {
        return on.has(RetryOn::ENVOY_RATELIMITED);
    }
    let status = head.status;
    on.has(RetryOn::SERVER_ERROR) && (500..600).contains(&status)
        || on.has(RetryOn::GATEWAY_ERROR) && matches!(status, 502..=504)
        || on.has(RetryOn::RETRIABLE_4XX) && status == 409
        || on.has(RetryOn::RETRIABLE_STATUS_CODES) && is_named(stream, status)
        || on.has(RetryOn::RETRIABLE_HEADERS)
            && policy(stream).is_some_and(|policy| policy.headers.iter().any(|name| has(name.as_bytes())))
        || on.has(GRPC) && on.has(grpc_condition(head))
}

fn is_named(stream: &Stream, status: u16) -> bool {
    stream.retry.status_codes.contains(&status)
        || policy(stream).is_some_and(|policy| policy.status_codes.contains(&status))
}

const GRPC: RetryOn = RetryOn(
    RetryOn::GRPC_CANCELLED.0
        | RetryOn::GRPC_DEADLINE_EXCEEDED.0
        | RetryOn::GRPC_INTERNAL.0
        | RetryOn::GRPC_RESOURCE_EXHAUSTED.0
        | RetryOn::GRPC_UNAVAILABLE.0,
);

/// The condition that the answer's `grpc-status` meets, where the head has one (a trailers-only answer).
fn grpc_condition(head: &ResponseHead<'_>) -> RetryOn {
    match head.fields.find_by_name(b"grpc-status").map(|field| field.value) {
        Some(b"1") => RetryOn::GRPC_CANCELLED,
        Some(b"4") => RetryOn::GRPC_DEADLINE_EXCEEDED,
        Some(b"8") => RetryOn::GRPC_RESOURCE_EXHAUSTED,
        Some(b"13") => RetryOn::GRPC_INTERNAL,
        Some(b"14") => RetryOn::GRPC_UNAVAILABLE,
        _ => RetryOn::default(),
    }
}

impl Retry {
    /// As the policy says.
    pub(crate) fn by_policy(policy: &RetryPolicy) -> Retry {
        Retry {
            on: policy.on,
            remaining: policy.attempts,
            per_try_timeout_ms: policy.per_try_timeout_ms,
            hedges: policy.hedge_on_per_try_timeout,
            ..Retry::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::BackOff;

    #[test]
    fn back_offs_grow_to_their_bound() {
        let default = BackOff::default();
        let bounds = [1, 2, 3, 4, 5, 63, 64, 1000].map(|made| back_off_bound(default, made));
        assert_eq!(bounds, [25, 75, 175, 250, 250, 250, 250, 250]);
        assert_eq!(back_off_bound(BackOff { base_ms: 1, max_ms: 1 }, 9), 1);
    }
}
