//! What waits to be sent on a connection that is read at the same time.

use std::cell::{Cell, RefCell};
use std::io;

use tokio::sync::Notify;
use tokio_uring::net::TcpStream;

/// From so much waiting on, whoever adds should first see it sent.
const FULL_BYTES: usize = 4 << 20;

/// Bytes of any number of frames, which leave in as few sends as the peer allows.
#[derive(Default)]
pub(crate) struct Outbox {
    waiting: RefCell<Vec<u8>>,
    is_closed: Cell<bool>,
    changed: Notify,
    taken: Notify,
}

impl Outbox {
    /// Adds what `write` appends.
    pub(crate) fn add<T>(&self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let written = write(&mut self.waiting.borrow_mut());
        self.changed.notify_one();
        written
    }

    /// Waits while too much is waiting; returns at once when nothing is sent any more.
    pub(crate) async fn room(&self) {
        while self.waiting.borrow().len() >= FULL_BYTES && !self.is_closed.get() {
            self.taken.notified().await;
        }
    }

    /// Nothing is added any more; what is waiting is still sent.
    pub(crate) fn close(&self) {
        self.is_closed.set(true);
        self.changed.notify_one();
        self.taken.notify_one();
    }

    /// Sends what comes until the outbox is closed and empty.
    pub(crate) async fn send(&self, conn: &TcpStream) -> io::Result<()> {
        let mut sending = Vec::new();
        loop {
            std::mem::swap(&mut sending, &mut *self.waiting.borrow_mut());
            self.taken.notify_one();
            if sending.is_empty() {
                if self.is_closed.get() {
                    return Ok(());
                }
                self.changed.notified().await;
                continue;
            }
            let (sent, returned) = conn.write_all(sending).await;
            if sent.is_err() {
                self.close();
                return sent;
            }
            sending = returned;
            sending.clear();
        }
    }
}
