//! `Io` in memory: an engine whose kernel, network and time are its own, and all whose freedom is decided by
//! [`Choices`]. It follows the states of `engine/ring`, and panics when its user breaks the contract of `io.rs`.
//!
//! A turn is what it is there: `enter` lets the kernel work and post completions, the world tells them to the machine, and
//! `end_turn` carries out what the machine asked for.

mod calls;
mod closing;
mod complete;
mod conn;
pub(crate) mod kernel;
pub(crate) mod link;
mod listener;
mod receiving;
mod relay;
mod sending;
mod slots;
pub(crate) mod truth;

pub(crate) use conn::{Receive, Side};
pub(crate) use slots::SimChunk;

use crate::agenda::{Agenda, Event};
use crate::choices::Choices;
use crate::coverage::{Coverage, Situation};
use crate::journal::{Journal, Who};
use conn::{Conn, Life};
use kernel::Cqe;
use link::Link;
use listener::Listener;
use relay::Relay;
use sidering_dataplane::io::{Completion, ConnId, IoError};
use slots::SlotPool;
use std::collections::VecDeque;
use truth::Truth;

/// What may go wrong, and how the kernel of this run behaves. One in so many; 0 is never.
#[derive(Clone, Debug, Default)]
pub(crate) struct Temper {
    /// Pieces that reads and sends are cut into.
    pub(crate) cuts: usize,
    /// Kernel work that is put off.
    pub(crate) laziness: usize,
    /// Turns whose completions partly wait for the next one.
    pub(crate) holds_back: usize,
    /// Multishot receives that end without notice.
    pub(crate) multishot_ends: usize,
    /// Turns that come late.
    pub(crate) stalls: usize,
    pub(crate) accept_fails: usize,
    pub(crate) connect_refused: usize,
    pub(crate) connect_hangs: usize,
    /// The first endpoint of clusters that have several is down.
    pub(crate) first_is_down: bool,
    pub(crate) connect_impossible: usize,
    /// Links that break some time.
    pub(crate) breaks: usize,
    /// Few sends go out at once, as `RingOptions::direct_sends_max` has it.
    pub(crate) sends_directly: bool,
    pub(crate) slots: usize,
    pub(crate) slot_bytes: usize,
    /// The longest way of a link in microseconds, and what its directions buffer.
    pub(crate) delay_max: usize,
    pub(crate) window_max: usize,
}

/// The engine, the kernel under it, and the network behind that.
pub(crate) struct Engine {
    pub(crate) now: u64,
    pub(crate) choices: Choices,
    pub(crate) agenda: Agenda,
    pub(crate) journal: Journal,
    pub(crate) coverage: Coverage,
    pub(crate) temper: Temper,
    pub(crate) truth: Truth,
    pub(crate) links: Vec<Link>,
    /// The kernel or the engine has something to do.
    pub(crate) is_ready: bool,
    pub(crate) slots: SlotPool,
    conns: Vec<Conn>,
    free: Vec<u32>,
    listeners: Vec<Listener>,
    relays: Vec<Relay>,
    parked: VecDeque<u32>,
    /// What the kernel has posted and nobody has seen.
    posted: VecDeque<Cqe>,
    /// Completions of the engine's own, for the next turn.
    deferred: VecDeque<Completion<SimChunk>>,
    follow_ups: VecDeque<Completion<SimChunk>>,
    /// Direct sends of this turn.
    sent: Vec<Completion<SimChunk>>,
}

impl Engine {
    pub(crate) fn new(choices: Choices, temper: Temper, journal: Journal) -> Self {
        let slots = SlotPool::new(temper.slots, temper.slot_bytes);
        Engine {
            now: 1_000_000,
            choices,
            agenda: Agenda::default(),
            journal,
            coverage: Coverage::default(),
            temper,
            truth: Truth::default(),
            links: vec![],
            is_ready: false,
            slots,
            conns: vec![],
            free: vec![],
            listeners: vec![],
            relays: vec![],
            parked: VecDeque::new(),
            posted: VecDeque::new(),
            deferred: VecDeque::new(),
            follow_ups: VecDeque::new(),
            sent: vec![],
        }
    }

    #[inline]
    pub(crate) fn mark(&mut self, who: Who, what: &'static str, link: u32, number: u64) {
        self.journal.mark(self.now, who, what, link, number);
    }

    #[inline]
    pub(crate) fn meet(&mut self, situation: Situation) {
        self.coverage.meet(situation);
    }

    /// A new link to a peer.
    pub(crate) fn open_link(&mut self, peer: u32) -> u32 {
        let delay = 20 + self.choices.below(self.temper.delay_max) as u64;
        let mut link = Link::new(peer, delay, (self.window(), self.window()));
        link.loses_on_reset = self.choices.chance(50);
        self.links.push(link);
        let serial = self.links.len() as u32 - 1;
        if self.choices.one_in(self.temper.breaks) {
            let when = self.now + self.choices.below(200_000) as u64;
            self.agenda.add(when, Event::Break(serial));
        }
        serial
    }

    /// What one direction of a link buffers: some hold little of what others send at once.
    fn window(&mut self) -> usize {
        let most = self.temper.window_max;
        let most = if self.choices.chance(20) { most.min(4096) } else { most };
        self.choices.between(most.min(2048), most)
    }

    /// Lets the link's peer look at it, after the way there.
    pub(crate) fn wake_peer(&mut self, link: u32) {
        let delay = self.links[link as usize].delay;
        self.wake_peer_in(link, delay);
    }

    /// Lets the link's peer look at it this much later, unless it will earlier.
    pub(crate) fn wake_peer_in(&mut self, link: u32, micros: u64) {
        let time = self.now + micros;
        let entry = &mut self.links[link as usize];
        if entry.peer_wakes_at <= time {
            return;
        }
        entry.peer_wakes_at = time;
        self.agenda.add(time, Event::Peer(link));
    }

    /// Bytes or an end come to the proxy's side.
    pub(crate) fn handle_arrival(&mut self, serial: u32) {
        let now = self.now;
        let link = &mut self.links[serial as usize];
        link.arrive();
        if link.end_arrived {
            link.end_arrived_at.get_or_insert(now);
        }
        self.is_ready = true;
        if link.proxy_closed && link.arrived > 0 && link.failure().is_none() {
            self.answer_closed(serial);
        }
    }

    /// Bytes came to a socket that is closed: the kernel resets the peer, and what that has not read may be lost.
    fn answer_closed(&mut self, serial: u32) {
        let kept = self.choices.below(self.links[serial as usize].down.len() + 1);
        let link = &mut self.links[serial as usize];
        let lost = link.arrived;
        link.up.consume(lost);
        link.arrived = 0;
        if !matches!(link.down_end, Some(link::End::Reset(_))) {
            link.reset_peer(IoError::Reset, kept);
            self.meet(Situation::AnsweredClosed);
            self.mark(Who::Kernel, "resets a peer that writes to a closed socket", serial, kept as u64);
            self.wake_peer(serial);
        }
    }

    /// The network loses a link: both sides fail.
    pub(crate) fn break_link(&mut self, serial: u32) {
        let link = &self.links[serial as usize];
        if !link.is_open || link.proxy_closed {
            return;
        }
        let error = self.choices.pick(&[IoError::Reset, IoError::TimedOut, IoError::BrokenPipe]);
        let kept = self.choices.below(link.down.len() + 1);
        let link = &mut self.links[serial as usize];
        link.up_end = Some(link::End::Reset(error));
        link.arrive();
        link.reset_peer(error, kept);
        self.is_ready = true;
        self.meet(Situation::LinkBroken);
        self.mark(Who::Kernel, "the link breaks", serial, kept as u64);
        self.wake_peer(serial);
    }

    /// The id of a live connection by its index.
    fn id(&self, index: u32) -> ConnId {
        ConnId { index, generation: self.conns[index as usize].generation }
    }

    fn is_live(&self, id: ConnId) -> bool {
        let conn = self.conns.get(id.index as usize);
        conn.is_some_and(|conn| conn.life == Life::Live && conn.generation == id.generation)
    }

    /// The live connection that the machine names; anything else is misuse.
    #[track_caller]
    fn live(&mut self, id: ConnId, call: &str) -> &mut Conn {
        let conn = self.conns.get_mut(id.index as usize);
        let conn = conn.filter(|conn| conn.life == Life::Live && conn.generation == id.generation);
        match conn {
            Some(conn) => conn,
            None => panic!("misuse: {call} names a closed connection: {id:?}"),
        }
    }

    /// Enters a connection into the table.
    fn admit(&mut self, link: u32, side: Side) -> ConnId {
        let index = if self.free.is_empty() {
            self.conns.push(Conn::vacant());
            self.conns.len() as u32 - 1
        } else {
            self.coverage.meet(Situation::IndexReused);
            let at = self.choices.below(self.free.len());
            self.free.swap_remove(at)
        };
        let conn = &mut self.conns[index as usize];
        conn.begin(link, side, self.now);
        self.id(index)
    }

    /// Every connection that the machine has open.
    pub(crate) fn open_conns(&self) -> impl Iterator<Item = &Conn> {
        self.conns.iter().filter(|conn| conn.life == Life::Live)
    }

    /// Whether the machine has closed its end of a link: the kernel may take a while to.
    pub(crate) fn has_given_up(&self, link: u32) -> bool {
        self.links[link as usize].proxy_closed || !self.open_conns().any(|conn| conn.link == link)
    }

    /// Connections that still have something in the kernel.
    pub(crate) fn closing_conns(&self) -> usize {
        self.conns.iter().filter(|conn| conn.life == Life::Closing).count()
    }
}
