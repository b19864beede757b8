//! Connections of listeners with `protocol: auto`, until it is known what they speak. What has come by then stays in the slots
//! that it came in, and goes to the codec, or to the TCP cluster, from there.

use crate::io::{Chunk, CloseMode, ConnId, Io, ListenerId};
use crate::net::conn::{Conn, Phase, Role};
use crate::net::listener::{CoreListener, CoreListenerKind, Speaker};
use crate::observe::access_log::ResponseFlags;
use crate::observe::counters::ListenerCounters;
use crate::proxy::drain::Drain;
use crate::worker::{Work, Worker};
use sidering_codecs::detection::{Verdict, judge};
use sidering_codecs::registry::{Protocol, place_of, protocol};
use sidering_codecs::rpc::PoolMode;
use std::rc::Rc;

/// So many first bytes are looked at; who is not sure of them by then is not asked any more.
const DETECTION_BYTES: usize = 256;
/// In so many pieces at most: each of them keeps a receive slot.
const DETECTION_CHUNKS: usize = 16;

impl<I: Io> Worker<I> {
    /// A connection on a listener that detects protocols.
    pub(super) fn begin_detection(&mut self, io: &mut I, id: ConnId, listener: ListenerId) {
        self.conns.insert(Conn::new(id, Role::Detecting { listener }, Phase::Idle, self.now));
        io.receive(id);
        self.arm_deadline(id);
    }

    pub(crate) fn handle_detecting_bytes(&mut self, io: &mut I, id: ConnId, chunk: I::Chunk) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.held.push(chunk);
        if !std::mem::replace(&mut conn.head_started, true) {
            conn.since = self.now;
        }
        self.detect(io, id);
    }

    /// The client sends nothing more, or is gone.
    pub(crate) fn handle_detecting_ended(&mut self, io: &mut I, id: ConnId, clean: bool) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.input_ended = true;
        if clean {
            self.detect(io, id);
        } else {
            self.close_conn(io, id, CloseMode::Graceful);
        }
    }

    /// Looks at what has come: the connection goes on as what it is, or waits for more.
    pub(crate) fn detect(&mut self, io: &mut I, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        let Role::Detecting { listener: listener_id } = conn.role else { return };
        let Some(listener) = self.listener_at(listener_id).cloned() else {
            self.close_conn(io, id, CloseMode::Graceful);
            return;
        };
        match &listener.kind {
            CoreListenerKind::Auto { speakers, .. } => match verdict(conn, speakers) {
                Verdict::Speaks(at) => {
                    count(&listener.counters, speakers[at].protocol_name());
                    self.speak(id, &speakers[at], Speaker::detected(at));
                }
                Verdict::Undecided => self.arm_deadline(id),
                Verdict::Unknown => {
                    listener.counters.connections_unknown.add(1);
                    self.fall_back(io, id, listener, "protocol_not_detected");
                }
            },
            // It has been configured anew since the connection came.
            CoreListenerKind::Http { .. } => self.speak(id, &listener, Speaker::OWN),
            CoreListenerKind::Tcp { .. } => self.fall_back(io, id, listener, ""),
        }
    }

    /// It has taken too long.
    pub(super) fn expire_detection(&mut self, io: &mut I, id: ConnId) {
        let Some(Role::Detecting { listener }) = self.role(id) else { return };
        let Some(listener) = self.listener_at(listener).cloned() else { return };
        listener.counters.detection_timeouts.add(1);
        self.fall_back(io, id, listener, "protocol_detection_timeout");
    }

    fn speak(&mut self, id: ConnId, listener: &CoreListener, speaker: Speaker) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Role::Detecting { listener: listener_id } = conn.role else { return };
        let CoreListenerKind::Http { protocol, .. } = &listener.kind else { return };
        conn.role = Role::Downstream { listener: listener_id };
        conn.speaker = speaker;
        let options = listener.http().map(|http| http.codec).unwrap_or_default();
        let ends = self.drain != Drain::No;
        give_codec(conn, protocol, (protocol.server)(options), ends);
        self.work.push_back(Work::ResumeDownstream(id));
    }

    /// Nobody knows what the connection speaks: its bytes go to the cluster for that, or it is closed.
    fn fall_back(&mut self, io: &mut I, id: ConnId, listener: Rc<CoreListener>, details: &'static str) {
        let cluster = match &listener.kind {
            CoreListenerKind::Tcp { cluster } => Some(*cluster),
            CoreListenerKind::Auto { detection, .. } => detection.fallback,
            CoreListenerKind::Http { .. } => None,
        };
        let key = cluster.and_then(|cluster| listener.cluster_keys.get(cluster.0 as usize)).copied();
        let Some(key) = key else {
            let stream = self.open_stream(id, None);
            self.give_up_stream(io, stream, ResponseFlags::DOWNSTREAM_PROTOCOL_ERROR, details);
            self.close_conn(io, id, CloseMode::Graceful);
            return;
        };
        self.turn_into_tunnel(io, id, listener, key);
    }

    pub(crate) fn listener_at(&self, id: ListenerId) -> Option<&Rc<CoreListener>> {
        self.listeners.get(id.0 as usize)?.listener.as_ref()
    }
}

/// Makes a downstream connection one of the codec's protocol.
pub(super) fn give_codec<C: Chunk>(
    conn: &mut Conn<C>,
    protocol: &Protocol,
    mut codec: Box<dyn sidering_codecs::Codec>,
    ends: bool,
) {
    if ends {
        codec.close_after_current();
        conn.announces_end = true;
    }
    conn.codec = Some(codec);
    conn.calls = (protocol.pool == PoolMode::Multiplex).then(Box::default);
}

fn verdict<C: Chunk>(conn: &Conn<C>, speakers: &[Rc<CoreListener>]) -> Verdict {
    let protocols = || speakers.iter().filter_map(|speaker| protocol(speaker.protocol_name()));
    // Nearly always they come in one piece; else they are put together to be looked at.
    let mut copied = [0; DETECTION_BYTES];
    let first = match &conn.held[..] {
        [] => &[][..],
        [only] => &only[..only.len().min(DETECTION_BYTES)],
        pieces => {
            let bytes = pieces.iter().flat_map(|piece| piece.iter());
            let length = copied.iter_mut().zip(bytes).map(|(to, from)| *to = *from).count();
            &copied[..length]
        }
    };
    let is_all = conn.input_ended || first.len() == DETECTION_BYTES || conn.held.len() >= DETECTION_CHUNKS;
    judge(protocols(), first, is_all)
}

fn count(counters: &ListenerCounters, protocol: &str) {
    if let Some(counter) = place_of(protocol).and_then(|place| counters.connections_detected.get(place)) {
        counter.add(1);
    }
}
