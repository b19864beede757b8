//! How attempts at endpoints went, from where it is seen to where it is counted, and what control must hear of it at once.

use crate::cluster::outlier::Reached;
use crate::cluster::{CoreCluster, Outcome};
use crate::io::{Io, Time};
use crate::observe::access_log::ResponseFlags;
use crate::observe::counters::CoreCounters;
use crate::observe::notice::{Notice, NoticeSink};
use crate::stream::{Attempt, Progress, Stream, StreamKey};
use crate::worker::Worker;

impl<I: Io> Worker<I> {
    /// Counts the end of the attempt under way at its endpoint, if it had got there.
    pub(crate) fn record_attempt_end(&mut self, key: StreamKey, outcome: Outcome) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let Some(Some(cluster)) = self.clusters.get_mut(stream.cluster as usize) else { return };
        let reached = leave_endpoint(&mut stream.attempt, cluster, outcome, stream.is_tunnel, self.now);
        if let Some(host) = &stream.attempt.host {
            notify(&mut self.notices, &self.counters, cluster, host.index, reached);
        }
    }

    /// The same of an attempt that goes on beside another one.
    pub(super) fn record_hedge_end(&mut self, cluster_key: u32, attempt: &mut Attempt, outcome: Outcome) {
        let Some(Some(cluster)) = self.clusters.get_mut(cluster_key as usize) else { return };
        let reached = leave_endpoint(attempt, cluster, outcome, false, self.now);
        if let Some(host) = &attempt.host {
            notify(&mut self.notices, &self.counters, cluster, host.index, reached);
        }
        cluster.end_request();
        if attempt.is_counted {
            cluster.end_retry();
        }
    }

    /// The attempt under way takes too long, and goes on: its endpoint is judged by that now, and by what comes of it then.
    pub(super) fn record_overdue(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.attempt.is_overdue = true;
        let Some(Some(cluster)) = self.clusters.get_mut(stream.cluster as usize) else { return };
        if let Some(host) = &stream.attempt.host {
            let reached = cluster.judge(host.index, Outcome::Timeout);
            notify(&mut self.notices, &self.counters, cluster, host.index, reached);
        }
    }

    /// The attempt has got through to its endpoint, or has not even got a connection.
    pub(crate) fn record_connect(&mut self, cluster_key: u32, endpoint: u32, outcome: Outcome) {
        if let Some(Some(cluster)) = self.clusters.get_mut(cluster_key as usize) {
            if outcome == Outcome::ConnectFailure {
                cluster.record_latency(endpoint, outcome, self.now, 0);
            }
            let reached = cluster.on_result(endpoint, outcome);
            notify(&mut self.notices, &self.counters, cluster, endpoint, reached);
        }
    }

    /// The endpoint does not answer heartbeats any more.
    pub(super) fn record_missed_heartbeat(&mut self, cluster_key: u32, endpoint: u32) {
        if let Some(Some(cluster)) = self.clusters.get(cluster_key as usize) {
            let reached = Reached { heartbeats: true, ..Reached::default() };
            notify(&mut self.notices, &self.counters, cluster, endpoint, reached);
        }
    }

    /// A stream has become a tunnel.
    pub(crate) fn record_tunnel(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get(key) else { return };
        let (cluster, host) = (stream.cluster, stream.attempt.host.as_ref().map(|host| host.index));
        if let Some(endpoint) = host {
            self.record_connect(cluster, endpoint, Outcome::TunnelBegun);
        }
    }
}

#[inline]
pub(super) fn leave_endpoint(
    attempt: &mut Attempt,
    cluster: &mut CoreCluster,
    outcome: Outcome,
    is_tunnel: bool,
    now: Time,
) -> Reached {
    let Some(host) = &attempt.host else { return Reached::default() };
    // Not by `sent`: an answer may be here before its request is reported as sent.
    if !std::mem::take(&mut attempt.is_at_endpoint) {
        return Reached::default();
    }
    host.counters.requests_active.subtract(1);
    if !is_tunnel {
        cluster.record_latency(host.index, outcome, now, now.micros_since(attempt.attached));
    }
    if attempt.is_overdue && outcome == Outcome::Timeout {
        // That it takes too long was told when it did.
        cluster.count_error(host.index, outcome);
        return Reached::default();
    }
    cluster.on_result(host.index, outcome)
}

/// Tells control of failures in a row. What finds no room is counted, and told again by the next row.
#[inline]
pub(super) fn notify(
    sink: &mut Option<Box<dyn NoticeSink>>,
    counters: &CoreCounters,
    cluster: &CoreCluster,
    endpoint: u32,
    reached: Reached,
) {
    if reached == Reached::default() {
        return;
    }
    let (Some(sink), Some(host)) = (sink, cluster.hosts.get(endpoint)) else { return };
    for kind in reached.kinds() {
        let (cluster, endpoint) = (cluster.config.name.clone(), host.address.clone());
        if !sink.try_send(Notice::FailuresInRow { cluster, endpoint, kind }) {
            counters.notices_dropped.add(1);
        }
    }
}

/// How the last attempt went, by what has become of its stream. An answer of the proxy's own stands in for the failure.
#[inline]
pub(super) fn outcome_of(stream: &Stream) -> Outcome {
    let is_whole = stream.response == Progress::Ended;
    match stream.response_started {
        _ if stream.flags.has(ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION) => Outcome::Abandoned,
        Some(_) if stream.is_tunnel => Outcome::TunnelEnded { broken: !is_whole },
        Some(_) if is_whole => Outcome::Status(stream.status),
        Some(_) => Outcome::Reset,
        None if stream.flags.has(ResponseFlags::UPSTREAM_REQUEST_TIMEOUT) => Outcome::Timeout,
        None if is_whole && stream.status >= 500 => Outcome::Reset,
        None => Outcome::Abandoned,
    }
}
