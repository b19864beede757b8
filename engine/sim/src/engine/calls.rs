//! `Io`: what the machine asks for, held against the contract. Anything it must not ask for is a panic here.

use super::conn::{Out, Receive, Send};
use super::kernel::checksum;
use super::{Engine, SimChunk};
use crate::coverage::Situation;
use crate::journal::Who;
use sidering_dataplane::io::{
    Address, CloseMode, Completion, ConnId, ConnectOptions, Io, IoError, ListenerId, Segment,
};
use std::net::SocketAddr;

impl Io for Engine {
    type Chunk = SimChunk;

    fn accept(&mut self, listener: ListenerId) {
        self.mark(Who::Machine, "accepts on listener", u32::MAX, u64::from(listener.0));
        self.start_accept(listener.0);
    }

    fn close_listener(&mut self, listener: ListenerId) {
        self.mark(Who::Machine, "closes listener", u32::MAX, u64::from(listener.0));
        self.stop_listener(listener.0);
    }

    fn connect(&mut self, address: &Address, _: &ConnectOptions) -> Result<ConnId, IoError> {
        self.start_connect(address)
    }

    fn receive(&mut self, id: ConnId) {
        let now = self.now;
        let conn = self.live(id, "receive");
        assert!(conn.is_connected, "misuse: receive before connect: {id:?}");
        assert!(conn.relay_out.is_none(), "misuse: receive while a relay takes from it: {id:?}");
        let takes_back = std::mem::take(&mut conn.pause_due) || conn.receive == Receive::StopToRest;
        match conn.receive {
            Receive::Rest => {
                conn.receive = Receive::Wanted;
                conn.resumed_at = now;
            }
            Receive::StopToRest => conn.receive = Receive::StopToResume,
            _ => {}
        }
        let link = conn.link;
        if takes_back {
            self.meet(Situation::PauseTakenBack);
        }
        self.mark(Who::Machine, "receives", link, 0);
    }

    fn pause(&mut self, id: ConnId) {
        let conn = self.live(id, "pause");
        assert!(conn.is_connected, "misuse: pause before connect: {id:?}");
        assert!(conn.relay_out.is_none(), "misuse: pause while a relay takes from it: {id:?}");
        let link = conn.link;
        match conn.receive {
            Receive::Armed => {
                conn.receive = Receive::StopToRest;
                conn.cancels_receive = true;
                self.meet(Situation::PausedWhileReceiving);
            }
            Receive::StopToResume => conn.receive = Receive::StopToRest,
            Receive::StopToRest => {}
            Receive::Rest | Receive::Wanted | Receive::Parked | Receive::Ended => {
                if conn.receive != Receive::Ended {
                    conn.receive = Receive::Rest;
                }
                if !std::mem::replace(&mut conn.pause_due, true) {
                    self.deferred.push_back(Completion::Paused { conn: id });
                }
            }
        }
        self.mark(Who::Machine, "pauses", link, 0);
    }

    fn send(&mut self, id: ConnId, segment: Segment<SimChunk>) {
        let conn = self.live(id, "send");
        let (knows_end, link, side) = (conn.knows_end, conn.link, conn.side);
        // An upstream that has ended its side cannot answer any more.
        let is_in_vain = knows_end && matches!(side, super::Side::Upstream(..));
        assert!(
            !is_in_vain || self.links[link as usize].is_tunnel,
            "bytes for an upstream that has ended: {id:?}"
        );
        let conn = self.live(id, "send");
        conn.has_asked = true;
        let is_spoiled = conn.is_spoiled && matches!(side, super::Side::Upstream(..));
        assert!(!is_spoiled, "a request on a connection whose upstream said what nobody asked for: {id:?}");
        assert!(conn.is_connected, "misuse: send before connect: {id:?}");
        assert!(!conn.finishing, "misuse: send after shutdown: {id:?}");
        assert!(!conn.knows_send_failed, "misuse: send after a failed send was told: {id:?}");
        assert!(!segment.is_empty(), "misuse: an empty segment: {id:?}");
        conn.queued_bytes += segment.len();
        conn.queued_chunks += usize::from(matches!(segment, Segment::Chunk(_)));
        let (link, bytes) = (conn.link, segment.len() as u64);
        if conn.send != Send::Ended {
            let sum = checksum(&segment);
            conn.out.push_back(Out::Segment(segment, sum));
        }
        self.mark(Who::Machine, "queues bytes", link, bytes);
    }

    fn unsent(&mut self, id: ConnId, out: &mut Vec<u8>) {
        let begin = out.len();
        let conn = self.live(id, "unsent");
        conn.copy_unsent(out);
        let link = conn.link;
        self.mark(Who::Machine, "asks what is unsent", link, (out.len() - begin) as u64);
    }

    fn relay(&mut self, from: ConnId, to: ConnId, limit: u64) {
        self.queue_relay(from, to, limit);
    }

    fn shutdown(&mut self, id: ConnId) {
        let conn = self.live(id, "shutdown");
        assert!(conn.is_connected, "misuse: shutdown before connect: {id:?}");
        assert!(!conn.finishing, "misuse: shut down twice: {id:?}");
        conn.finishing = true;
        let link = conn.link;
        if conn.send == Send::Ended {
            conn.told_at_finish = Some(conn.told_bytes);
        } else {
            conn.out.push_back(Out::Finish);
        }
        self.mark(Who::Machine, "shuts down", link, 0);
    }

    fn close(&mut self, id: ConnId, mode: CloseMode) {
        let link = self.live(id, "close").link;
        let what = if mode == CloseMode::Reset { "closes with a reset" } else { "closes" };
        self.mark(Who::Machine, what, link, 0);
        self.close_conn(id, mode);
    }

    fn peer_address(&mut self, id: ConnId) -> Option<SocketAddr> {
        let link = self.live(id, "peer_address").link;
        Some(([192, 0, 2, 1], 1024 + link as u16).into())
    }
}

impl Engine {
    /// How many connections the machine has open.
    pub(crate) fn open_count(&self) -> usize {
        self.open_conns().count()
    }

    /// Whether a completion made earlier may still be told.
    pub(crate) fn may_tell(&mut self, completion: &Completion<SimChunk>) -> bool {
        match completion {
            Completion::Paused { conn } => {
                if !self.is_live(*conn) {
                    return false;
                }
                std::mem::take(&mut self.conns[conn.index as usize].pause_due)
            }
            Completion::Relayed { from, to, .. } | Completion::RelayEnded { from, to, .. } => {
                self.is_live(*from) && self.is_live(*to)
            }
            Completion::Accepted { conn, .. }
            | Completion::Connected { conn, .. }
            | Completion::Received { conn, .. }
            | Completion::ReceiveEnded { conn, .. }
            | Completion::Sent { conn, .. }
            | Completion::SendFailed { conn, .. } => self.is_live(*conn),
            Completion::AcceptFailed { .. } => true,
        }
    }
}
