//! A model client of calls: writes many of them ahead, takes their answers in whatever order they come, and minds its manners.

use super::frame::{Frame, FrameKind, Wire};
use super::habits::Habits;
use super::{call_of, check_payload, tag_of};
use crate::bytes::{ByteQueue, Purpose};
use crate::coverage::Situation;
use crate::engine::link::End;
use crate::journal::Who;
use crate::ledger::Outcome;
use crate::peers::Peer;
use crate::peers::exchange::Kind;
use crate::peers::manners::Manners;
use crate::stage::Stage;
use std::collections::VecDeque;

/// A call that waits for its answer.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    id: u64,
    tag: u32,
}

/// One connection with its script.
pub(super) struct Client {
    wire: &'static dyn Wire,
    link: u32,
    script: Vec<u32>,
    /// Calls written, at least in part.
    asked: usize,
    waiting: Vec<Waiting>,
    /// Answers of the proxy's own to ids that several calls have: whose they are shows when the others are answered.
    unclear: Vec<(u64, i32)>,
    /// Heartbeats that are not answered.
    pings: VecDeque<u64>,
    incoming: Vec<u8>,
    out: ByteQueue,
    /// Where in what is written each call ends, by its tag.
    marks: VecDeque<(u64, u32)>,
    queued: u64,
    written: u64,
    read: u64,
    ids: u64,
    answered: usize,
    manners: Manners,
    habits: Habits,
    writes_at: u64,
    reads_at: u64,
    asks_at: u64,
    heard_at: u64,
    no_more: bool,
    /// It has written what is no frame.
    is_rude: bool,
    has_ended: bool,
    is_done: bool,
}

/// See [`super::super::Model::client`].
pub(super) fn client(
    wire: &'static dyn Wire,
    link: u32,
    tags: Vec<u32>,
    stage: &mut Stage<'_>,
) -> Box<dyn Peer> {
    let traits = wire.traits();
    let choices = &mut stage.engine.choices;
    let manners = Manners::new(stage.plan, choices);
    let habits = Habits::new(traits, stage.plan, choices);
    let ids = if choices.chance(70) { 0 } else { u64::MAX - choices.below(60) as u64 };
    let reads_late = manners.sips.is_some() || manners.stops_reading.is_some();
    stage.engine.links[link as usize].reads_at_once = !reads_late;
    for tag in &tags {
        stage.ledger.get_mut(*tag).client = link;
    }
    for (is_so, situation) in [
        (manners.dribble.is_some(), Situation::ClientDribbles),
        (manners.is_silent, Situation::ClientSilent),
        (habits.depth > 1 && tags.len() > 1, Situation::CallsAhead),
    ] {
        if is_so {
            stage.meet(situation);
        }
    }
    Box::new(Client {
        wire,
        link,
        script: tags,
        asked: 0,
        waiting: vec![],
        unclear: vec![],
        pings: VecDeque::new(),
        incoming: vec![],
        out: ByteQueue::default(),
        marks: VecDeque::new(),
        queued: 0,
        written: 0,
        read: 0,
        ids,
        answered: 0,
        manners,
        habits,
        writes_at: 0,
        reads_at: 0,
        asks_at: 0,
        heard_at: 0,
        no_more: false,
        is_rude: false,
        has_ended: false,
        is_done: false,
    })
}

impl Peer for Client {
    fn wake(&mut self, stage: &mut Stage<'_>) {
        if self.is_done {
            return;
        }
        if self.manners.is_silent {
            if stage.end(self.link).is_some() {
                stage.meet(Situation::IdleTimeout);
                self.leave(stage, Outcome::GivenUp);
            }
            return;
        }
        let must_abort = self
            .manners
            .aborts
            .is_some_and(|abort| self.written >= abort.written || self.read >= abort.read && self.asked > 0);
        if must_abort {
            let by_end = self.manners.aborts.is_some_and(|abort| abort.by_end);
            stage.mark(Who::Client, "gives up", self.link, self.written);
            self.leave(stage, Outcome::GivenUp);
            if !by_end {
                stage.reset(self.link);
            }
            return;
        }
        self.take(stage);
        if !self.is_done {
            self.ask(stage);
        }
        if !self.is_done {
            self.write(stage);
        }
        if !self.is_done {
            self.consider_leaving(stage);
        }
    }

    fn finish(&mut self, stage: &mut Stage<'_>) {
        if !self.is_done {
            self.reads_at = 0;
            self.wake(stage);
        }
        if !self.is_done && self.manners.is_silent {
            self.leave(stage, Outcome::GivenUp);
        }
        let (waiting, pings) = (&self.waiting, self.pings.len());
        assert!(self.is_done, "a client was neither served nor sent away: {waiting:?}, {pings} heartbeats");
    }
}

impl Client {
    /// Closes, and accounts for what is left of the script.
    fn leave(&mut self, stage: &mut Stage<'_>, outcome: Outcome) {
        self.is_done = true;
        for at in 0..self.script.len() {
            if stage.ledger.get(self.script[at]).outcome.is_none() {
                stage.conclude(self.script[at], outcome);
            }
        }
        stage.close(self.link);
    }

    /// Reads what its manners allow.
    fn take(&mut self, stage: &mut Stage<'_>) {
        if self.manners.stops_reading.is_some_and(|bytes| self.read >= bytes) {
            stage.meet(Situation::ClientStopsReading);
            stage.mark(Who::Client, "stops to read", self.link, self.read);
            self.is_done = true;
            for at in 0..self.script.len() {
                if stage.ledger.get(self.script[at]).outcome.is_none() {
                    stage.conclude(self.script[at], Outcome::GivenUp);
                }
            }
            return;
        }
        let now = stage.now();
        if self.reads_at > now {
            return stage.wake_in(self.link, self.reads_at - now);
        }
        let bytes = stage.incoming(self.link);
        // A large answer is not read by the byte: that would take for ever.
        let least = 2000.max(self.read as usize / 20);
        let most = self.manners.sips.map_or(usize::MAX, |(bytes, _)| bytes.max(least));
        let taken = bytes.len().min(most);
        self.incoming.extend_from_slice(&bytes[..taken]);
        stage.consume(self.link, taken);
        self.read += taken as u64;
        if let Some((_, micros)) = self.manners.sips
            && taken > 0
        {
            self.reads_at = now + micros;
            stage.wake_in(self.link, micros);
        }
        let mut at = 0;
        while let Some((frame, length)) = self.wire.read(&self.incoming[at..]) {
            at += length;
            self.handle(stage, &frame);
        }
        self.incoming.drain(..at);
        if let Some(end) = stage.end(self.link) {
            self.handle_end(stage, end);
        }
    }

    fn handle(&mut self, stage: &mut Stage<'_>, frame: &Frame) {
        self.heard_at = stage.now();
        match frame.kind {
            FrameKind::Answer | FrameKind::Pong if self.is_pong(frame) => {
                stage.meet(Situation::HeartbeatAnswered);
            }
            FrameKind::Answer => self.handle_answer(stage, frame),
            FrameKind::GoAway => {
                let is_due = stage.plan.swaps() || !stage.plan.is_calm || self.may_be_idle_end(stage);
                assert!(is_due, "client {} is told that the proxy goes away", self.link);
                stage.meet(Situation::GoAwayHeard);
                self.no_more = true;
            }
            other => panic!("client {} is sent a frame that is {other:?}", self.link),
        }
    }

    /// Whether it answers a heartbeat, which then waits no more.
    fn is_pong(&mut self, frame: &Frame) -> bool {
        let at = self.pings.iter().position(|id| *id == frame.id && frame.payload.is_empty());
        at.and_then(|at| self.pings.remove(at)).is_some()
    }

    fn handle_answer(&mut self, stage: &mut Stage<'_>, frame: &Frame) {
        let has_ids = self.wire.traits().has_ids;
        let of_id = |waiting: &Waiting| waiting.id == frame.id;
        if !has_ids {
            let first = self.waiting.first();
            assert!(first.is_some_and(of_id), "client {} is answered out of turn: {first:?}", self.link);
        }
        let Some(tag) = tag_of(&frame.payload) else { return self.handle_refusal(stage, frame) };
        let at = self.waiting.iter().position(|waiting| of_id(waiting) && waiting.tag == tag);
        let Some(at) = at else {
            panic!(
                "client {} is told the answer to {tag} under the id {:#x}: {:?}",
                self.link, frame.id, self.waiting
            )
        };
        if at > 0 {
            stage.meet(Situation::OutOfOrder);
        }
        let exchange = &stage.ledger.get(tag).exchange;
        check_payload(tag, Purpose::Answer, exchange.answer, &frame.payload);
        let status = self.wire.status_of(exchange.status);
        assert_eq!(frame.status, status, "the status of the answer to call {tag}");
        if self.wire.traits().name != "tars" {
            assert_eq!(frame.dialect, exchange.dialect, "the dialect of the answer to call {tag}");
        }
        let outcome = Outcome::Answered(exchange.status);
        self.conclude(stage, at, outcome);
        self.settle(stage, frame.id);
    }

    /// The proxy answers by itself.
    fn handle_refusal(&mut self, stage: &mut Stage<'_>, frame: &Frame) {
        let count = self.waiting.iter().filter(|waiting| waiting.id == frame.id).count();
        let known = self.unclear.iter().filter(|(id, _)| *id == frame.id).count();
        let link = self.link;
        assert!(
            count > known,
            "client {link} is refused {:#x}, which it did not ask: {:?}",
            frame.id,
            self.waiting
        );
        self.unclear.push((frame.id, frame.status));
        self.settle(stage, frame.id);
    }

    /// Once as many calls of an id are left as were refused, it is clear which.
    fn settle(&mut self, stage: &mut Stage<'_>, id: u64) {
        let left = self.waiting.iter().filter(|waiting| waiting.id == id).count();
        if left != self.unclear.iter().filter(|(of, _)| *of == id).count() {
            return;
        }
        while let Some(at) = self.unclear.iter().position(|(of, _)| *of == id) {
            let (_, status) = self.unclear.remove(at);
            let Some(at) = self.waiting.iter().position(|waiting| waiting.id == id) else { return };
            // Which of several is one of them cannot be told.
            let outcome = if left > 1 { Outcome::RefusedOneOf } else { Outcome::Refused(status) };
            self.conclude(stage, at, outcome);
        }
    }

    fn conclude(&mut self, stage: &mut Stage<'_>, at: usize, outcome: Outcome) {
        let Waiting { tag, .. } = self.waiting.remove(at);
        stage.mark(Who::Client, "is answered", self.link, u64::from(tag));
        stage.ledger.get_mut(tag).answer_begun = true;
        stage.conclude(tag, outcome);
        self.answered += 1;
        self.asks_at = stage.now() + self.manners.rest_micros;
    }

    fn may_be_idle_end(&self, stage: &Stage<'_>) -> bool {
        stage.now().saturating_sub(self.heard_at) >= stage.plan.calm_idle_micros()
    }

    /// What came of a call that has no answer of its own when the connection ends. Of those with one id as many were refused as it
    /// was refused, and which will not become clear: the first that is asked about is taken for one of them.
    fn outcome_without_answer(&mut self, tag: u32, is_cut: bool) -> Outcome {
        let id = self.waiting.iter().find(|waiting| waiting.tag == tag).map(|waiting| waiting.id);
        let refusal = self.unclear.iter().position(|(of, _)| Some(*of) == id);
        match (refusal, is_cut) {
            (_, true) => Outcome::Cut,
            (Some(at), false) => {
                self.unclear.remove(at);
                Outcome::RefusedOneOf
            }
            (None, false) => Outcome::Unanswered,
        }
    }

    /// The proxy ended its side, and everything before was read.
    fn handle_end(&mut self, stage: &mut Stage<'_>, end: End) {
        let may_end = self.no_more || self.has_ended || stage.plan.swaps() || !stage.plan.is_calm;
        let may_end = may_end || self.may_be_idle_end(stage);
        assert!(may_end, "the proxy ended client {}'s connection without a word", self.link);
        stage.mark(Who::Client, "sees the end", self.link, u64::from(end.is_fin()));
        let is_cut = !self.incoming.is_empty();
        if is_cut {
            stage.meet(Situation::FrameCut);
        }
        for at in 0..self.asked {
            let tag = self.script[at];
            if stage.ledger.get(tag).outcome.is_none() {
                let outcome = self.outcome_without_answer(tag, is_cut);
                stage.conclude(tag, outcome);
                stage.ledger.get_mut(tag).may_go_unanswered = self.no_more;
            }
        }
        // One that was turned away before it was served does not come back, unless everybody is to be served.
        if self.answered > 0 || stage.plan.is_calm {
            self.keep_rest(stage);
        }
        self.leave(stage, Outcome::Unanswered);
    }

    /// What was not asked is asked on another connection.
    fn keep_rest(&mut self, stage: &mut Stage<'_>) {
        let rest = self.script.split_off(self.asked);
        if !rest.is_empty() {
            stage.left_over.push(rest);
        }
    }

    /// Asks what its manners allow.
    fn ask(&mut self, stage: &mut Stage<'_>) {
        let now = stage.now();
        while self.asked < self.script.len() && self.waiting.len() < self.habits.depth && !self.no_more {
            if self.asks_at > now {
                return stage.wake_in(self.link, self.asks_at - now);
            }
            if let Some((_, number)) = self.habits.garbage.filter(|(behind, _)| *behind <= self.asked) {
                let garbage = self.wire.garbage(number);
                self.push(&garbage);
                (self.is_rude, self.no_more) = (true, true);
                stage.meet(Situation::MalformedFrame);
                return;
            }
            self.ask_next(stage);
        }
    }

    fn ask_next(&mut self, stage: &mut Stage<'_>) {
        let tag = self.script[self.asked];
        let exchange = stage.ledger.get(tag).exchange.clone();
        let (rarity, count) = self.habits.pings;
        if stage.choices().one_in(rarity) {
            self.ping(stage, count, exchange.dialect);
        }
        let id = self.next_id(stage);
        let what = if exchange.kind == Kind::OneWay { "asks one way" } else { "asks call" };
        stage.mark(Who::Client, what, self.link, u64::from(tag));
        stage.mark(Who::Client, "gives it the id", self.link, id);
        let request = stage.ledger.get_mut(tag);
        request.begun_at = Some(stage.engine.now);
        request.is_first = self.asked == 0;
        let mut bytes = vec![];
        self.wire.write(&call_of(tag, id, &exchange), &mut bytes);
        self.push(&bytes);
        self.marks.push_back((self.queued, tag));
        if exchange.kind != Kind::OneWay {
            self.waiting.push(Waiting { id, tag });
        }
        if self.waiting.len() > 30 {
            stage.meet(Situation::ManyCalls);
        }
        self.asked += 1;
    }

    fn next_id(&mut self, stage: &mut Stage<'_>) -> u64 {
        if self.habits.repeats_ids
            && self.wire.traits().has_ids
            && !self.waiting.is_empty()
            && stage.choices().chance(40)
        {
            stage.meet(Situation::IdRepeated);
            let at = stage.choices().below(self.waiting.len());
            return self.waiting[at].id;
        }
        self.new_id()
    }

    fn new_id(&mut self) -> u64 {
        self.ids = self.ids.wrapping_add(1);
        self.ids & (u64::MAX >> (64 - self.wire.traits().id_bits))
    }

    fn ping(&mut self, stage: &mut Stage<'_>, count: usize, dialect: u8) {
        if count > 1000 {
            stage.meet(Situation::HeartbeatFlood);
        }
        let mut bytes = vec![];
        for _ in 0..count {
            let id = self.new_id();
            self.pings.push_back(id);
            // Heartbeats have no checksum.
            self.wire.write(&Frame::new(FrameKind::Ping, dialect.min(1), id), &mut bytes);
        }
        self.push(&bytes);
    }

    fn push(&mut self, bytes: &[u8]) {
        self.out.push(bytes);
        self.queued += bytes.len() as u64;
    }

    fn write(&mut self, stage: &mut Stage<'_>) {
        let now = stage.now();
        if self.writes_at > now {
            return stage.wake_in(self.link, self.writes_at - now);
        }
        if !self.out.is_empty() {
            let least = self.queued as usize / if stage.plan.is_calm { 50 } else { 200 };
            let most = self.manners.dribble.map_or(usize::MAX, |(bytes, _)| bytes.max(least));
            let most = self.out.len().min(most);
            let written = stage.write(self.link, &self.out.peek()[..most]);
            self.out.consume(written);
            self.written += written as u64;
            if let Some((_, micros)) = self.manners.dribble
                && written > 0
            {
                self.writes_at = now + micros;
                stage.wake_in(self.link, micros);
            }
            while self.marks.front().is_some_and(|(end, _)| *end <= self.written) {
                let Some((_, tag)) = self.marks.pop_front() else { break };
                self.handle_written(stage, tag);
            }
        }
        let wrote_all = self.out.is_empty() && self.asked == self.script.len();
        if wrote_all && self.manners.half_closes && !self.has_ended && !self.is_rude {
            self.has_ended = true;
            stage.meet(Situation::ClientHalfClosed);
            stage.fin(self.link);
        }
    }

    /// A call is written to its last byte.
    fn handle_written(&mut self, stage: &mut Stage<'_>, tag: u32) {
        let now = stage.now();
        let request = stage.ledger.get_mut(tag);
        request.whole_at = Some(now);
        request.due_since = Some(now);
        if request.exchange.kind == Kind::OneWay && request.outcome.is_none() {
            stage.meet(Situation::OneWay);
            stage.conclude(tag, Outcome::Sent);
        }
    }

    /// Everything is answered, or will never be.
    fn consider_leaving(&mut self, stage: &mut Stage<'_>) {
        let is_over = self.asked == self.script.len() || self.no_more;
        let is_served = self.waiting.is_empty() && self.out.is_empty() && self.pings.is_empty();
        if is_over && is_served && !self.is_rude && (!self.manners.stays || self.no_more) {
            self.keep_rest(stage);
            self.leave(stage, Outcome::Unanswered);
        }
    }
}
