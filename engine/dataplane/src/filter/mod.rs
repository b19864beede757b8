//! Filters: what looks at requests between their head and their route's action, and at the answers on their way back.
//!
//! A listener has a chain of them, in order; virtual hosts and routes configure its members anew or leave them out.
//! Filters decide and edit heads, and do nothing else: they know no connection, and what their verdicts lead to is
//! [`crate::proxy`]'s. Each is a folder here and a line in [`registry`].

pub mod adaptive_concurrency;
pub mod coding;
pub mod compressor;
pub mod concurrency_limit;
pub mod cors;
pub mod decompressor;
pub mod fault;
pub mod local_rate_limit;
pub mod rbac;

mod chain;
mod registry;
mod state;
#[cfg(test)]
mod test_request;
mod transform;
mod view;

pub use chain::Chain;
pub use registry::{FilterConfig, FilterCounters};
pub use state::{Memory, StreamFilters};
pub use transform::{Transform, Transforms};
pub use view::{EndView, RequestView, ResponseView};

use self::coding::CodingPool;
use self::local_rate_limit::shares::RateLimits;
use crate::observe::access_log::ResponseFlags;
use crate::observe::counters::ListenerCounters;
use crate::stream::Details;
use std::rc::Rc;
use std::sync::Arc;

/// One filter under one configuration, on one core. It serves many requests at once: what it must remember of one of
/// them is in that one's [`Memory`].
pub trait Filter {
    /// A request's head has come and its route is known.
    fn on_request(&self, request: &mut RequestView<'_>, memory: &mut Memory<'_>) -> Verdict;

    /// The delay that this filter has asked for is over.
    fn on_resumed(&self, _request: &mut RequestView<'_>, _memory: &mut Memory<'_>) -> Verdict {
        Verdict::Continue
    }

    /// A response's head has come, or a local reply is about to go out. `on_request` need not have been called: a
    /// filter in front of this one may have answered.
    fn on_response(&self, _response: &mut ResponseView<'_>, _memory: &mut Memory<'_>) {}

    /// What becomes of the body that follows an answer's head; called behind `on_response`, and the place to change the
    /// head accordingly. Its length is then not known any more.
    fn transform(
        &self,
        _response: &mut ResponseView<'_>,
        _memory: &mut Memory<'_>,
    ) -> Option<Box<dyn Transform>> {
        None
    }

    /// The request and its answer are over, in whatever way. Called once if `on_request` was.
    fn on_end(&self, _end: &EndView, _memory: &mut Memory<'_>) {}

    /// Whether it looks at the client's address, which costs a system call.
    fn wants_peer(&self) -> bool {
        false
    }

    /// Whether it means something for calls as it does for HTTP. If not, calls pass it by where both come.
    fn concerns_calls(&self) -> bool {
        true
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The next filter's turn.
    Continue,
    /// It waits for this long, unread beyond its head, before it goes on.
    Delay { ms: u64 },
    /// It is answered here. Header lines of the answer are in [`RequestView::lines`].
    Reply(Reply),
}

/// An answer of a filter.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub status: u16,
    pub body: &'static str,
    pub flags: ResponseFlags,
    pub details: Details,
}

/// A filter's configuration: checked, plain data.
pub trait Settings: Clone {
    /// The filter at work on one core.
    fn compile(&self, parts: &Parts<'_>) -> Rc<dyn Filter>;

    /// Whether it tells paths apart, so that all spellings of one should be made one before.
    fn looks_at_paths(&self) -> bool {
        false
    }

    /// Whether it asks for header fields of requests, which some protocols only look for where somebody asks.
    fn looks_at_fields(&self) -> bool {
        false
    }

    /// What holds where this is said by a route and `general` by its virtual host, or by the listener: for most
    /// filters, this alone.
    #[must_use]
    fn over(&self, _general: &Self) -> Self {
        self.clone()
    }
}

/// What filters are made with.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    /// Of the listener that the chain belongs to.
    pub counters: &'a Arc<ListenerCounters>,
    /// The buckets of this configuration on this core.
    pub rate_limits: &'a Rc<RateLimits>,
    /// The core's coders of bodies.
    pub codings: &'a Rc<CodingPool>,
}
