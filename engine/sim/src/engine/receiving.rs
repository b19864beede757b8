//! The receiving side: what a receive's completions mean, parking, and arming at the end of a turn.

use super::conn::{Life, Receive};
use super::kernel::Received;
use super::{Engine, SimChunk};
use sidering_dataplane::io::{Completion, ConnId};

impl Engine {
    /// A completion of a receive.
    pub(super) fn complete_receive(
        &mut self,
        id: ConnId,
        received: Received,
        is_last: bool,
    ) -> Option<Completion<SimChunk>> {
        let conn = &mut self.conns[id.index as usize];
        if is_last {
            conn.in_flight -= 1;
            conn.cancels_receive = false;
        }
        if conn.generation != id.generation {
            drop(received);
            self.complete_late(id.index);
            return None;
        }
        match received {
            Received::Bytes(chunk) => {
                if is_last {
                    self.receive_stopped(id, false);
                }
                Some(Completion::Received { conn: id, chunk })
            }
            Received::End(result) => {
                if conn.receive == Receive::StopToRest {
                    conn.pause_due = true;
                    self.follow_ups.push_back(Completion::Paused { conn: id });
                }
                self.conns[id.index as usize].receive = Receive::Ended;
                Some(Completion::ReceiveEnded { conn: id, result })
            }
            Received::NoSlot => {
                self.receive_stopped(id, true);
                None
            }
            Received::Cancelled => {
                self.receive_stopped(id, false);
                None
            }
        }
    }

    /// A receive stopped without an end of the stream.
    fn receive_stopped(&mut self, id: ConnId, wants_slot: bool) {
        let conn = &mut self.conns[id.index as usize];
        match conn.receive {
            Receive::StopToRest => {
                conn.receive = Receive::Rest;
                conn.pause_due = true;
                self.follow_ups.push_back(Completion::Paused { conn: id });
            }
            Receive::Armed | Receive::StopToResume if wants_slot => {
                conn.receive = Receive::Parked;
                if !self.parked.contains(&id.index) {
                    self.parked.push_back(id.index);
                }
            }
            Receive::Armed | Receive::StopToResume => conn.receive = Receive::Wanted,
            Receive::Rest | Receive::Wanted | Receive::Parked | Receive::Ended => {}
        }
    }

    /// Lets as many parked receives try again as there are slots for.
    pub(super) fn unpark(&mut self) {
        let mut chances = self.slots.at_home();
        while chances > 0
            && let Some(index) = self.parked.pop_front()
        {
            let conn = &mut self.conns[index as usize];
            if conn.life == Life::Live && conn.receive == Receive::Parked {
                conn.receive = Receive::Wanted;
                chances -= 1;
            }
        }
    }

    /// Hands wanted receives to the kernel.
    pub(super) fn arm_receives(&mut self) {
        for conn in &mut self.conns {
            let is_due = conn.life == Life::Live && conn.receive == Receive::Wanted && conn.is_connected;
            // While a relay takes the bytes nobody else may.
            if is_due && conn.relay_out.is_none() {
                conn.receive = Receive::Armed;
                conn.kernel_receives = true;
                conn.cancels_receive = false;
                conn.in_flight += 1;
                self.is_ready |= self.links[conn.link as usize].is_readable();
            } else {
                self.is_ready |= conn.cancels_receive && conn.kernel_receives;
            }
        }
    }

    /// Receives that wait for a slot.
    pub(crate) fn parked_count(&self) -> usize {
        self.conns.iter().filter(|conn| conn.life == Life::Live && conn.receive == Receive::Parked).count()
    }
}
