//! Requests and answers on their way through their listener's filters, and requests that wait there.

use super::action::Asking;
use crate::filter::{EndView, Memory, RequestView, ResponseView, StreamFilters, Verdict};
use crate::io::{ConnId, Io};
use crate::net::listener::CoreListener;
use crate::route::Routed;
use crate::stream::{LocalReply, Progress, StreamKey, Upstream};
use crate::worker::{Work, Worker};
use sidering_codecs::{BodyLength, Fields, RequestHead};
use std::cell::Cell;
use std::rc::Rc;

/// Boxes kept for reuse.
const SPARE_FILTERS: usize = 256;

impl<I: Io> Worker<I> {
    /// Leads a request through the filters of the place it is routed to. Tells whether it goes on at once: else it is
    /// answered, or waits.
    pub(super) fn filter_request(
        &mut self,
        io: &mut I,
        key: StreamKey,
        listener: &Rc<CoreListener>,
        found: Option<Routed<'_>>,
        head: &RequestHead<'_>,
    ) -> bool {
        let Some(chain) = listener.chain() else { return true };
        let place = found.map(|found| (found.virtual_host as u32, found.index as u32));
        let row = chain.row(place);
        let filters = chain.filters(row).len();
        if filters == 0 {
            return true;
        }
        let mut state = self.spare_filters.pop().unwrap_or_default();
        state.begin(row, filters, place);
        if let Some(stream) = self.streams.get_mut(key) {
            stream.filters = Some(state);
        }
        self.run_filters(io, key, listener, head, false)
    }

    /// The next filters' turn; with `is_resumed`, the first of them has had it already and asked for a delay.
    fn run_filters(
        &mut self,
        io: &mut I,
        key: StreamKey,
        listener: &Rc<CoreListener>,
        head: &RequestHead<'_>,
        is_resumed: bool,
    ) -> bool {
        let random = self.next_random();
        let Some(chain) = listener.chain() else { return true };
        let Some(stream) = self.streams.get_mut(key) else { return false };
        let Some(mut state) = stream.filters.take() else { return true };
        let wants_peer = chain.wants_peer(state.row);
        let mut lines = self.spare_lines.pop().unwrap_or_default();
        lines.clear();
        let mut view = RequestView {
            head,
            edits: &mut self.edits,
            lines,
            flags: stream.flags,
            peer: wants_peer.then(|| io.peer_address(stream.downstream)).flatten(),
            believes_forwarded_for: listener.http().is_some_and(|http| !http.options.use_remote_address),
            is_forwarded: listener.routed(state.place).is_some_and(|found| found.route.action.forwards()),
            now: self.now,
            random,
            joined: Cell::new(std::mem::take(&mut self.joined_scratch)),
        };
        let mut verdict = Verdict::Continue;
        let mut is_resumed = is_resumed;
        for (at, filter) in chain.filters(state.row).iter().enumerate().skip(state.next) {
            state.reached = state.reached.max(at + 1);
            let mut memory = state.memory(at);
            verdict = if std::mem::take(&mut is_resumed) {
                filter.on_resumed(&mut view, &mut memory)
            } else {
                filter.on_request(&mut view, &mut memory)
            };
            if !matches!(verdict, Verdict::Continue) {
                break;
            }
            state.next = at + 1;
        }
        stream.flags = view.flags;
        self.joined_scratch = view.joined.take();
        let lines = view.lines;
        stream.filters = Some(state);
        self.carry_out(key, head, verdict, lines)
    }

    fn carry_out(
        &mut self,
        key: StreamKey,
        head: &RequestHead<'_>,
        verdict: Verdict,
        lines: Vec<u8>,
    ) -> bool {
        match verdict {
            Verdict::Continue => {
                self.reclaim_lines(lines);
                true
            }
            Verdict::Delay { ms } => {
                self.reclaim_lines(lines);
                self.keep_head(key, head);
                if let Some(stream) = self.streams.get_mut(key) {
                    stream.attempt.upstream = Upstream::Delayed;
                    if let Some(state) = &mut stream.filters {
                        state.resumes_at = Some(self.now.after_ms(ms));
                    }
                }
                false
            }
            Verdict::Reply(reply) => {
                // Too much of it for the answer: then it goes out without.
                let _ = self.capture_for_answer(key, head);
                let text = Some(reply.body.as_bytes().into());
                let own = LocalReply::new(reply.status, reply.flags, reply.details);
                self.reply_locally(key, LocalReply { text, lines, ..own });
                false
            }
        }
    }

    /// A request has waited for as long as a filter wanted.
    pub(super) fn resume_filtered(&mut self, io: &mut I, id: ConnId, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let Some(kept) = stream.head.take() else { return };
        let listener = Rc::clone(&stream.listener);
        stream.attempt.upstream = Upstream::Unrouted;
        // Timeouts and the proxy's own time begin here.
        stream.request_ended = self.now;
        stream.last_activity = self.now;
        let place = stream.filters.as_mut().and_then(|state| {
            state.resumes_at = None;
            state.place
        });
        let mut edits = std::mem::take(&mut self.edits);
        let head = kept.lend(&mut edits);
        self.edits = edits;
        if self.run_filters(io, key, &listener, &head, true) {
            self.act_later(io, &listener, place, key, id, &head);
        }
        self.reclaim_head(kept);
        self.work.push_back(Work::ResumeDownstream(id));
        self.arm_stream(key);
    }

    fn act_later(
        &mut self,
        io: &mut I,
        listener: &CoreListener,
        place: Option<(u32, u32)>,
        key: StreamKey,
        id: ConnId,
        head: &RequestHead<'_>,
    ) {
        let Some(http) = listener.http() else { return };
        // The head was kept as it was to be sent on.
        let asking = Asking {
            key,
            downstream: id,
            head,
            path: head.path,
            options: &http.options,
            uri_bytes: http.codec.uri_bytes as usize,
        };
        let refusal = self.act(io, listener, listener.routed(place), &asking);
        if let Some((status, flags, details)) = refusal {
            self.reply_locally(key, LocalReply::new(status, flags, details));
        }
    }

    /// Leads an answer's head through the filters, the last one first; what they change is in the edits at hand.
    /// `body` is that of an upstream's answer.
    pub(super) fn filter_response(
        &mut self,
        key: StreamKey,
        status: u16,
        fields: Fields<'_>,
        body: BodyLength,
    ) {
        let now = self.now;
        let Some(stream) = self.streams.get_mut(key) else { return };
        let listener = Rc::clone(&stream.listener);
        let (Some(chain), Some(state)) = (listener.chain(), &mut stream.filters) else { return };
        let (has_body, length) = match body {
            BodyLength::None => (false, None),
            BodyLength::Sized(length) => (true, Some(length)),
            BodyLength::Streamed => (true, None),
        };
        let edits = &mut self.edits;
        let mut view = ResponseView { status, fields, has_body, length, edits, now };
        for (at, filter) in chain.filters(state.row).iter().enumerate().rev() {
            filter.on_response(&mut view, &mut state.memory(at));
            if let Some(stage) = filter.transform(&mut view, &mut state.memory(at)) {
                state.body.add(stage);
            }
        }
        stream.is_transformed = !state.body.is_empty();
    }

    /// Tells the filters that have seen the request that it is over.
    pub(super) fn end_filters(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let Some(mut state) = stream.filters.take() else { return };
        if let Some(chain) = stream.listener.chain() {
            let end = EndView {
                status: stream.status,
                is_complete: stream.response == Progress::Ended,
                started: stream.started,
                now: self.now,
            };
            for (at, filter) in chain.filters(state.row).iter().enumerate().take(state.reached) {
                let mut memory: Memory<'_> = state.memory(at);
                filter.on_end(&end, &mut memory);
            }
        }
        state.body.clear();
        self.reclaim_filters(state);
    }

    fn reclaim_filters(&mut self, state: Box<StreamFilters>) {
        if self.spare_filters.len() < SPARE_FILTERS {
            self.spare_filters.push(state);
        }
    }
}
