//! The end of streams: counters, the access-log record, and what becomes of the downstream connection.

use crate::cluster::CoreCluster;
use crate::io::{CloseMode, Io, Time};
use crate::net::conn::Phase;
use crate::observe::access_log::{AccessRecord, ResponseFlags};
use crate::observe::counters::CoreCounters;
use crate::observe::methods::MethodPlace;
use crate::observe::notice::NoticeSink;
use crate::proxy::drain::Drain;
use crate::proxy::outcome::{leave_endpoint, notify, outcome_of};
use crate::stream::{Details, Progress, Stream, StreamKey, Upstream};
use crate::worker::{Work, Worker};
use sidering_codecs::Version;
use sidering_codecs::registry::protocol;
use std::io::Write;

impl<I: Io> Worker<I> {
    /// The response was handed to the kernel to its last byte.
    pub(crate) fn finish_stream(&mut self, io: &mut I, key: StreamKey) {
        let Some(stream) = self.streams.get(key) else { return };
        let (id, is_call) = (stream.downstream, stream.is_call);
        let request_ended = stream.request == Progress::Ended;
        self.close_stream(io, key);
        if is_call {
            self.after_finished_call(io, id);
            return;
        }
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.stream = None;
        conn.since = self.now;
        let reusable = !conn.is_poisoned && conn.codec.as_ref().is_some_and(|codec| codec.is_reusable());
        if !reusable || conn.outbox.has_failed() {
            // A client that did not say that this was its last request may have sent the next one already.
            let may_pipeline = !conn.is_last_request || !conn.held.is_empty();
            let client_may_send = !request_ended || may_pipeline || conn.is_poisoned;
            self.close_behind_answer(io, id, client_may_send);
            return;
        }
        conn.phase = Phase::Idle;
        conn.is_behind_answer = !request_ended;
        let ended = conn.input_ended && conn.held.is_empty();
        if ended || (self.drain != Drain::No && conn.held.is_empty()) {
            self.close_behind_answer(io, id, !ended);
        } else if !conn.held.is_empty() || conn.paused {
            self.work.push_back(Work::ResumeDownstream(id));
        } else {
            self.arm_deadline(id);
        }
    }

    /// The stream ends without a whole response; its downstream connection is the caller's to close.
    pub(crate) fn give_up_stream(
        &mut self,
        io: &mut I,
        key: StreamKey,
        flags: ResponseFlags,
        details: impl Into<Details>,
    ) {
        if let Some(stream) = self.streams.get_mut(key) {
            stream.flags = stream.flags.with(flags);
        }
        self.detach_upstream(io, key, CloseMode::Reset);
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.details = details.into();
        let (id, exchange, is_call) = (stream.downstream, stream.downstream_stream, stream.is_call);
        self.close_stream(io, key);
        let Some(conn) = self.conns.get_mut(id) else { return };
        if !is_call {
            conn.stream = None;
        } else if let (Some(codec), Some(exchange)) = (&mut conn.codec, exchange) {
            // Whoever gives up on an answer that has begun closes the connection.
            codec.abandon(exchange);
        }
    }

    /// The stream is counted and is no more.
    fn close_stream(&mut self, io: &mut I, key: StreamKey) {
        self.record_end(io, key);
        self.leave_downstream(key);
        self.reclaim(key);
        self.streams.remove(key);
    }

    /// Parts the stream from whatever it has or waits for upstream. An exchange cut short cannot be reused.
    pub(crate) fn detach_upstream(&mut self, io: &mut I, key: StreamKey, mode: CloseMode) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let upstream = std::mem::replace(&mut stream.attempt.upstream, Upstream::Released);
        let (cluster, outcome) = (stream.cluster, outcome_of(stream));
        self.drop_hedges(io, key, outcome);
        self.leave_upstream(io, key, cluster, upstream, mode);
        if upstream != Upstream::Released {
            self.record_upstream_end(key);
        }
    }

    /// Closes the connection that an attempt of the stream has, or stops to wait for one.
    pub(super) fn leave_upstream(
        &mut self,
        io: &mut I,
        key: StreamKey,
        cluster: u32,
        upstream: Upstream,
        mode: CloseMode,
    ) {
        match upstream {
            Upstream::Unrouted
            | Upstream::Delayed
            | Upstream::Gathering
            | Upstream::Released
            | Upstream::BackingOff => {}
            Upstream::Asking => self.end_ask(key),
            Upstream::Waiting => {
                if let Some(Some(cluster)) = self.clusters.get_mut(cluster as usize) {
                    cluster.stop_waiting(key);
                }
            }
            Upstream::Connecting(id) | Upstream::Attached(id) => {
                self.part_from(io, key, id, mode);
            }
        }
    }

    /// Counts the end of the request's time with its cluster.
    pub(crate) fn record_upstream_end(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let cluster_key = stream.cluster;
        let Some(Some(cluster)) = self.clusters.get_mut(cluster_key as usize) else { return };
        count_upstream_end(stream, cluster, &mut self.notices, &self.counters, self.now);
        if cluster.retired {
            self.forget_cluster_if_done(cluster_key);
        }
    }

    fn record_end(&mut self, io: &mut I, key: StreamKey) {
        if self.streams.get(key).is_some_and(|stream| stream.filters.is_some()) {
            self.end_filters(key);
        }
        let Some(stream) = self.streams.get(key) else { return };
        count_end(stream, &self.counters, self.now);
        self.write_record(io, key);
    }

    /// What the access log has of a stream that is over, if there is one.
    pub(super) fn write_record(&mut self, io: &mut I, key: StreamKey) {
        let Some(stream) = self.streams.get(key) else { return };
        if stream.listener.snapshot.access_log.is_none() || self.access_log.is_none() {
            return;
        }
        let mut peer = [0u8; 64];
        let mut cursor = &mut peer[..];
        if let Some(address) = io.peer_address(stream.downstream) {
            let _ = write!(cursor, "{address}");
        }
        let left = cursor.len();
        let mut captured = std::mem::take(&mut self.path_scratch);
        captured.clear();
        let log = stream.log.as_deref();
        if let Some(log) = log {
            captured.extend_from_slice(&log.captured_request);
            captured.extend_from_slice(&log.captured_response);
        }
        let text = |field: fn(&crate::stream::LogText) -> &Vec<u8>| log.map_or(&b""[..], |log| field(log));
        let upstream = stream.attempt.sent.zip(stream.response_started);
        let record = AccessRecord {
            start_micros: stream.started.micros,
            duration_micros: self.now.micros_since(stream.started),
            upstream_micros: upstream.map_or(u64::MAX, |(sent, answered)| answered.micros_since(sent)),
            received_bytes: stream.request_body_bytes,
            sent_bytes: stream.response_body_bytes,
            status: stream.status,
            flags: stream.flags,
            snapshot_version: stream.listener.snapshot.version,
            listener: stream.listener.snapshot_index(),
            route_line: stream.route_line,
            cluster: stream.listener.cluster_index(stream.cluster),
            method: text(|log| &log.method),
            path: text(|log| &log.path),
            protocol: if stream.downstream_stream.is_some() {
                stream.version.as_str().as_bytes()
            } else {
                b""
            },
            authority: text(|log| &log.authority),
            service: text(|log| &log.service),
            version: text(|log| &log.version),
            group: text(|log| &log.group),
            rpc_status: rpc_status(stream),
            rpc_timeout_ms: log.and_then(|log| log.timeout_ms),
            downstream_peer: &peer[..64 - left],
            upstream_host: stream.attempt.host.as_ref().map_or(&b""[..], |host| host.name.as_bytes()),
            details: stream.details.as_str().as_bytes(),
            captured: &captured,
        };
        self.record.clear();
        record.encode(&mut self.record);
        if let Some(sink) = &mut self.access_log
            && !sink.try_write(&self.record)
        {
            self.counters.access_log_dropped.add(1);
        }
        self.path_scratch = captured;
    }
}

/// Counts the end of a request's time with its cluster.
pub(super) fn count_upstream_end(
    stream: &mut Stream,
    cluster: &mut CoreCluster,
    notices: &mut Option<Box<dyn NoticeSink>>,
    counters: &CoreCounters,
    now: Time,
) {
    if std::mem::take(&mut stream.attempt.is_counted) {
        cluster.end_retry();
    }
    let outcome = outcome_of(stream);
    let reached = leave_endpoint(&mut stream.attempt, cluster, outcome, stream.is_tunnel, now);
    if let Some(host) = &stream.attempt.host {
        notify(notices, counters, cluster, host.index, reached);
    }
    cluster.end_request();
    if let Some(sent) = stream.attempt.sent {
        cluster.counters.request_time.record(now.micros_since(sent));
    }
    if stream.response != Progress::Awaited
        && let Some(class) = class_of(stream.status)
    {
        cluster.counters.responses[class].add(1);
    }
}

/// Counts the end of a stream at its listener, and of a call at its method.
pub(super) fn count_end(stream: &Stream, core: &CoreCounters, now: Time) {
    let counters = &stream.listener.counters;
    counters.requests_active.subtract(1);
    let (class, micros) = (class_of(stream.status), now.micros_since(stream.started));
    if let Some(class) = class {
        counters.responses[class].add(1);
    }
    counters.request_time.record(micros);
    counters.process_time.record(process_micros(stream, now));
    if stream.method != MethodPlace::NONE {
        core.calls.end(stream.method, class, micros);
    }
}

/// The status of a call's answer in its protocol's terms; an answer of the proxy's own says what it makes of HTTP's.
fn rpc_status(stream: &Stream) -> Option<i32> {
    match stream.version {
        Version::Rpc(name) if stream.rpc_status.is_none() && stream.status != 0 && !stream.is_one_way => {
            protocol(name).map(|protocol| (protocol.own_status)(stream.status))
        }
        _ => stream.rpc_status,
    }
}

/// The index of a status's class among the counters of classes.
pub(super) fn class_of(status: u16) -> Option<usize> {
    (100..600).contains(&status).then(|| usize::from(status / 100) - 1)
}

/// The part of a request's time that was neither the upstream's nor spent on opening a connection: from the request in
/// to its bytes with the kernel, and from the answer's last byte in to its bytes with the kernel.
fn process_micros(stream: &Stream, now: Time) -> u64 {
    let behind = now.micros_since(stream.response_ended);
    // Nor was what former attempts took, and the wait for this one.
    let opened = stream.attempt.connects > 0 || stream.retry.made > 0;
    let ahead =
        stream.attempt.sent.filter(|_| !opened).map_or(0, |sent| sent.micros_since(stream.request_ended));
    behind + ahead
}
