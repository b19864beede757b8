//! What a model peer can do and see: its end of a link, the ledger, the time. It cannot see the machine.

use crate::agenda::Event;
use crate::choices::Choices;
use crate::coverage::Situation;
use crate::engine::Engine;
use crate::engine::link::End;
use crate::journal::Who;
use crate::ledger::Ledger;
use crate::plan::Plan;
use sidering_dataplane::io::IoError;

/// The world as a peer has it.
pub(crate) struct Stage<'a> {
    pub(crate) engine: &'a mut Engine,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) plan: &'a Plan,
    /// Requests that a client could not send on its connection and will on another.
    pub(crate) left_over: &'a mut Vec<Vec<u32>>,
}

impl Stage<'_> {
    pub(crate) fn now(&self) -> u64 {
        self.engine.now
    }

    pub(crate) fn choices(&mut self) -> &mut Choices {
        &mut self.engine.choices
    }

    pub(crate) fn meet(&mut self, situation: Situation) {
        self.engine.meet(situation);
    }

    pub(crate) fn mark(&mut self, who: Who, what: &'static str, link: u32, number: u64) {
        self.engine.mark(who, what, link, number);
    }

    /// Bytes that came and were not consumed.
    pub(crate) fn incoming(&self, link: u32) -> &[u8] {
        self.engine.links[link as usize].down.peek()
    }

    pub(crate) fn consume(&mut self, link: u32, length: usize) {
        if length > 0 {
            self.engine.links[link as usize].down.consume(length);
            self.engine.peer_has_read(link);
        }
    }

    /// How the proxy ended its side, once everything before was consumed.
    pub(crate) fn end(&self, link: u32) -> Option<End> {
        let link = &self.engine.links[link as usize];
        link.down_end.filter(|_| link.down.is_empty())
    }

    /// How the proxy ended its side, if nothing will come behind what is there; that is dropped.
    pub(crate) fn end_behind_rest(&mut self, link: u32) -> Option<End> {
        let entry = &self.engine.links[link as usize];
        let (end, left) = (entry.down_end?, entry.down.len());
        self.consume(link, left);
        Some(end)
    }

    /// Writes what there is room for, and asks to be woken if that is not everything.
    pub(crate) fn write(&mut self, serial: u32, bytes: &[u8]) -> usize {
        let now = self.engine.now;
        let link = &mut self.engine.links[serial as usize];
        if matches!(link.down_end, Some(End::Reset(_))) || matches!(link.up_end, Some(End::Reset(_))) {
            return bytes.len();
        }
        assert!(link.up_end.is_none(), "a model writes behind its own end");
        let length = bytes.len().min(link.up_window.saturating_sub(link.up.len()));
        link.writer_waits = length < bytes.len();
        if length > 0 {
            link.up.push(&bytes[..length]);
            let when = now + link.delay;
            self.engine.agenda.add(when, Event::Arrive(serial));
        }
        length
    }

    /// Ends the sending side.
    pub(crate) fn fin(&mut self, serial: u32) {
        let now = self.engine.now;
        let link = &mut self.engine.links[serial as usize];
        if link.up_end.is_none() {
            link.up_end = Some(End::Fin);
            let when = now + link.delay;
            self.engine.agenda.add(when, Event::Arrive(serial));
        }
    }

    /// Closes the socket: FIN, and what still comes is answered by a reset. Unread bytes make it a reset at once.
    pub(crate) fn close(&mut self, serial: u32) {
        let link = &self.engine.links[serial as usize];
        if !link.down.is_empty() {
            return self.reset(serial);
        }
        self.fin(serial);
        self.engine.links[serial as usize].peer_closed = true;
    }

    pub(crate) fn reset(&mut self, serial: u32) {
        let error = self.engine.choices.pick(&[IoError::Reset, IoError::BrokenPipe]);
        self.engine.peer_resets(serial, error);
    }

    pub(crate) fn wake_in(&mut self, link: u32, micros: u64) {
        self.engine.wake_peer_in(link, micros);
    }

    /// Bytes that the proxy has taken of what was written on this link.
    pub(crate) fn taken_by_proxy(&self, link: u32) -> u64 {
        self.engine.links[link as usize].taken
    }
}
