//! What every engine needs of the operating system, whichever way it waits: the mailbox of a core, sockets, the queue of
//! what is to be sent, pipes, the relay's bytes, and the data plane's word for an errno. It waits for nothing and keeps no
//! account of connections.

pub mod errno;
pub mod inbox;
pub mod pipes;
pub mod queue;
pub mod socket;
pub mod transfer;

pub use errno::{from_system, io_error};
pub use inbox::{Delivery, Mailbox, Receiver, Undelivered, mailbox};
