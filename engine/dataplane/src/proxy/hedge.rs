//! Hedged requests (Envoy's `hedge_on_per_try_timeout`): an attempt that is not answered in time goes on beside the next one, and
//! the first answer that is no reason for another retry is the client's. The others are closed then. Each attempt is followed by
//! one other at most, so that only the one begun last may lead to a retry: that is `attempts.rs`'s.

use super::pick::Refusal;
use crate::cluster::Outcome;
use crate::io::{CloseMode, ConnId, Io};
use crate::proxy::attempts::Verdict;
use crate::stream::{Attempt, StreamKey, Upstream};
use crate::worker::Worker;

impl<I: Io> Worker<I> {
    /// Whether an attempt that takes too long goes on. What can not be sent again is given up instead.
    pub(super) fn may_hedge(&self, key: StreamKey) -> bool {
        self.streams.get(key).is_some_and(|stream| stream.retry.hedges && stream.retry.is_on())
    }

    /// The attempt under way takes too long: the next one begins beside it, after its back-off, if there may be one.
    pub(super) fn hedge(&mut self, key: StreamKey) {
        self.record_overdue(key);
        let Some(stream) = self.streams.get_mut(key) else { return };
        let downstream = stream.downstream;
        let next = Attempt { host: stream.attempt.host.clone(), ..Attempt::default() };
        let overdue = std::mem::replace(&mut stream.attempt, next);
        stream.hedged.push(overdue);
        let verdict = self.decide(key, true, true);
        self.note_verdict(key, verdict);
        let Some(stream) = self.streams.get_mut(key) else { return };
        if verdict == Verdict::Again {
            stream.attempt.upstream = Upstream::BackingOff;
        } else if let Some(alone) = stream.hedged.pop() {
            stream.attempt = alone;
        }
        self.arm_deadline(downstream);
    }

    /// The answer that has begun on this connection is the client's: nobody waits for another one.
    pub(super) fn settle_on(&mut self, io: &mut I, key: StreamKey, id: ConnId) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        if stream.hedged.is_empty() {
            return;
        }
        if let Some(at) = stream.hedge_on(id) {
            std::mem::swap(&mut stream.attempt, &mut stream.hedged[at]);
            // What the client sent ahead may have waited for the other one's connection.
            self.resume_after_attach(key);
        }
        self.drop_hedges(io, key, Outcome::Abandoned);
    }

    /// All attempts but the one begun last are given up.
    pub(super) fn drop_hedges(&mut self, io: &mut I, key: StreamKey, outcome: Outcome) {
        while let Some(attempt) = self.streams.get_mut(key).and_then(|stream| stream.hedged.pop()) {
            self.end_hedge(io, key, attempt, outcome);
        }
    }

    /// An attempt that was followed by another one has come to nothing, and there is that other one. `false`: it is not on this
    /// connection. With `keep`, the connection may serve others.
    pub(super) fn drop_hedge(
        &mut self,
        io: &mut I,
        key: StreamKey,
        id: ConnId,
        outcome: Outcome,
        keep: bool,
    ) -> bool {
        let Some(stream) = self.streams.get_mut(key) else { return false };
        let Some(at) = stream.hedge_on(id) else { return false };
        let mut attempt = stream.hedged.swap_remove(at);
        attempt.upstream = Upstream::Released;
        let has_body = stream.request_has_body;
        self.keep_or_close(io, id, has_body, keep);
        self.end_hedge(io, key, attempt, outcome);
        true
    }

    /// The attempt begun last has come to nothing, and is not followed: if others are under way, one of them takes its place, and
    /// they change parts. All of those have been followed, so no policy has anything sent again from here on.
    pub(super) fn change_parts(&mut self, key: StreamKey) -> bool {
        let Some(stream) = self.streams.get_mut(key) else { return false };
        let Some(other) = stream.hedged.last_mut() else { return false };
        std::mem::swap(&mut stream.attempt, other);
        let downstream = stream.downstream;
        // A head that is all of the request is kept: the connection left may be a pooled one that was closed before it came.
        if stream.request_has_body
            && let Some(head) = stream.head.take()
        {
            self.reclaim_head(head);
        }
        self.make_final(key);
        self.resume_after_attach(key);
        self.arm_deadline(downstream);
        true
    }

    /// The attempt begun last has come to nothing, and is not followed: the client hears of it unless others are under way.
    pub(super) fn fail_attempt(&mut self, io: &mut I, key: StreamKey, refusal: Refusal, outcome: Outcome) {
        if self.change_parts(key) {
            if let Some(attempt) = self.streams.get_mut(key).and_then(|stream| stream.hedged.pop()) {
                self.end_hedge(io, key, attempt, outcome);
            }
        } else {
            let (status, flags, details) = refusal;
            self.fail_stream(key, status, flags, details);
        }
    }

    fn end_hedge(&mut self, io: &mut I, key: StreamKey, mut attempt: Attempt, outcome: Outcome) {
        let Some(stream) = self.streams.get(key) else { return };
        let cluster = stream.cluster;
        self.leave_upstream(io, key, cluster, attempt.upstream, CloseMode::Reset);
        self.record_hedge_end(cluster, &mut attempt, outcome);
    }
}
