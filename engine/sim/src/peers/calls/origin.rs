//! A model server of calls: reads them, checks that each is a whole call of one client, and answers as the ledger says, each in
//! its own time.

use super::frame::{Frame, FrameKind, Wire};
use super::{call_of, check_payload, payload_of, tag_of};
use crate::bytes::{ByteQueue, Purpose};
use crate::coverage::Situation;
use crate::engine::link::End;
use crate::journal::Who;
use crate::peers::Peer;
use crate::peers::exchange::{Fate, Kind};
use crate::stage::Stage;
use std::collections::VecDeque;

/// A heartbeat is answered within this time where nothing goes wrong.
const PATIENCE_MICROS: u64 = 1_500_000;
/// No heartbeat is longer.
const HEARTBEAT_BYTES: usize = 64;
/// What was queued before is with a server that reads at once after so long, over the slowest link.
const QUEUE_MICROS: u64 = 20_000_000;
/// A piece of an answer that trickles.
const TRICKLE_BYTES: usize = 400;

/// A call under way.
#[derive(Clone, Copy, Debug)]
struct Served {
    id: u64,
    tag: u32,
    dialect: u8,
    /// When it is answered; never, if nobody will.
    due: u64,
}

/// One connection.
pub(super) struct Origin {
    wire: &'static dyn Wire,
    link: u32,
    incoming: Vec<u8>,
    calls: Vec<Served>,
    out: ByteQueue,
    /// Bytes ever queued.
    queued: u64,
    /// It reads so many bytes at a time, and then rests this long.
    sips: Option<(usize, u64)>,
    reads_at: u64,
    /// What is written trickles, so that a timeout may come first.
    trickles: bool,
    writes_at: u64,
    /// It ends when everything is written: by a reset, or in order.
    ends: Option<bool>,
    /// Heartbeats that are not answered, and since when.
    pings: VecDeque<(u64, u64)>,
    ids: u64,
    /// Behind which of its bytes it takes no more calls, and when the proxy had read that.
    went_away: Option<(u64, Option<u64>)>,
    /// It answers no heartbeats.
    is_deaf: bool,
    /// It closes when it has been idle until then.
    closes_at: Option<u64>,
    was_used: bool,
    is_rude: bool,
    is_done: bool,
}

/// See [`super::super::Model::origin`].
pub(super) fn origin(wire: &'static dyn Wire, link: u32, stage: &mut Stage<'_>) -> Box<dyn Peer> {
    let faults = stage.plan.origin_faults;
    let choices = stage.choices();
    let sips = choices.one_in(8).then(|| (choices.between(1000, 20_000), choices.below(5000) as u64));
    let ids = if choices.chance(50) { 0 } else { choices.below(1 << 20) as u64 };
    Box::new(Origin {
        wire,
        link,
        incoming: vec![],
        calls: vec![],
        out: ByteQueue::default(),
        queued: 0,
        sips,
        reads_at: 0,
        trickles: false,
        writes_at: 0,
        ends: None,
        pings: VecDeque::new(),
        ids,
        went_away: None,
        is_deaf: choices.one_in(faults * 2),
        closes_at: None,
        was_used: false,
        is_rude: false,
        is_done: false,
    })
}

impl Peer for Origin {
    fn wake(&mut self, stage: &mut Stage<'_>) {
        if self.is_done {
            return;
        }
        self.note_away(stage);
        self.read(stage);
        if self.is_done {
            return;
        }
        self.answer_due(stage);
        self.write(stage);
        if self.is_done {
            return;
        }
        self.rest(stage);
        if let Some(end) = stage.end(self.link) {
            self.handle_end(stage, end);
        }
    }

    fn finish(&mut self, stage: &mut Stage<'_>) {
        self.wake(stage);
    }
}

impl Origin {
    fn handle_end(&mut self, stage: &mut Stage<'_>, end: End) {
        stage.mark(Who::Origin, "sees the end", self.link, u64::from(end.is_fin()));
        let now = stage.now();
        let late = self.pings.iter().find(|(_, since)| now - since > PATIENCE_MICROS);
        let is_clear = stage.plan.is_calm && end.is_fin();
        assert!(
            late.is_none() || !is_clear || self.sips.is_some(),
            "a heartbeat of server {} was never answered",
            self.link
        );
        // A heartbeat may be cut when its connection is not kept any more.
        let is_cut = self.incoming.len() > HEARTBEAT_BYTES;
        assert!(!is_cut || !is_clear, "a call to server {} was cut", self.link);
        // What the server says when the connection is not kept any more resets it, and with it what nobody answers.
        if !end.is_fin()
            && let Some((cluster, _)) = stage.engine.links[self.link as usize].cluster
        {
            stage.ledger.reset_clusters.push(cluster);
        }
        self.is_done = true;
        stage.close(self.link);
    }

    fn read(&mut self, stage: &mut Stage<'_>) {
        let now = stage.now();
        if self.reads_at > now {
            return stage.wake_in(self.link, self.reads_at - now);
        }
        let bytes = stage.incoming(self.link);
        let most = self.sips.map_or(usize::MAX, |(bytes, _)| bytes);
        let taken = bytes.len().min(most);
        self.incoming.extend_from_slice(&bytes[..taken]);
        stage.consume(self.link, taken);
        if let Some((_, micros)) = self.sips
            && taken > 0
        {
            self.reads_at = now + micros;
            stage.wake_in(self.link, micros);
        }
        let mut at = 0;
        while !self.is_done
            && let Some((frame, length)) = self.wire.read(&self.incoming[at..])
        {
            at += length;
            self.handle(stage, &frame);
        }
        self.incoming.drain(..at);
    }

    fn handle(&mut self, stage: &mut Stage<'_>, frame: &Frame) {
        match frame.kind {
            FrameKind::Call | FrameKind::OneWay => self.begin(stage, frame),
            FrameKind::Ping => {
                stage.meet(Situation::ProxyHeartbeat);
                if !self.is_deaf {
                    self.push(&Frame { payload: vec![], ..pong(self.wire, frame) });
                }
            }
            FrameKind::Pong | FrameKind::Answer => {
                let at = self.pings.iter().position(|(id, _)| *id == frame.id);
                let is_known = at.and_then(|at| self.pings.remove(at)).is_some();
                assert!(is_known, "server {} is answered {:#x}, which it did not ask", self.link, frame.id);
                stage.meet(Situation::HeartbeatAnswered);
            }
            FrameKind::GoAway => panic!("server {} is told that its client goes away", self.link),
        }
    }

    /// A call is there.
    fn begin(&mut self, stage: &mut Stage<'_>, frame: &Frame) {
        let Some(tag) = tag_of(&frame.payload) else { panic!("a call without a tag: {frame:?}") };
        let exchange = stage.ledger.get(tag).exchange.clone();
        stage.mark(Who::Origin, "sees call", self.link, u64::from(tag));
        check_payload(tag, Purpose::Request, exchange.body, &frame.payload);
        let mut sent = call_of(tag, frame.id, &exchange);
        sent.payload.clone_from(&frame.payload);
        if self.wire.traits().name == "tars" {
            sent.dialect = 0;
        }
        if sent != self.without_what_has_no_place(frame, &sent) {
            panic!("call {tag} is {frame:?}, and was sent as {sent:?}");
        }
        let traits = self.wire.traits();
        let others = &self.calls;
        if traits.has_ids {
            let is_new = others.iter().all(|other| other.id != frame.id);
            assert!(is_new, "call {tag} has the id of another one under way: {others:?}");
        } else {
            assert!(others.is_empty(), "call {tag} came behind one that is not answered: {others:?}");
        }
        if let Some((_, Some(read_at))) = self.went_away {
            let is_late = stage.now() - read_at > QUEUE_MICROS && self.sips.is_none();
            let is_large = frame.payload.len() > 4000;
            assert!(
                !is_late || is_large,
                "call {tag} came long after server {} had said that it takes none",
                self.link
            );
        }
        stage.sight(tag, self.link);
        let now = stage.now();
        stage.ledger.get_mut(tag).seen_whole_at.get_or_insert(now);
        self.was_used = true;
        self.closes_at = None;
        self.serve(stage, tag, frame);
    }

    /// What the protocol cannot say is as it was sent.
    fn without_what_has_no_place(&self, frame: &Frame, sent: &Frame) -> Frame {
        let mut frame = frame.clone();
        let name = self.wire.traits().name;
        let has_timeout = matches!(name, "bolt" | "tars");
        // One that has waited says what is left.
        let is_counted_down = (1..sent.timeout_ms).contains(&frame.timeout_ms);
        if !has_timeout || is_counted_down {
            frame.timeout_ms = sent.timeout_ms;
        }
        let has_fields = name != "dubbo_thrift" && (name != "thrift" || sent.dialect == 2);
        if !has_fields {
            frame.pad = sent.pad;
        }
        frame
    }

    /// Decides what becomes of a call.
    fn serve(&mut self, stage: &mut Stage<'_>, tag: u32, frame: &Frame) {
        let exchange = stage.ledger.get(tag).exchange.clone();
        let traits = self.wire.traits();
        let mut due = stage.now() + exchange.think_micros;
        match exchange.fate {
            Fate::Silent => {
                stage.meet(Situation::OriginSilent);
                due = u64::MAX;
            }
            Fate::Aborts(by_end) => {
                stage.meet(Situation::OriginTires);
                self.is_done = true;
                return if by_end { stage.close(self.link) } else { stage.reset(self.link) };
            }
            _ => {}
        }
        if exchange.kind == Kind::OneWay {
            if traits.has_ids && stage.choices().one_in(8) {
                // Some answer what nobody waits for.
                self.push(&self.stray(tag, frame.id, frame.dialect));
                stage.meet(Situation::StrayAnswer);
            }
            return;
        }
        self.calls.push(Served { id: frame.id, tag, dialect: exchange.dialect, due });
        if traits.has_pings && stage.choices().one_in(10) {
            let count = if stage.plan.is_calm || !stage.choices().one_in(10) { 2 } else { 4000 };
            self.ping(stage, count, exchange.dialect);
        }
        if traits.has_go_away && self.went_away.is_none() && stage.choices().one_in(25) {
            self.ids += 1;
            self.push(&Frame::new(FrameKind::GoAway, exchange.dialect.min(1), self.ids));
            self.went_away = Some((self.queued, None));
            stage.meet(Situation::OriginWentAway);
        }
    }

    /// An answer that nobody waits for.
    fn stray(&self, tag: u32, id: u64, dialect: u8) -> Frame {
        Frame {
            status: self.wire.status_of(200),
            method: format!("m{tag}"),
            payload: b"nobody waits for this".to_vec(),
            ..Frame::new(FrameKind::Answer, dialect, id)
        }
    }

    fn ping(&mut self, stage: &mut Stage<'_>, count: usize, dialect: u8) {
        if count > 1000 {
            stage.meet(Situation::HeartbeatFlood);
        }
        let now = stage.now();
        for _ in 0..count {
            self.ids += 1;
            self.pings.push_back((self.ids, now));
            self.push(&Frame::new(FrameKind::Ping, dialect.min(1), self.ids));
        }
    }

    /// The proxy has read that no calls are taken any more.
    fn note_away(&mut self, stage: &Stage<'_>) {
        if let Some((behind, read_at)) = &mut self.went_away
            && read_at.is_none()
            && stage.taken_by_proxy(self.link) >= *behind
        {
            *read_at = Some(stage.now());
        }
    }

    fn answer_due(&mut self, stage: &mut Stage<'_>) {
        let now = stage.now();
        while self.ends.is_none()
            && let Some(at) = self.calls.iter().position(|served| served.due <= now)
        {
            let served = self.calls.remove(at);
            self.answer(stage, served);
        }
    }

    fn answer(&mut self, stage: &mut Stage<'_>, served: Served) {
        let Served { id, tag, dialect, .. } = served;
        let exchange = stage.ledger.get(tag).exchange.clone();
        stage.mark(Who::Origin, "answers call", self.link, u64::from(tag));
        let answer = Frame {
            status: self.wire.status_of(exchange.status),
            service: if self.wire.traits().has_ids {
                String::new()
            } else {
                format!("c{}", exchange.cluster)
            },
            method: format!("m{tag}"),
            payload: payload_of(tag, Purpose::Answer, exchange.answer),
            ..Frame::new(FrameKind::Answer, dialect, id)
        };
        let mut bytes = vec![];
        self.wire.write(&answer, &mut bytes);
        if bytes.len() > 65_536 {
            stage.meet(Situation::LargeFrame);
        }
        let share = |share: u8| bytes.len() * usize::from(share) / 101;
        match exchange.fate {
            Fate::CutByEnd(part) | Fate::CutByReset(part) => {
                let by_reset = matches!(exchange.fate, Fate::CutByReset(_));
                self.push_bytes(&bytes[..share(part)]);
                self.ends = Some(by_reset);
                stage.meet(Situation::OriginCutsAnswer);
            }
            Fate::Malformed(number) => {
                let garbage = self.wire.garbage(number);
                self.push_bytes(&garbage);
                self.is_rude = true;
                stage.meet(Situation::MalformedAnswer);
            }
            Fate::Unasked if self.wire.traits().has_ids => {
                // Once more, and one that was never asked for.
                self.push_bytes(&bytes);
                self.push_bytes(&bytes);
                self.push(&self.stray(tag, id ^ 0x40_0000, dialect));
                stage.meet(Situation::StrayAnswer);
            }
            fate => {
                self.trickles |= fate == Fate::Trickles;
                self.push_bytes(&bytes);
            }
        }
    }

    fn push(&mut self, frame: &Frame) {
        let mut bytes = vec![];
        self.wire.write(frame, &mut bytes);
        self.push_bytes(&bytes);
    }

    fn push_bytes(&mut self, bytes: &[u8]) {
        // Behind a cut nothing follows but the end.
        if self.ends.is_some() {
            return;
        }
        self.out.push(bytes);
        self.queued += bytes.len() as u64;
    }

    fn write(&mut self, stage: &mut Stage<'_>) {
        let now = stage.now();
        if self.writes_at > now {
            return stage.wake_in(self.link, self.writes_at - now);
        }
        let most = if self.trickles { TRICKLE_BYTES.max(self.queued as usize / 50) } else { usize::MAX };
        let most = self.out.len().min(most);
        let written = stage.write(self.link, &self.out.peek()[..most]);
        self.out.consume(written);
        if self.trickles && written > 0 {
            let micros = stage.choices().below(400_000) as u64;
            self.writes_at = now + micros;
            stage.wake_in(self.link, micros);
        }
        if self.out.is_empty()
            && let Some(by_reset) = self.ends
        {
            self.is_done = true;
            if by_reset {
                stage.reset(self.link);
            } else {
                stage.close(self.link);
            }
        }
    }

    /// Whether the proxy has taken everything that was written.
    fn is_heard(&self, stage: &Stage<'_>) -> bool {
        stage.taken_by_proxy(self.link) == self.queued
    }

    /// Waits for what is due next; an idle one may close.
    fn rest(&mut self, stage: &mut Stage<'_>) {
        if self.ends.is_some() {
            return;
        }
        let now = stage.now();
        let next = self.calls.iter().map(|served| served.due).min().filter(|due| *due < u64::MAX);
        if let Some(due) = next {
            return stage.wake_in(self.link, due.saturating_sub(now));
        }
        let is_idle =
            self.calls.is_empty() && self.out.is_empty() && self.incoming.is_empty() && self.was_used;
        if !is_idle {
            return;
        }
        match self.closes_at {
            None => {
                let rarity = stage.plan.stale;
                let closes = stage.choices().one_in(rarity);
                let micros = stage.choices().below(30_000) as u64;
                self.closes_at = Some(if closes { now + micros } else { u64::MAX });
                if closes {
                    stage.wake_in(self.link, micros);
                }
            }
            // A reset would take answers with it that are still on their way.
            Some(at) if at <= now && stage.incoming(self.link).is_empty() && self.is_heard(stage) => {
                stage.meet(Situation::OriginClosesIdle);
                self.is_done = true;
                stage.close(self.link);
            }
            Some(_) => {}
        }
    }
}

/// What answers a heartbeat: in Tars, an answer.
fn pong(wire: &dyn Wire, ping: &Frame) -> Frame {
    let status = if wire.traits().name == "tars" { wire.status_of(200) } else { 0 };
    Frame { status, ..Frame::new(FrameKind::Pong, ping.dialect, ping.id) }
}
