//! Models of bytes without a protocol: clients of TCP listeners, and what they are connected to.

use super::exchange::{Exchange, Fate, Kind};
use super::tunnel::{self, Ended, Tunnel};
use super::{Model, Peer};
use crate::coverage::Situation;
use crate::engine::link::End;
use crate::ledger::Outcome;
use crate::stage::Stage;

/// See [`super::MODELS`].
pub(super) const MODEL: Model = Model { protocol: "tcp", client, origin, exchange };

fn client(link: u32, tags: Vec<u32>, stage: &mut Stage<'_>) -> Box<dyn Peer> {
    let tag = tags[0];
    let now = stage.now();
    let request = stage.ledger.get_mut(tag);
    (request.begun_at, request.client) = (Some(now), link);
    let aborts = stage.plan.client_faults;
    let aborts_at = stage.choices().one_in(aborts).then(|| stage.choices().below(3000) as u64);
    if let Some(micros) = aborts_at {
        stage.wake_in(link, micros);
    }
    let aborts_at = aborts_at.map(|micros| now + micros);
    Box::new(Client { link, tag, tunnel: Tunnel::client(tag, stage), aborts_at, is_done: false })
}

fn origin(link: u32, _stage: &mut Stage<'_>) -> Box<dyn Peer> {
    Box::new(Origin { link, tunnel: None, is_silent: false, is_done: false })
}

fn exchange(cluster: usize, _is_last: bool, stage: &mut Stage<'_>) -> Exchange {
    Exchange::new(Kind::Raw, cluster, stage.plan, &mut stage.engine.choices)
}

struct Client {
    link: u32,
    tag: u32,
    tunnel: Tunnel,
    aborts_at: Option<u64>,
    is_done: bool,
}

impl Peer for Client {
    fn wake(&mut self, stage: &mut Stage<'_>) {
        if self.is_done {
            return;
        }
        if self.aborts_at.is_some_and(|time| time <= stage.now()) {
            self.is_done = true;
            stage.conclude(self.tag, Outcome::GivenUp);
            stage.reset(self.link);
            return;
        }
        if let Some(ended) = self.tunnel.step(stage, self.link) {
            self.is_done = true;
            let outcome = if ended == Ended::Whole { Outcome::Answered(200) } else { Outcome::Cut };
            stage.conclude(self.tag, outcome);
            stage.close(self.link);
        }
    }

    fn finish(&mut self, stage: &mut Stage<'_>) {
        self.wake(stage);
        assert!(self.is_done, "tunnel {} was neither served nor cut", self.tag);
    }
}

/// Who is connected to by a tunnel that ends at the proxy.
pub(super) struct Origin {
    link: u32,
    tunnel: Option<Tunnel>,
    is_silent: bool,
    is_done: bool,
}

impl Peer for Origin {
    fn wake(&mut self, stage: &mut Stage<'_>) {
        if self.is_done {
            return;
        }
        if self.tunnel.is_none() && !self.is_silent {
            self.begin(stage);
        }
        if self.is_silent || self.tunnel.is_none() {
            if let Some(end) = stage.end(self.link) {
                self.is_done = true;
                if end == End::Fin {
                    // An orderly end would mean that this was all it had to say.
                    stage.reset(self.link);
                }
            }
            return;
        }
        if let Some(tunnel) = &mut self.tunnel
            && tunnel.step(stage, self.link).is_some()
        {
            self.is_done = true;
            stage.close(self.link);
        }
    }

    fn finish(&mut self, stage: &mut Stage<'_>) {
        self.wake(stage);
    }
}

impl Origin {
    fn begin(&mut self, stage: &mut Stage<'_>) {
        let incoming = stage.incoming(self.link);
        if incoming.len() < tunnel::NAME_BYTES {
            return;
        }
        let tag = tunnel::tag_of(incoming);
        stage.consume(self.link, tunnel::NAME_BYTES);
        stage.sight(tag, self.link);
        if stage.ledger.get(tag).exchange.fate == Fate::Silent {
            self.is_silent = true;
            stage.meet(Situation::OriginSilent);
            return;
        }
        self.tunnel = Some(Tunnel::origin(tag, stage));
    }
}
