//! The way from the control thread to a core: a bounded queue and an eventfd that wakes the core's engine.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use rustix::event::{EventfdFlags, eventfd};
use sidering_dataplane::io::ListenerId;

/// What can be sent to a core.
#[derive(Debug)]
pub enum Delivery<M> {
    /// A listening socket for this core. The machine starts it with `Io::accept`, so send it before the message that
    /// makes the machine do so.
    Listen(ListenerId, OwnedFd),
    /// A message for the core's machine.
    Message(M),
}

/// Why a delivery was not taken, and the delivery itself.
#[derive(Debug)]
pub enum Undelivered<M> {
    /// The core is behind: its queue is full. Try again later.
    Full(Delivery<M>),
    /// The core's loop has ended.
    Closed(Delivery<M>),
}

/// The sending side. Can be cloned and sent to other threads.
pub struct Mailbox<M> {
    sender: SyncSender<Delivery<M>>,
    wake: Arc<File>,
}

impl<M> Clone for Mailbox<M> {
    fn clone(&self) -> Mailbox<M> {
        Mailbox { sender: self.sender.clone(), wake: self.wake.clone() }
    }
}

impl<M> Mailbox<M> {
    /// Queues a delivery and wakes the core. Never blocks.
    ///
    /// # Errors
    /// [`Undelivered`], with the delivery in it.
    pub fn send(&self, delivery: Delivery<M>) -> Result<(), Undelivered<M>> {
        self.sender.try_send(delivery).map_err(|error| match error {
            TrySendError::Full(delivery) => Undelivered::Full(delivery),
            TrySendError::Disconnected(delivery) => Undelivered::Closed(delivery),
        })?;
        // The only failure is a counter already at its limit, which wakes just as well.
        let _ = (&*self.wake).write(&1_u64.to_ne_bytes());
        Ok(())
    }
}

/// The core's side, to be given to the engine's loop. Can be sent to the core's thread.
pub struct Receiver<M> {
    receiver: std::sync::mpsc::Receiver<Delivery<M>>,
    wake: Arc<File>,
}

impl<M> Receiver<M> {
    /// The next delivery at hand.
    pub fn try_next(&self) -> Option<Delivery<M>> {
        self.receiver.try_recv().ok()
    }

    /// Resets the eventfd. What is queued from here on wakes anew.
    pub fn acknowledge(&self) {
        let mut count = [0; 8];
        // Nonblocking: nothing to read means somebody was faster, and the queue is looked at anyway.
        let _ = (&*self.wake).read(&mut count);
    }

    /// A descriptor of its own for the engine to watch: readable while something was sent and not acknowledged.
    ///
    /// # Errors
    /// The system's, if no descriptor is left.
    pub fn wake_descriptor(&self) -> io::Result<OwnedFd> {
        self.wake.try_clone().map(OwnedFd::from)
    }
}

/// A queue to one core for at most `capacity` deliveries (at least 1).
///
/// # Errors
/// The system's, if no eventfd can be had.
pub fn mailbox<M>(capacity: usize) -> io::Result<(Mailbox<M>, Receiver<M>)> {
    let wake = Arc::new(File::from(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?));
    let (sender, receiver) = sync_channel(capacity.max(1));
    Ok((Mailbox { sender, wake: wake.clone() }, Receiver { receiver, wake }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_bounded_and_gives_back_what_it_does_not_take() {
        let (mailbox, receiver) = mailbox::<u32>(2).unwrap();
        mailbox.send(Delivery::Message(1)).unwrap();
        mailbox.clone().send(Delivery::Message(2)).unwrap();
        assert!(matches!(mailbox.send(Delivery::Message(3)), Err(Undelivered::Full(Delivery::Message(3)))));
        receiver.acknowledge();
        assert!(matches!(receiver.try_next(), Some(Delivery::Message(1))));
        assert!(matches!(receiver.try_next(), Some(Delivery::Message(2))));
        assert!(receiver.try_next().is_none());
        drop(receiver);
        assert!(matches!(mailbox.send(Delivery::Message(4)), Err(Undelivered::Closed(Delivery::Message(4)))));
    }
}
