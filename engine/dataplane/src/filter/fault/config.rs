//! What fault injection is configured with.

use crate::config::{HeaderMatch, Share};

/// Which requests get which faults.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub delay: Option<Delay>,
    pub abort: Option<Abort>,
    /// Only requests that fulfil all of these.
    pub headers: Vec<HeaderMatch>,
    /// Requests with a fault that may be under way at once, on one core; beyond it none is injected. `u64::MAX`: any
    /// number.
    pub max_active_faults: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config { delay: None, abort: None, headers: vec![], max_active_faults: u64::MAX }
    }
}

/// How long requests wait before they go on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Delay {
    Fixed {
        /// Above 0.
        ms: u64,
        share: Share,
    },
    /// As `x-envoy-fault-delay-request` says, in milliseconds, and at most an hour.
    Header { share: Share },
}

/// What requests are answered with instead of going on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Abort {
    Fixed {
        /// 200..=599.
        status: u16,
        share: Share,
    },
    /// As `x-envoy-fault-abort-request` says.
    Header { share: Share },
}
