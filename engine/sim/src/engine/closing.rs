//! The end of connections: what is in flight is cancelled, the socket is closed with its last completion, and only then
//! the index is free again.

use super::Engine;
use super::conn::{Life, Out, Side};
use super::link::End;
use crate::coverage::Situation;
use crate::journal::Who;
use sidering_dataplane::io::{CloseMode, ConnId, IoError};

impl Engine {
    /// `Io::close`.
    pub(super) fn close_conn(&mut self, id: ConnId, mode: CloseMode) {
        let index = id.index as usize;
        self.forget_relays_of(index);
        let conn = &mut self.conns[index];
        conn.generation = conn.generation.wrapping_add(1);
        conn.life = Life::Closing;
        conn.resets_at_close = mode == CloseMode::Reset;
        conn.out.truncate(conn.sending_segments);
        match conn.side {
            Side::Downstream(_) if !conn.is_told => {}
            Side::Downstream(listener) => {
                let truth = self.truth.listener(listener);
                truth.open -= 1;
            }
            Side::Upstream(cluster, endpoint) => self.truth.clusters[cluster].open[endpoint] -= 1,
        }
        let conn = &mut self.conns[index];
        if conn.in_flight == 0 {
            self.release(index);
        } else {
            conn.cancels_receive = conn.kernel_receives;
            self.is_ready = true;
        }
    }

    /// A completion of a connection that was closed meanwhile.
    pub(super) fn complete_late(&mut self, index: u32) {
        self.meet(Situation::LateCompletion);
        if self.conns[index as usize].in_flight == 0 {
            self.release(index as usize);
        }
    }

    /// Nothing is in flight any more: the socket is closed, and the index may be used again.
    fn release(&mut self, index: usize) {
        let conn = &mut self.conns[index];
        assert_eq!(conn.life, Life::Closing, "released without a close");
        conn.life = Life::Free;
        conn.out.retain(|out| matches!(out, Out::Relay(_)));
        assert!(conn.out.is_empty(), "a relay outlived its connection");
        let (serial, resets) = (conn.link, conn.resets_at_close);
        self.free.push(index as u32);
        self.close_socket(serial, resets);
    }

    /// The last descriptor is closed: FIN, or a reset if that was asked for or bytes are left unread.
    fn close_socket(&mut self, serial: u32, resets: bool) {
        let link = &self.links[serial as usize];
        if !link.is_open {
            self.links[serial as usize].proxy_closed = true;
            return;
        }
        let has_unread = link.arrived > 0;
        if has_unread && !resets {
            self.meet(Situation::ClosedWithUnread);
        }
        let kept = self.choices.below(self.links[serial as usize].down.len() + 1);
        let link = &mut self.links[serial as usize];
        link.proxy_closed = true;
        link.up.consume(link.arrived);
        link.arrived = 0;
        if resets || has_unread {
            if !matches!(link.down_end, Some(End::Reset(_))) {
                link.reset_peer(IoError::Reset, kept);
            }
        } else {
            link.down_end.get_or_insert(End::Fin);
        }
        self.mark(Who::Kernel, "closes the socket", serial, u64::from(resets || has_unread));
        self.wake_peer(serial);
    }
}
