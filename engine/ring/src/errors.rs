//! What can go wrong with the engine as a whole. It decides nothing.

use crate::sandbox::Sandbox;
use crate::unusable::{Reason, Unusable};

/// Why a ring could not be had, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The system refuses io_uring, or has too little of it.
    #[error("io_uring cannot be used: {0}. {advice} `sidering doctor` tells more.", advice = .0.advice())]
    Unusable(#[from] Unusable),
    /// Memory for buffers could not be mapped or registered.
    #[error("cannot set up {bytes} bytes of receive buffers: {source}")]
    Buffers {
        /// Bytes asked for.
        bytes: usize,
        /// The system's reason.
        source: std::io::Error,
    },
    /// An option is outside its bounds.
    #[error("ring option {option} is {value}, but must be {must}")]
    Option {
        /// Its name in [`crate::RingOptions`].
        option: &'static str,
        /// What was given.
        value: usize,
        /// What is allowed.
        must: &'static str,
    },
    /// io_uring_enter failed in a way that does not pass.
    #[error("io_uring_enter failed: {0}")]
    Enter(#[source] std::io::Error),
    /// The eventfd of a mailbox could not be watched.
    #[error("the wake-up descriptor failed: {0}")]
    Wake(#[source] std::io::Error),
}

impl RingError {
    /// `bytes` of buffers, or the ring that lists them, could not be had. Where rings count as locked memory it is that
    /// limit rather than the buffers.
    pub(crate) fn buffers(bytes: usize, source: std::io::Error) -> RingError {
        let obstacle = Unusable::refused("buffer rings", &source, &Sandbox::read());
        match obstacle.reason {
            Reason::NoMemory(Some(_)) => RingError::Unusable(obstacle),
            _ => RingError::Buffers { bytes, source },
        }
    }
}
