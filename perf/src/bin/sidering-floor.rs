//! The floor that the proxy is measured against: a relay on the same ring that looks at no byte. One request is one
//! chunk, one answer is one chunk, so it serves small messages only. It checks no protocol and has no limits.

#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use sidering_dataplane::io::{
    Address, CloseMode, Completion, ConnId, ConnectOptions, Io, ListenerId, Machine, Segment, Time,
};
use sidering_dataplane::observe::counters::EngineCounters;
use sidering_ring::{Ring, RingChunk, RingOptions, run};
use sidering_system::{Delivery, mailbox, socket};

/// What a connection is, by its index.
#[derive(Default)]
enum Side {
    #[default]
    Unknown,
    /// With the upstream that works on its request.
    Downstream(Option<ConnId>),
    /// With the downstream that waits for its answer, and the request that waits for the connection.
    Upstream(Option<ConnId>, Option<RingChunk>),
}

struct Floor {
    upstream: Address,
    sides: Vec<Side>,
    idle: Vec<ConnId>,
}

impl Floor {
    fn enter(&mut self, conn: ConnId, side: Side) {
        let index = conn.index as usize;
        if index >= self.sides.len() {
            self.sides.resize_with(index + 1, Side::default);
        }
        self.sides[index] = side;
    }

    fn pass_on(&mut self, ring: &mut Ring, conn: ConnId, chunk: RingChunk) {
        match &mut self.sides[conn.index as usize] {
            Side::Downstream(Some(upstream)) => ring.send(*upstream, Segment::Chunk(chunk)),
            Side::Downstream(peer @ None) => {
                if let Some(upstream) = self.idle.pop() {
                    *peer = Some(upstream);
                    self.sides[upstream.index as usize] = Side::Upstream(Some(conn), None);
                    ring.send(upstream, Segment::Chunk(chunk));
                } else if let Ok(upstream) = ring.connect(&self.upstream, &ConnectOptions::default()) {
                    *peer = Some(upstream);
                    self.enter(upstream, Side::Upstream(Some(conn), Some(chunk)));
                }
            }
            Side::Upstream(peer, _) => {
                if let Some(downstream) = peer.take() {
                    self.sides[downstream.index as usize] = Side::Downstream(None);
                    self.idle.push(conn);
                    ring.send(downstream, Segment::Chunk(chunk));
                }
            }
            Side::Unknown => {}
        }
    }

    fn close(&mut self, ring: &mut Ring, conn: ConnId) {
        let side = std::mem::take(&mut self.sides[conn.index as usize]);
        ring.close(conn, CloseMode::Graceful);
        self.idle.retain(|idle| *idle != conn);
        if let Side::Downstream(Some(peer)) | Side::Upstream(Some(peer), _) = side {
            self.sides[peer.index as usize] = Side::Unknown;
            ring.close(peer, CloseMode::Graceful);
        }
    }
}

impl Machine<Ring> for Floor {
    type Message = ();

    fn handle_completion(&mut self, ring: &mut Ring, _now: Time, completion: Completion<RingChunk>) {
        match completion {
            Completion::Received { conn, chunk } => self.pass_on(ring, conn, chunk),
            Completion::Accepted { conn, .. } => {
                self.enter(conn, Side::Downstream(None));
                ring.receive(conn);
            }
            Completion::Connected { conn, result: Ok(()) } => {
                ring.receive(conn);
                if let Side::Upstream(_, request) = &mut self.sides[conn.index as usize]
                    && let Some(chunk) = request.take()
                {
                    ring.send(conn, Segment::Chunk(chunk));
                }
            }
            Completion::Connected { conn, result: Err(_) }
            | Completion::ReceiveEnded { conn, .. }
            | Completion::SendFailed { conn, .. } => self.close(ring, conn),
            _ => {}
        }
    }

    fn handle_message(&mut self, ring: &mut Ring, _now: Time, _message: ()) {
        ring.accept(ListenerId(0));
    }

    fn handle_turn(&mut self, _ring: &mut Ring, _now: Time) {}

    fn next_deadline(&self) -> Option<Time> {
        None
    }

    fn is_finished(&self) -> bool {
        false
    }
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut address = |name: &str| -> anyhow::Result<SocketAddr> {
        let text =
            arguments.next().with_context(|| format!("{name} is missing: sidering-floor LISTEN UPSTREAM"))?;
        text.parse().with_context(|| format!("{name} {text} is no address"))
    };
    let (listen, upstream) = (address("LISTEN")?, address("UPSTREAM")?);
    let listener = socket::open_listener(&Address::Ip(listen), 4096, true)?;
    let (mailbox, inbox) = mailbox(4)?;
    for delivery in [Delivery::Listen(ListenerId(0), listener), Delivery::Message(())] {
        anyhow::ensure!(mailbox.send(delivery).is_ok(), "the mailbox is too small");
    }
    let ring = Ring::new(RingOptions::default(), Arc::new(EngineCounters::default()))?;
    let floor = Floor { upstream: Address::Ip(upstream), sides: Vec::new(), idle: Vec::new() };
    run(ring, floor, inbox, Instant::now())?;
    Ok(())
}
