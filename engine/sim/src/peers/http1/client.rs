//! A model client: writes its requests, reads the answers, minds its manners.

use super::answer::{Answer, Read};
use super::request;
use crate::bytes::ByteQueue;
use crate::coverage::Situation;
use crate::engine::link::End;
use crate::journal::Who;
use crate::ledger::Outcome;
use crate::peers::Peer;
use crate::peers::exchange::{Fate, Kind};
use crate::peers::manners::Manners;
use crate::peers::tunnel::{self, Ended, Tunnel};
use crate::stage::Stage;
use std::collections::VecDeque;

/// How long a client waits for 100 before it sends its body nevertheless.
const CONTINUE_MICROS: u64 = 300_000;

/// One connection with its script.
pub(super) struct Client {
    link: u32,
    script: Vec<u32>,
    /// Requests written, at least in part; and answered.
    asked: usize,
    answered: usize,
    out: ByteQueue,
    /// Where in what is written each request ends, by its tag.
    marks: VecDeque<(u64, u32)>,
    queued: u64,
    written: u64,
    read: u64,
    answer: Option<Answer>,
    tunnel: Option<Tunnel>,
    /// A body that waits for 100, and until when.
    waiting: Option<(Vec<u8>, u64)>,
    manners: Manners,
    /// When it may write, read, or ask again.
    writes_at: u64,
    reads_at: u64,
    asks_at: u64,
    answered_at: u64,
    no_more: bool,
    /// An error that answers nothing has begun to come.
    is_told_off: bool,
    /// The last look took nothing.
    is_stuck: bool,
    has_ended: bool,
    is_done: bool,
}

/// See [`super::super::Model::client`].
pub(super) fn client(link: u32, tags: Vec<u32>, stage: &mut Stage<'_>) -> Box<dyn Peer> {
    let manners = Manners::new(stage.plan, &mut stage.engine.choices);
    let reads_late = manners.sips.is_some() || manners.stops_reading.is_some() || manners.reads_late;
    stage.engine.links[link as usize].reads_at_once = !reads_late;
    for tag in &tags {
        stage.ledger.get_mut(*tag).client = link;
    }
    for (is_so, situation) in [
        (manners.depth > 1 && tags.len() > 1, Situation::Pipelined),
        (manners.dribble.is_some(), Situation::ClientDribbles),
        (manners.is_silent, Situation::ClientSilent),
    ] {
        if is_so {
            stage.meet(situation);
        }
    }
    Box::new(Client {
        link,
        script: tags,
        asked: 0,
        answered: 0,
        out: ByteQueue::default(),
        marks: VecDeque::new(),
        queued: 0,
        written: 0,
        read: 0,
        answer: None,
        tunnel: None,
        waiting: None,
        manners,
        writes_at: 0,
        reads_at: 0,
        asks_at: 0,
        answered_at: 0,
        no_more: false,
        is_told_off: false,
        is_stuck: true,
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
        if self.must_abort() {
            return self.abort(stage);
        }
        self.take(stage);
        if !self.is_done && self.tunnel.is_none() {
            self.ask(stage);
        }
        if !self.is_done && self.tunnel.is_none() {
            self.write(stage);
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
        assert!(
            self.is_done,
            "a client was neither served nor sent away: {:?}",
            &self.script[self.answered..]
        );
    }
}

impl Client {
    fn must_abort(&self) -> bool {
        let aborts = self.manners.aborts;
        aborts.is_some_and(|abort| self.written >= abort.written || self.read >= abort.read && self.asked > 0)
    }

    fn abort(&mut self, stage: &mut Stage<'_>) {
        stage.mark(Who::Client, "gives up", self.link, self.written);
        // In a tunnel an orderly end would mean that this was all, also in one that has only been asked for.
        let has_tunnel = self.tunnel.is_some() || self.manners.sends_ahead && self.asks_tunnel(stage);
        let by_end = self.manners.aborts.is_some_and(|abort| abort.by_end) && !has_tunnel;
        self.leave(stage, Outcome::GivenUp);
        if !by_end {
            stage.reset(self.link);
        }
    }

    /// Whether its last request is for a tunnel.
    fn asks_tunnel(&self, stage: &Stage<'_>) -> bool {
        self.script
            .last()
            .is_some_and(|tag| matches!(stage.ledger.get(*tag).exchange.kind, Kind::Upgrade | Kind::Connect))
    }

    /// Closes, and accounts for what is left of the script.
    fn leave(&mut self, stage: &mut Stage<'_>, outcome: Outcome) {
        self.is_done = true;
        for at in self.answered..self.script.len() {
            let tag = self.script[at];
            if stage.ledger.get(tag).outcome.is_none() {
                stage.conclude(tag, outcome);
            }
        }
        stage.close(self.link);
    }

    /// Reads what its manners allow.
    fn take(&mut self, stage: &mut Stage<'_>) {
        if self.manners.stops_reading.is_some_and(|bytes| self.read >= bytes) {
            return self.stop_reading(stage);
        }
        let now = stage.now();
        if self.reads_at > now {
            return stage.wake_in(self.link, self.reads_at - now);
        }
        let is_stubborn = self.manners.is_stubborn;
        let end = stage.engine.links[self.link as usize].down_end;
        let is_over = end.is_some_and(|end| !end.is_fin() || !is_stubborn);
        if self.manners.reads_late && !self.out.is_empty() && !is_over {
            return;
        }
        self.is_stuck = true;
        while !self.is_done {
            if self.tunnel.is_some() {
                return self.step_tunnel(stage);
            }
            if !self.read_answer(stage) {
                break;
            }
        }
        if !self.is_done && self.is_stuck {
            // What is left of a head that will never be whole is of no use.
            let end = stage.end_behind_rest(self.link);
            if let Some(end) = end {
                self.handle_end(stage, end);
            }
        }
    }

    fn stop_reading(&mut self, stage: &mut Stage<'_>) {
        stage.meet(Situation::ClientStopsReading);
        stage.mark(Who::Client, "stops to read", self.link, self.read);
        self.is_done = true;
        for at in self.answered..self.script.len() {
            stage.conclude(self.script[at], Outcome::GivenUp);
        }
    }

    /// Reads on in the answer that is due; true if another may be there.
    fn read_answer(&mut self, stage: &mut Stage<'_>) -> bool {
        if stage.incoming(self.link).is_empty() {
            self.is_stuck = true;
            return false;
        }
        if self.answered == self.asked {
            return self.read_unasked(stage);
        }
        let tag = self.script[self.answered];
        let mut answer = self.answer.take().unwrap_or_else(|| Answer::new(tag));
        // A head is read in one piece.
        let least = stage.ledger.get(tag).exchange.answer / 50;
        let sips = self.manners.sips.filter(|_| answer.has_begun());
        let sips = sips.map(|(bytes, micros)| (bytes.max(least), micros));
        let most = sips.map_or(usize::MAX, |(bytes, _)| bytes);
        let bytes = stage.incoming(self.link);
        let bytes = bytes[..bytes.len().min(most)].to_vec();
        let (taken, read) = answer.feed(&bytes, stage);
        stage.consume(self.link, taken);
        stage.ledger.get_mut(tag).answer_begun |= taken > 0;
        self.read += taken as u64;
        self.is_stuck = taken == 0;
        if let Some((_, micros)) = sips
            && taken > 0
        {
            self.reads_at = stage.now() + micros;
            stage.wake_in(self.link, micros);
        }
        match read {
            Read::More => {
                if answer.has_continue {
                    self.send_waiting(stage);
                }
                self.answer = Some(answer);
                taken > 0 && sips.is_none()
            }
            Read::Tunnel => {
                self.begin_tunnel(stage, tag);
                true
            }
            Read::Whole { outcome, says_close } => {
                self.whole(stage, outcome, says_close);
                true
            }
        }
    }

    /// Bytes that answer nothing: only a timeout may be told on an idle connection.
    fn read_unasked(&mut self, stage: &mut Stage<'_>) -> bool {
        let bytes = stage.incoming(self.link).to_vec();
        let text = String::from_utf8_lossy(&bytes);
        let is_timeout = text.starts_with(&"HTTP/1.1 408 "[..text.len().min(13)]);
        let may_be = is_timeout || self.is_told_off || self.has_sent_ahead(&text);
        self.is_told_off = may_be;
        assert!(may_be, "client {} is told what it did not ask for: {text:?}", self.link);
        stage.consume(self.link, bytes.len());
        false
    }

    /// What was meant for a tunnel that was refused reads as a broken request.
    fn has_sent_ahead(&self, text: &str) -> bool {
        let last = self.no_more || self.asked == self.script.len();
        last && self.manners.sends_ahead && text.starts_with("HTTP/1.1 4")
    }

    fn whole(&mut self, stage: &mut Stage<'_>, outcome: Outcome, says_close: bool) {
        let tag = self.script[self.answered];
        stage.mark(Who::Client, "is answered", self.link, u64::from(tag));
        let kind = stage.ledger.get(tag).exchange.kind;
        let begun_at = stage.ledger.get(tag).begun_at;
        let is_late =
            stage.ledger.drained_at.is_some_and(|drained| begun_at.is_some_and(|begun| begun > drained));
        assert!(
            says_close || !is_late,
            "request {tag} was sent to a draining proxy, whose answer keeps alive"
        );
        if kind == Kind::Upgrade && !matches!(outcome, Outcome::Local(_)) {
            stage.meet(Situation::UpgradeDeclined);
        }
        if matches!(kind, Kind::Malformed(_)) {
            stage.meet(Situation::Malformed);
        }
        if kind.is_old() {
            stage.meet(Situation::OldVersion);
        }
        let is_waiting =
            self.waiting.is_some() && self.marks.back().is_some_and(|(_, marked)| *marked == tag);
        if is_waiting {
            // Answered without its body: the connection is of no more use.
            self.waiting = None;
            self.no_more = true;
        }
        stage.conclude(tag, outcome);
        // Whoever times out within a head does not know that it was HEAD, and has a body behind its answer.
        self.is_told_off = kind == Kind::Head && outcome == Outcome::Local(408);
        self.answered += 1;
        self.answered_at = stage.now();
        self.asks_at = stage.now() + self.manners.rest_micros;
        if self.answered < self.asked {
            stage.ledger.get_mut(self.script[self.answered]).due_since = Some(stage.now());
        }
        // An answer that overtook its request's body may be the last one without saying so.
        self.no_more |= says_close || stage.ledger.get(tag).exchange.fate == Fate::Early;
        // The request is not whole, and its answer is there: the connection is of no more use.
        if !self.out.is_empty() && self.marks.front().is_some_and(|(_, marked)| *marked == tag) {
            self.no_more = true;
        }
    }

    fn begin_tunnel(&mut self, stage: &mut Stage<'_>, tag: u32) {
        let is_upgrade = stage.ledger.get(tag).exchange.kind == Kind::Upgrade;
        stage.meet(if is_upgrade { Situation::Upgraded } else { Situation::ConnectTunnel });
        let mut tunnel = Tunnel::client(tag, stage);
        if self.manners.sends_ahead {
            tunnel.skip_name();
        }
        self.tunnel = Some(tunnel);
    }

    fn step_tunnel(&mut self, stage: &mut Stage<'_>) {
        if !self.out.is_empty() {
            self.write(stage);
        }
        if !self.out.is_empty() {
            return;
        }
        let Some(tunnel) = &mut self.tunnel else { return };
        let Some(ended) = tunnel.step(stage, self.link) else { return };
        let tag = self.script[self.answered];
        stage.conclude(tag, if ended == Ended::Whole { Outcome::Answered(200) } else { Outcome::Cut });
        stage.meet(if ended == Ended::Whole { Situation::Tunnel } else { Situation::TunnelCut });
        self.is_done = true;
        stage.close(self.link);
    }

    /// The proxy ended its side, and everything before was read.
    fn handle_end(&mut self, stage: &mut Stage<'_>, end: End) {
        if end == End::Fin
            && let Some(mut answer) = self.answer.take()
        {
            if let Read::Whole { outcome, .. } = answer.end(stage) {
                self.whole(stage, outcome, true);
            } else {
                self.answer = Some(answer);
            }
        }
        let may_end = self.no_more || self.has_ended || stage.plan.swaps() || !stage.plan.is_calm;
        let is_last = self.asked > 0 && self.is_last(stage, self.asked - 1);
        let idled = stage.now().saturating_sub(self.answered_at) >= stage.plan.calm_idle_micros();
        assert!(
            may_end || is_last || idled,
            "the proxy ended client {}'s connection without a word",
            self.link
        );
        stage.mark(Who::Client, "sees the end", self.link, u64::from(end.is_fin()));
        if self.answered < self.asked {
            let has_begun = self.answer.as_ref().is_some_and(Answer::has_begun);
            let tag = self.script[self.answered];
            stage.conclude(tag, if has_begun { Outcome::Cut } else { Outcome::Unanswered });
            stage.ledger.get_mut(tag).may_go_unanswered = self.no_more;
            for at in self.answered + 1..self.asked {
                stage.conclude(self.script[at], Outcome::Unanswered);
                stage.ledger.get_mut(self.script[at]).may_go_unanswered = self.no_more;
            }
            self.answered = self.asked;
        }
        // One that was turned away before it was served does not come back, unless everybody is to be served.
        if self.answered > 0 || stage.plan.is_calm {
            let rest = self.script.split_off(self.asked);
            if !rest.is_empty() {
                stage.left_over.push(rest);
            }
        }
        self.leave(stage, Outcome::Unanswered);
    }

    /// Asks the next thing, if its manners allow.
    fn ask(&mut self, stage: &mut Stage<'_>) {
        let now = stage.now();
        while self.asked < self.script.len()
            && self.asked - self.answered < self.manners.depth
            && !self.no_more
        {
            if self.waiting.is_some() || self.asked > 0 && self.is_last(stage, self.asked - 1) {
                return;
            }
            if self.answered == self.asked && self.asks_at > now {
                return stage.wake_in(self.link, self.asks_at - now);
            }
            self.ask_next(stage);
        }
        let is_over = self.answered == self.script.len() || self.no_more && self.answered == self.asked;
        if is_over && !self.is_done && (!self.manners.stays || self.no_more || !self.out.is_empty()) {
            let rest = self.script.split_off(self.asked);
            if !rest.is_empty() {
                stage.left_over.push(rest);
            }
            self.leave_when_written(stage);
        }
    }

    fn is_last(&self, stage: &Stage<'_>, at: usize) -> bool {
        stage.ledger.get(self.script[at]).exchange.kind.is_last()
    }

    /// Everything is answered: closes, even if some of a request is not written.
    fn leave_when_written(&mut self, stage: &mut Stage<'_>) {
        self.leave(stage, Outcome::Unanswered);
    }

    fn ask_next(&mut self, stage: &mut Stage<'_>) {
        let tag = self.script[self.asked];
        let exchange = stage.ledger.get(tag).exchange.clone();
        stage.mark(Who::Client, "asks request", self.link, u64::from(tag));
        let written = request::write(tag, &exchange);
        let now = stage.now();
        let request = stage.ledger.get_mut(tag);
        request.begun_at = Some(now);
        request.is_first = self.asked == 0;
        self.push(&written.head);
        if exchange.kind == Kind::PostExpect {
            stage.meet(Situation::ExpectContinue);
            self.waiting = Some((written.body, now + CONTINUE_MICROS));
            stage.wake_in(self.link, CONTINUE_MICROS);
        } else {
            self.push(&written.body);
        }
        if matches!(exchange.kind, Kind::Upgrade | Kind::Connect) && self.manners.sends_ahead {
            self.push(&tunnel::name(tag));
        }
        self.marks.push_back((self.queued, tag));
        self.asked += 1;
        if self.answered + 1 == self.asked {
            stage.ledger.get_mut(tag).due_since = Some(now);
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.out.push(bytes);
        self.queued += bytes.len() as u64;
    }

    /// A body that waited for 100 goes out.
    fn send_waiting(&mut self, _stage: &mut Stage<'_>) {
        if let Some((body, _)) = self.waiting.take() {
            self.push(&body);
            if let Some((end, _)) = self.marks.back_mut() {
                *end = self.queued;
            }
        }
    }

    fn write(&mut self, stage: &mut Stage<'_>) {
        let now = stage.now();
        if self.waiting.as_ref().is_some_and(|(_, until)| *until <= now) {
            self.send_waiting(stage);
        }
        if self.writes_at > now {
            return stage.wake_in(self.link, self.writes_at - now);
        }
        if !self.out.is_empty() {
            // A large body is not sent by the byte: that would take for ever.
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
            if self.manners.reads_late && self.out.is_empty() {
                stage.wake_in(self.link, 1);
            }
            // The last one may wait for 100.
            let waits = usize::from(self.waiting.is_some());
            while self.marks.len() > waits && self.marks.front().is_some_and(|(end, _)| *end <= self.written)
            {
                let Some((_, tag)) = self.marks.pop_front() else { break };
                stage.ledger.get_mut(tag).whole_at = Some(now);
            }
        }
        let wrote_all = self.out.is_empty() && self.waiting.is_none() && self.asked == self.script.len();
        let tunnels = self.asks_tunnel(stage);
        if wrote_all && self.manners.half_closes && !tunnels && !self.has_ended {
            self.has_ended = true;
            stage.meet(Situation::ClientHalfClosed);
            stage.fin(self.link);
        }
    }
}
