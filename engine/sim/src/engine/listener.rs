//! Listening sockets and outgoing connects.

use super::conn::Side;
use super::kernel::Cqe;
use super::link::End;
use super::{Engine, SimChunk};
use crate::agenda::Event;
use crate::coverage::Situation;
use crate::journal::Who;
use sidering_dataplane::io::{Address, Completion, ConnId, IoError, ListenerId};
use std::collections::VecDeque;

/// Connections taken from a closing listener's backlog in one turn.
const DRAINED_PER_TURN: usize = 8;

/// A listening socket.
///
/// ```text
/// Closed -> Rest <-> Armed      Rest|Armed -> Draining (its backlog is accepted) -> Closed
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Closed,
    Rest,
    Armed,
    Draining,
}

#[derive(Debug)]
pub(super) struct Listener {
    state: State,
    backlog: VecDeque<u32>,
}

impl Engine {
    /// Takes a listening socket over, as a configuration with a new listener needs it.
    pub(crate) fn add_listener(&mut self, id: u32) {
        let at = id as usize;
        while self.listeners.len() <= at {
            self.listeners.push(Listener { state: State::Closed, backlog: VecDeque::new() });
        }
        let listener = &mut self.listeners[at];
        if matches!(listener.state, State::Closed | State::Draining) {
            // The old socket's backlog is accepted through the new one: to a client it is the same address.
            listener.state = State::Rest;
        }
    }

    /// Whether a client would get through.
    pub(crate) fn is_listening(&self, id: u32) -> bool {
        let listener = self.listeners.get(id as usize);
        listener.is_some_and(|listener| matches!(listener.state, State::Rest | State::Armed))
    }

    /// A client connects; `false` if nobody listens.
    pub(crate) fn client_connects(&mut self, id: u32, link: u32) -> bool {
        if !self.is_listening(id) {
            return false;
        }
        self.links[link as usize].is_open = true;
        self.listeners[id as usize].backlog.push_back(link);
        self.is_ready = true;
        true
    }

    pub(super) fn start_accept(&mut self, id: u32) {
        let listener = self.listeners.get_mut(id as usize);
        let Some(listener) = listener.filter(|listener| listener.state != State::Closed) else {
            panic!("misuse: accept on listener {id}, which is not there");
        };
        assert_ne!(listener.state, State::Draining, "misuse: accept on listener {id}, which was closed");
        listener.state = State::Armed;
        self.is_ready |= !listener.backlog.is_empty();
    }

    pub(super) fn stop_listener(&mut self, id: u32) {
        let listener = self.listeners.get_mut(id as usize);
        let listener = listener.filter(|listener| matches!(listener.state, State::Rest | State::Armed));
        let Some(listener) = listener else { panic!("misuse: listener {id} is closed twice") };
        listener.state = State::Draining;
        self.is_ready = true;
    }

    /// Accepts on every listener that is armed; `true` if some is left for later.
    pub(super) fn kernel_accepts(&mut self) -> bool {
        let mut is_left = false;
        for at in 0..self.listeners.len() {
            let id = at as u32;
            while self.listeners[at].state == State::Armed && !self.listeners[at].backlog.is_empty() {
                if self.choices.one_in(self.temper.laziness) {
                    is_left = true;
                    break;
                }
                if self.choices.one_in(self.temper.accept_fails) {
                    self.listeners[at].state = State::Rest;
                    let error = self.choices.pick(&[IoError::DescriptorsExhausted, IoError::OutOfMemory]);
                    self.posted.push_back(Cqe::Accept { listener: id, result: Err(error) });
                    self.meet(Situation::AcceptFailed);
                    break;
                }
                if let Some(link) = self.listeners[at].backlog.pop_front() {
                    self.posted.push_back(Cqe::Accept { listener: id, result: Ok(link) });
                }
            }
        }
        is_left
    }

    pub(super) fn complete_accept(&mut self, id: u32, result: Result<u32, IoError>) -> Completion<SimChunk> {
        let listener = ListenerId(id);
        match result {
            Err(error) => Completion::AcceptFailed { listener, error },
            Ok(link) => Completion::Accepted { listener, conn: self.admit(link, Side::Downstream(id)) },
        }
    }

    /// Accepts what waits in the backlogs of closing listeners, and closes those that have none left.
    pub(super) fn drain_listeners(&mut self) {
        for at in 0..self.listeners.len() {
            if self.listeners[at].state != State::Draining {
                continue;
            }
            for _ in 0..DRAINED_PER_TURN {
                let Some(link) = self.listeners[at].backlog.pop_front() else { break };
                let completion = self.complete_accept(at as u32, Ok(link));
                self.deferred.push_back(completion);
            }
            if self.listeners[at].backlog.is_empty() {
                self.listeners[at].state = State::Closed;
            } else {
                self.is_ready = true;
            }
        }
    }

    /// The engine ends: who waits in a backlog is reset.
    pub(crate) fn close_listeners(&mut self) {
        for at in 0..self.listeners.len() {
            self.listeners[at].state = State::Closed;
            for link in std::mem::take(&mut self.listeners[at].backlog) {
                let entry = &mut self.links[link as usize];
                entry.proxy_closed = true;
                entry.reset_peer(IoError::Reset, 0);
                self.wake_peer(link);
            }
        }
    }

    /// `Io::connect`.
    pub(super) fn start_connect(&mut self, address: &Address) -> Result<ConnId, IoError> {
        let Some((cluster, endpoint)) = self.truth.endpoint(address) else {
            panic!("misuse: connect to {address:?}, which no configuration has");
        };
        if self.choices.one_in(self.temper.connect_impossible) {
            self.meet(Situation::ConnectImpossible);
            self.truth.clusters[cluster].refused += 1;
            let errors = [IoError::DescriptorsExhausted, IoError::AddressNotAvailable, IoError::OutOfMemory];
            return Err(self.choices.pick(&errors));
        }
        let known = &self.truth.clusters[cluster];
        let number = known.cluster;
        assert!(
            known.is_member[endpoint] || known.came_back,
            "a connect to endpoint {endpoint} of cluster {number}, which has lost it"
        );
        let is_further = known.alternates.contains(address);
        // A host is chosen with its first address; the others have their turn even if it has become unwell meanwhile.
        let is_unwell = !is_further && known.is_current && !known.came_back && known.is_unwell[endpoint];
        assert!(
            !is_unwell || known.is_in_panic(),
            "a connect to endpoint {endpoint} of cluster {number}, which is unhealthy"
        );
        if is_unwell {
            self.meet(Situation::Panic);
        }
        if is_further {
            self.meet(Situation::NextAddress);
        }
        let link = self.open_link(u32::MAX);
        self.links[link as usize].upstream = address.to_string();
        self.links[link as usize].cluster = Some((self.truth.clusters[cluster].cluster, endpoint));
        let id = self.admit(link, Side::Upstream(cluster, endpoint));
        let truth = &mut self.truth.clusters[cluster];
        truth.open[endpoint] += 1;
        truth.opened[endpoint] += 1;
        let conn = &mut self.conns[id.index as usize];
        conn.connecting = Some(None);
        conn.in_flight += 1;
        self.mark(Who::Machine, "connects to endpoint", link, endpoint as u64);
        let round_trip = 2 * self.links[link as usize].delay;
        if self.choices.one_in(self.temper.connect_hangs) {
            self.meet(Situation::ConnectHangs);
            if self.choices.chance(60) {
                return Ok(id);
            }
            let late = self.now + 1000 * self.choices.below(3000) as u64;
            self.agenda.add(late, Event::Connect(link));
            return Ok(id);
        }
        self.agenda.add(self.now + round_trip, Event::Connect(link));
        Ok(id)
    }

    /// The outcome of a connect is there. True if a peer was reached.
    pub(crate) fn connect_done(&mut self, link: u32) -> bool {
        let waiting = self.conns.iter_mut().find(|conn| conn.link == link && conn.connecting == Some(None));
        let Some(conn) = waiting else { return false };
        let is_down = match conn.side {
            Side::Upstream(cluster, 0) => {
                let (known, called) = (&self.truth.clusters[cluster], &self.links[link as usize].upstream);
                let is_first = known.addresses[0].to_string() == *called;
                self.temper.first_is_down && known.has_several && is_first
            }
            _ => false,
        };
        let fails = self.choices.one_in(self.temper.connect_refused) || is_down;
        let error = self.choices.pick(&[IoError::Refused, IoError::Unreachable, IoError::TimedOut]);
        let result = if fails { Err(error) } else { Ok(()) };
        conn.connecting = Some(Some(result));
        self.is_ready = true;
        self.links[link as usize].is_open = result.is_ok();
        match result {
            Ok(()) => {}
            Err(IoError::Unreachable) => self.meet(Situation::ConnectUnreachable),
            Err(_) => self.meet(Situation::ConnectRefused),
        }
        result.is_ok()
    }

    pub(super) fn complete_connect(
        &mut self,
        id: ConnId,
        result: Result<(), IoError>,
    ) -> Option<Completion<SimChunk>> {
        let conn = &mut self.conns[id.index as usize];
        conn.in_flight -= 1;
        if conn.generation != id.generation {
            self.complete_late(id.index);
            return None;
        }
        conn.send = if result.is_ok() { super::conn::Send::Open } else { super::conn::Send::Ended };
        conn.is_connected = result.is_ok();
        if let (Side::Upstream(cluster, _), Err(_)) = (conn.side, result) {
            self.truth.clusters[cluster].failed += 1;
        }
        Some(Completion::Connected { conn: id, result })
    }

    /// A client gives up before anybody accepted it, or afterwards.
    pub(crate) fn peer_resets(&mut self, serial: u32, error: IoError) {
        let link = &mut self.links[serial as usize];
        link.up_end = Some(End::Reset(error));
        link.peer_closed = true;
        let lost = link.down.len();
        link.down.consume(lost);
        let when = self.now + link.delay;
        self.agenda.add(when, Event::Arrive(serial));
        self.meet(Situation::ResetByPeer);
    }
}
