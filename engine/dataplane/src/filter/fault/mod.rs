//! Fault injection (Envoy's `fault`): delays and aborts, for a share of the requests, fixed or as their headers ask.

mod config;

pub use config::{Abort, Config, Delay};

use super::{EndView, Filter, Memory, Parts, Reply, RequestView, Settings, Verdict};
use crate::config::{HeaderMatch, Share};
use crate::observe::access_log::ResponseFlags;
use crate::observe::counters::{Counter, ListenerCounters};
use std::rc::Rc;
use std::sync::Arc;

/// What clients may ask for at most by header: they are not to be trusted with more.
const LONGEST_HEADER_DELAY_MS: u64 = 3_600_000;

/// What it counts.
#[derive(Debug, Default)]
pub struct Counters {
    pub delays_injected: Counter,
    pub aborts_injected: Counter,
    /// Faults not injected because of `max_active_faults`.
    pub faults_overflow: Counter,
    /// Gauge: requests with a fault that are under way.
    pub active_faults: Counter,
}

struct Fault {
    config: Config,
    counters: Arc<ListenerCounters>,
}

/// Set in a request's word once it counts as active.
const ACTIVE: u64 = 1;

impl Settings for Config {
    fn compile(&self, parts: &Parts<'_>) -> Rc<dyn Filter> {
        Rc::new(Fault { config: self.clone(), counters: Arc::clone(parts.counters) })
    }

    fn looks_at_paths(&self) -> bool {
        self.headers.iter().any(HeaderMatch::looks_at_path)
    }

    fn looks_at_fields(&self) -> bool {
        self.headers.iter().any(HeaderMatch::looks_at_field)
            || matches!(self.delay, Some(Delay::Header { .. }))
            || matches!(self.abort, Some(Abort::Header { .. }))
    }
}

impl Filter for Fault {
    fn on_request(&self, request: &mut RequestView<'_>, memory: &mut Memory<'_>) -> Verdict {
        if !self.config.headers.iter().all(|header| request.fulfils(header)) {
            return Verdict::Continue;
        }
        if let Some(ms) = self.delay_ms(request)
            && self.activate(memory)
        {
            self.counters.filters.fault.delays_injected.add(1);
            request.flags = request.flags.with(ResponseFlags::DELAY_INJECTED);
            return Verdict::Delay { ms };
        }
        self.abort(request, memory)
    }

    /// A delay may be followed by an abort.
    fn on_resumed(&self, request: &mut RequestView<'_>, memory: &mut Memory<'_>) -> Verdict {
        self.abort(request, memory)
    }

    fn on_end(&self, _: &EndView, memory: &mut Memory<'_>) {
        if *memory.word == ACTIVE {
            self.counters.filters.fault.active_faults.subtract(1);
        }
    }
}

impl Fault {
    fn delay_ms(&self, request: &mut RequestView<'_>) -> Option<u64> {
        let (share, ms) = match self.config.delay? {
            Delay::Fixed { ms, share } => (share, ms),
            Delay::Header { share } => {
                let ms = number(request, b"x-envoy-fault-delay-request")?.min(LONGEST_HEADER_DELAY_MS);
                (header_share(request, b"x-envoy-fault-delay-request-percentage", share), ms)
            }
        };
        (ms > 0 && share.takes(request.draw())).then_some(ms)
    }

    fn abort(&self, request: &mut RequestView<'_>, memory: &mut Memory<'_>) -> Verdict {
        let Some(status) = self.abort_status(request).filter(|_| self.activate(memory)) else {
            return Verdict::Continue;
        };
        self.counters.filters.fault.aborts_injected.add(1);
        Verdict::Reply(Reply {
            status,
            body: "fault filter abort",
            flags: ResponseFlags::FAULT_INJECTED,
            details: "fault_filter_abort".into(),
        })
    }

    fn abort_status(&self, request: &mut RequestView<'_>) -> Option<u16> {
        let (share, status) = match self.config.abort? {
            Abort::Fixed { status, share } => (share, status),
            Abort::Header { share } => {
                let status = number(request, b"x-envoy-fault-abort-request")?;
                let status = u16::try_from(status).ok().filter(|status| (200..600).contains(status))?;
                (header_share(request, b"x-envoy-fault-abort-request-percentage", share), status)
            }
        };
        share.takes(request.draw()).then_some(status)
    }

    /// Counts the request among those with a fault, unless there are too many. All faults of a request are one.
    fn activate(&self, memory: &mut Memory<'_>) -> bool {
        if *memory.word == ACTIVE {
            return true;
        }
        let counters = &self.counters.filters.fault;
        if counters.active_faults.get() >= self.config.max_active_faults {
            counters.faults_overflow.add(1);
            return false;
        }
        counters.active_faults.add(1);
        *memory.word = ACTIVE;
        true
    }
}

/// The share that the client asks for, in whole per cent, capped by what is configured.
fn header_share(request: &RequestView<'_>, name: &[u8], configured: Share) -> Share {
    let asked = number(request, name).and_then(|asked| u32::try_from(asked).ok());
    asked.map_or(configured, |percent| Share::percent(percent).min(configured))
}

/// A header that is a number. Of several fields the first counts.
fn number(request: &RequestView<'_>, name: &[u8]) -> Option<u64> {
    std::str::from_utf8(request.first_value(name)?).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
