//! One attempt to have a request answered by an endpoint. Plain state; what follows from it is decided in `proxy`.

use crate::cluster::Host;
use crate::io::{ConnId, Time};
use sidering_codecs::StreamId;
use std::rc::Rc;

/// Attempts of one request that may go on beside the one that was begun last.
pub const HEDGED: usize = 3;

/// Where an attempt goes, and whether it has got a connection.
///
/// ```text
/// Unrouted -> Delayed -> Gathering -> Asking -> Waiting -> Connecting -> Attached -> Released
///                                                  ^-------------------- BackingOff <-'
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Upstream {
    /// Not routed to a cluster: a local reply.
    #[default]
    Unrouted,
    /// Held back by a filter for a while.
    Delayed,
    /// Held back until it is whole.
    Gathering,
    /// Another core may have a connection for it.
    Asking,
    /// In the cluster's queue.
    Waiting,
    Connecting(ConnId),
    Attached(ConnId),
    /// An attempt came to nothing, or takes too long, and the next one is not due yet.
    BackingOff,
    /// The response is whole, or the upstream failed.
    Released,
}

/// One attempt; its exchange is named by its connection and its stream there.
#[derive(Debug, Default)]
pub struct Attempt {
    pub upstream: Upstream,
    pub stream: StreamId,
    /// The endpoint that was picked last, which keeps its place in the cluster's table for as long.
    pub host: Option<Rc<Host>>,
    /// When it got its connection.
    pub attached: Time,
    /// When the request's first bytes were handed to the kernel.
    pub sent: Option<Time>,
    /// Counted among the endpoint's active requests.
    pub is_at_endpoint: bool,
    /// Counted among the cluster's retries under way.
    pub is_counted: bool,
    /// It was not answered within the timeout of one try, and goes on.
    pub is_overdue: bool,
    /// Where its request begins among all that its connection sends, if that carries calls.
    pub begins_at: u64,
    /// Connections that were opened for it.
    pub connects: u8,
}
