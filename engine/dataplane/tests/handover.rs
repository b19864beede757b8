//! Idle connections that go from one core to another.

mod support;

use sidering_dataplane::config::Snapshot;
use sidering_dataplane::io::{ConnId, IoError};
use sidering_dataplane::message::Message;
use sidering_dataplane::neighbours::{IdleBoard, Neighbours};
use sidering_dataplane::observe::counters::Counter;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use support::{Bench, http};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
/// Connections that were used later than this ago stay where they are.
const SPARE_AFTER_MS: u64 = 100;
const HANDOVER_MS: u64 = 1;

type Queue = Rc<RefCell<VecDeque<Message>>>;

/// The way to both cores, which take their messages when a test says so.
struct Post {
    queues: [Queue; 2],
    board: Arc<IdleBoard>,
    is_cut: Rc<RefCell<bool>>,
}

impl Neighbours for Post {
    fn try_tell(&mut self, core: u32, message: Message) -> bool {
        let is_cut = *self.is_cut.borrow();
        if !is_cut {
            self.queues[core as usize].borrow_mut().push_back(message);
        }
        !is_cut
    }

    fn board(&self) -> &Arc<IdleBoard> {
        &self.board
    }
}

/// Two cores with one configuration. The first has an idle connection.
struct Pair {
    giver: Bench,
    taker: Bench,
    queues: [Queue; 2],
    is_cut: Rc<RefCell<bool>>,
    idle: ConnId,
}

fn sharing(version: u64) -> Snapshot {
    let mut snapshot = http(1);
    snapshot.version = version;
    Arc::make_mut(&mut snapshot.clusters[0]).pool.shares_idle = true;
    snapshot
}

impl Pair {
    fn new() -> Pair {
        Pair::with(&sharing)
    }

    fn with(snapshot: &dyn Fn(u64) -> Snapshot) -> Pair {
        let (board, queues, is_cut) =
            (Arc::new(IdleBoard::new(2)), [Queue::default(), Queue::default()], Rc::default());
        let bench = |core| {
            let post = Post { queues: queues.clone(), board: Arc::clone(&board), is_cut: Rc::clone(&is_cut) };
            Bench::of_core(core, Some(Box::new(post)), snapshot(1))
        };
        let (mut giver, taker) = (bench(0), bench(1));
        let client = giver.client();
        giver.receive(client, GET);
        let idle = giver.connected();
        giver.flush(idle);
        giver.receive(idle, OK);
        giver.flush(client);
        let mut pair = Pair { giver, taker, queues, is_cut, idle };
        pair.pass_ms(SPARE_AFTER_MS);
        pair
    }

    fn pass_ms(&mut self, ms: u64) {
        self.giver.advance_ms(ms);
        self.taker.advance_ms(ms);
    }

    /// The other core's message, if there is one.
    fn deliver(&mut self, core: usize) -> bool {
        let message = self.queues[core].borrow_mut().pop_front();
        let bench = if core == 0 { &mut self.giver } else { &mut self.taker };
        message.map(|message| bench.message(message)).is_some()
    }

    /// A client of the core without a connection asks for something; its ask goes out.
    fn ask(&mut self) -> ConnId {
        let client = self.taker.client();
        self.taker.receive(client, GET);
        assert!(self.taker.io.connects.is_empty(), "it asks first");
        assert!(self.deliver(0), "it has asked");
        client
    }

    /// The connection leaves the first core.
    fn leave(&mut self) {
        self.giver.paused(self.idle);
        assert!(self.giver.io.socket(self.idle).released);
    }

    /// The request is answered on the connection, which the second core has now.
    fn answer(&mut self, client: ConnId, upstream: ConnId) {
        assert_eq!(self.taker.flush(upstream), b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
        self.taker.receive(upstream, OK);
        assert_eq!(self.taker.flush(client), OK);
    }

    /// Connections open, idle, opened, come from the other core, and asks in vain, of the second core.
    fn counts(&self) -> [u64; 5] {
        let c = &self.taker.cluster;
        [
            &c.connections_active,
            &c.connections_idle,
            &c.connections_total,
            &c.handovers,
            &c.handovers_declined,
        ]
        .map(Counter::get)
    }

    /// The request gets a connection of its own.
    fn opens(&mut self, client: ConnId) {
        let upstream = self.taker.connected();
        self.answer(client, upstream);
    }

    fn assert_home(&self) {
        self.giver.assert_empty();
        self.taker.assert_empty();
    }
}

/// The number of the next connection of an engine: those that come and those that are opened are counted together.
fn next(client: ConnId) -> ConnId {
    ConnId { index: client.index + 1, generation: 0 }
}

#[test]
fn an_idle_connection_goes_to_the_core_that_has_none() {
    let mut pair = Pair::new();
    let client = pair.ask();
    assert_eq!(pair.giver.cluster.connections_idle.get(), 0, "nobody else gets it");
    pair.leave();
    assert_eq!(pair.giver.cluster.connections_active.get(), 0);
    assert!(pair.deliver(1));
    pair.answer(client, next(client));
    assert_eq!(pair.counts(), [1, 1, 0, 1, 0]);
    assert!(pair.taker.io.connects.is_empty());
    assert_eq!(pair.taker.io.dropped.load(Ordering::Relaxed), 0);
    // And back again, as the core that has it is the other one now.
    pair.pass_ms(SPARE_AFTER_MS);
    let other = pair.giver.client();
    pair.giver.receive(other, GET);
    assert!(pair.deliver(1));
    pair.taker.paused(next(client));
    assert!(pair.deliver(0));
    assert_eq!(pair.giver.cluster.handovers.get(), 1);
    pair.giver.receive(next(other), OK);
    assert_eq!(pair.giver.flush(other), OK);
    pair.assert_home();
}

#[test]
fn connections_in_frequent_use_stay() {
    for (ms, is_given) in [(SPARE_AFTER_MS - 1, false), (SPARE_AFTER_MS, true), (SPARE_AFTER_MS + 1, true)] {
        let mut pair = Pair::new();
        let client = pair.giver.client();
        pair.giver.receive(client, GET);
        pair.giver.flush(pair.idle);
        pair.giver.receive(pair.idle, OK);
        pair.giver.flush(client);
        pair.pass_ms(ms);
        let client = pair.ask();
        assert_eq!(pair.giver.io.socket(pair.idle).pausing, is_given, "{ms}");
        if !is_given {
            assert!(pair.deliver(1));
            pair.opens(client);
            assert_eq!(pair.counts(), [1, 1, 1, 0, 1]);
            pair.assert_home();
        }
    }
}

#[test]
fn nobody_waits_for_a_slow_core_and_what_comes_late_is_kept() {
    let mut pair = Pair::new();
    let client = pair.ask();
    pair.taker.advance_ms(HANDOVER_MS - 1);
    assert!(pair.taker.io.connects.is_empty());
    pair.taker.advance_ms(1);
    pair.opens(client);
    assert_eq!(pair.counts(), [1, 1, 1, 0, 1]);
    pair.leave();
    assert!(pair.deliver(1));
    assert_eq!(pair.counts(), [2, 2, 1, 1, 1]);
    pair.assert_home();
}

#[test]
fn a_connection_that_says_something_on_its_way_out_is_closed() {
    for says in [true, false] {
        let mut pair = Pair::new();
        let client = pair.ask();
        match says {
            true => pair.giver.receive(pair.idle, b"HTTP/1.1 408 Request Timeout\r\n\r\n"),
            false => pair.giver.end(pair.idle, Ok(())),
        }
        assert!(pair.giver.is_closed(pair.idle) && !pair.giver.io.socket(pair.idle).released);
        assert!(pair.deliver(1));
        pair.opens(client);
        assert_eq!((pair.counts(), pair.giver.cluster.connections_active.get()), ([1, 1, 1, 0, 1], 0));
    }
}

#[test]
fn a_connection_that_ended_on_its_way_in_costs_no_request() {
    let mut pair = Pair::new();
    let client = pair.ask();
    pair.leave();
    pair.taker.io.refuse_adoption = true;
    assert!(pair.deliver(1));
    pair.opens(client);
    assert_eq!(pair.giver.io.dropped.load(Ordering::Relaxed), 1, "it is closed");
    assert_eq!(pair.counts(), [1, 1, 1, 0, 1]);
    pair.assert_home();
}

#[test]
fn a_client_that_leaves_while_its_core_asks_leaves_the_connection_to_the_next_one() {
    let mut pair = Pair::new();
    let client = pair.ask();
    pair.taker.end(client, Err(IoError::Reset));
    pair.leave();
    assert!(pair.deliver(1));
    assert_eq!(pair.counts(), [1, 1, 0, 1, 0]);
    let other = pair.taker.client();
    pair.taker.receive(other, GET);
    pair.answer(other, next(client));
    pair.assert_home();
}

/// Two connections at most, and one request may wait.
#[test]
fn who_asks_has_a_place_among_the_connections() {
    let mut pair = Pair::new();
    let clients: Vec<ConnId> = (0..3).map(|_| pair.taker.client()).collect();
    for client in &clients {
        pair.taker.receive(*client, GET);
    }
    assert_eq!(pair.taker.cluster.requests_pending.get(), 1, "two ask, one waits");
    assert_eq!(pair.queues[0].borrow().len(), 2);
    assert!(pair.deliver(0) && pair.deliver(0) && pair.deliver(1), "the other core has but one");
    assert_eq!(pair.taker.io.connects.len(), 1);
    pair.leave();
    assert!(pair.deliver(1));
    assert_eq!(
        (pair.taker.cluster.connections_active.get(), pair.taker.cluster.requests_pending.get()),
        (2, 1)
    );
}

#[test]
fn cores_with_different_configurations_share_nothing() {
    let mut pair = Pair::new();
    pair.taker.apply(sharing(2));
    let client = pair.ask();
    assert!(pair.deliver(1), "there is none");
    pair.opens(client);
    // And one that changes while the connection is on its way.
    let mut pair = Pair::new();
    let client = pair.ask();
    pair.leave();
    pair.taker.apply(sharing(2));
    assert!(pair.deliver(1));
    pair.opens(client);
    assert_eq!(pair.giver.io.dropped.load(Ordering::Relaxed), 1, "it is closed");
    pair.assert_home();
}

#[test]
fn a_core_that_ends_takes_nothing_along() {
    let mut pair = Pair::new();
    pair.ask();
    *pair.is_cut.borrow_mut() = true;
    pair.leave();
    assert_eq!(pair.giver.io.dropped.load(Ordering::Relaxed), 1, "nobody takes it: it is closed");
    // The core with the connection stops while it is leaving, and one that drains gives none.
    for (message, answers) in [(Message::Stop, 1), (Message::Drain, 0)] {
        let mut pair = Pair::new();
        let is_stop = answers == 1;
        if !is_stop {
            pair.giver.message(message);
            let client = pair.ask();
            assert!(pair.deliver(1));
            pair.opens(client);
            continue;
        }
        let client = pair.ask();
        pair.giver.message(message);
        assert!(pair.giver.is_closed(pair.idle) && pair.deliver(1));
        pair.opens(client);
    }
    // The core that asks stops meanwhile.
    let mut pair = Pair::new();
    pair.ask();
    pair.leave();
    pair.taker.message(Message::Stop);
    pair.assert_home();
    pair.queues[1].borrow_mut().clear();
    assert_eq!(pair.giver.io.dropped.load(Ordering::Relaxed), 1);
}

#[test]
fn without_being_asked_for_nothing_is_shared() {
    let mut pair = Pair::with(&|_| http(1));
    let client = pair.taker.client();
    pair.taker.receive(client, GET);
    assert!(!pair.deliver(0));
    pair.opens(client);
}
