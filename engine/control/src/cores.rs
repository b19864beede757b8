//! The cores as control sees them: something that can be sent orders. How they are driven is the binary's business.

use crate::discovery::Found;
use sidering_dataplane::io::{Address, ListenerId};
use sidering_dataplane::message::Message;
use std::os::fd::OwnedFd;
use tokio::sync::mpsc::Sender;

/// What a core may be sent.
#[derive(Debug)]
pub enum Order {
    /// Its own socket of a listener; comes before the configuration that has the listener.
    Listen(ListenerId, OwnedFd),
    Message(Message),
}

/// An address that is listened on, on behalf of all cores.
#[derive(Debug)]
pub struct Opened {
    /// Where it really is: port 0 is resolved.
    pub address: Address,
    /// One socket for each core.
    pub sockets: Vec<OwnedFd>,
}

/// All cores of the process.
pub trait Cores {
    /// How many there are.
    fn count(&self) -> usize;

    /// Opens an address for every core. The error is a sentence that names the address and says what to do.
    fn open(&mut self, address: &Address) -> Result<Opened, String>;

    /// Hands an order to a core. `false`: the core has ended, or takes no orders any more.
    fn send(&mut self, core: usize, order: Order) -> bool;
}

/// What happened that control must deal with.
#[derive(Debug)]
pub(crate) enum Event {
    Signal(Signal),
    CoreEnded {
        core: usize,
        result: Result<(), String>,
    },
    /// A drain should be over by now.
    DrainOverdue,
    /// A search for endpoints had an outcome.
    Found(Found),
    /// The configuration that waits is warm, or has waited long enough.
    Warmed,
}

/// The signals that mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Terminate,
    Interrupt,
    HangUp,
    ReopenLogs,
}

/// How a core's thread tells that it is over. Every core tells it once.
#[derive(Debug, Clone)]
pub struct CoreEnd(pub(crate) Sender<Event>);

impl CoreEnd {
    /// Tells it. Not to be called on the control thread.
    pub fn tell(&self, core: usize, result: Result<(), String>) {
        // No receiver: the process is ending anyway.
        let _ = self.0.blocking_send(Event::CoreEnded { core, result });
    }
}
