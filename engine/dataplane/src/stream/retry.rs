//! What a stream knows of its attempts. Plain state; what follows from it is decided in `proxy/attempts.rs`.

use crate::config::RetryOn;
use crate::io::Time;

/// Statuses that a request may itself name as retriable; more are not heard.
pub const NAMED_STATUS_CODES: usize = 8;

/// The attempts of one request. The default is a request that is never sent again.
#[derive(Debug, Default)]
pub struct Retry {
    /// Empty where the request is not to be sent again.
    pub on: RetryOn,
    /// Retries left.
    pub remaining: u32,
    /// Retries made.
    pub made: u32,
    /// Something of an answer has reached the client, or what would be sent again is no longer there.
    pub is_final: bool,
    /// Of the latter: the request's body is longer than what is kept.
    pub is_too_large: bool,
    /// There was a reason to send it again, and it could not be, for its length.
    pub is_missed: bool,
    /// It was sent again because its connection was lost before any of it had left.
    pub was_unsent: bool,
    /// 0 is off.
    pub per_try_timeout_ms: u64,
    /// An attempt that is not answered within that time goes on beside the next one.
    pub hedges: bool,
    /// When the back-off is over, or another core has taken too long for an answer.
    pub due: Time,
    /// By `x-envoy-retriable-status-codes`; 0 is none.
    pub status_codes: [u16; NAMED_STATUS_CODES],
}

impl Retry {
    /// Whether another attempt is thought of at all.
    pub fn is_on(&self) -> bool {
        !self.on.is_empty() && !self.is_final
    }
}
