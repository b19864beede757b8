//! One connection under load with calls: many in flight at a time, answers in any order, each checked and counted once.

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio_uring::net::TcpStream;

use super::connect::Connector;
use super::recorder::{Failure, Recorder};
use crate::call::{Exchange, FrameBuffer, Outbox};

/// The calls of one connection. An id is its slot and, above it, how often the slot was used, so that a second answer to a call
/// is told from the first one to the next.
struct Flight<'a> {
    exchange: &'a Exchange,
    recorder: &'a Recorder,
    outbox: &'a Outbox,
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    id: u32,
    /// None: no call is under way here.
    began: Option<Instant>,
}

/// Keeps `depth` calls in flight until the run is over; a connection that breaks is counted, with each of its calls, and replaced.
pub(crate) async fn run(
    connector: Rc<Connector>,
    recorder: Rc<Recorder>,
    exchange: Rc<Exchange>,
    depth: u32,
) {
    while recorder.may_start() {
        let Ok(conn) = connector.connect().await else {
            recorder.failed(Failure::Connect);
            continue;
        };
        let outbox = Outbox::default();
        let mut flight = Flight::new(&exchange, &recorder, &outbox, depth);
        flight.start_one();
        flight.top_up();
        let (received, _) = tokio::join!(flight.receive(&conn), outbox.send(&conn));
        if received.is_err() {
            recorder.failed(Failure::Read);
        }
        flight.give_up();
    }
}

impl<'a> Flight<'a> {
    fn new(exchange: &'a Exchange, recorder: &'a Recorder, outbox: &'a Outbox, depth: u32) -> Self {
        let slots = vec![Slot::default(); depth as usize];
        Self { exchange, recorder, outbox, slots, free: (0..depth).rev().collect() }
    }

    /// Takes answers until no call is in flight any more, which is when the recorder gives no leave to start another.
    async fn receive(&mut self, conn: &TcpStream) -> io::Result<()> {
        let received = self.receive_answers(conn).await;
        self.outbox.close();
        received
    }

    async fn receive_answers(&mut self, conn: &TcpStream) -> io::Result<()> {
        let mut buffer = FrameBuffer::new();
        while self.free.len() < self.slots.len() {
            if buffer.receive(conn).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let now = Instant::now();
            buffer.take_frames(self.exchange.protocol, |frame| {
                self.answered(frame, now);
                Ok(())
            })?;
            self.top_up();
        }
        Ok(())
    }

    fn answered(&mut self, frame: &[u8], now: Instant) {
        let id = self.exchange.protocol.id_of(frame);
        let index = id % self.slots.len() as u64;
        let slot = &mut self.slots[index as usize];
        let Some(began) = slot.began.take_if(|_| u64::from(slot.id) == id) else {
            return self.recorder.failed(Failure::Stray);
        };
        self.free.push(index as u32);
        self.recorder.call_ended();
        match self.exchange.check(frame) {
            // The body was carried there and back.
            Ok(()) => self.recorder.succeeded(2 * self.exchange.body_bytes as u64, now - began),
            Err(fault) => self.recorder.failed(fault.into()),
        }
    }

    /// Starts as many calls as may be in flight.
    fn top_up(&mut self) {
        while !self.free.is_empty() && self.recorder.may_start() {
            self.start_one();
        }
    }

    fn start_one(&mut self) {
        let Some(index) = self.free.pop() else { return };
        let depth = self.slots.len() as u32;
        let slot = &mut self.slots[index as usize];
        // Past the last one, an id begins anew with the slot's number.
        let next = slot.id.checked_add(depth).unwrap_or(index);
        *slot = Slot { id: if slot.id == 0 { depth + index } else { next }, began: Some(Instant::now()) };
        self.outbox.add(|out| self.exchange.write_request(slot.id, out));
        self.recorder.call_began();
    }

    /// Counts what was not answered: nothing more comes on this connection.
    fn give_up(&mut self) {
        for slot in &mut self.slots {
            if slot.began.take().is_some() {
                self.recorder.call_ended();
                self.recorder.failed(Failure::Lost);
            }
        }
    }
}

/// How long answers may be late after the window's end before their calls count as lost.
pub(crate) const LATE: Duration = Duration::from_secs(5);
