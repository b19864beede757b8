//! What can go wrong with the engine as a whole. It decides nothing.

/// Why the engine could not be had, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum EpollError {
    /// No epoll instance: the process or the system has no descriptor or memory left.
    #[error("cannot open epoll: {0}; raise the limit of descriptors (`ulimit -n`)")]
    Create(#[source] std::io::Error),
    /// The eventfd of a mailbox could not be watched.
    #[error("cannot watch the wake-up descriptor: {0}; raise the limit of descriptors (`ulimit -n`)")]
    Wake(#[source] std::io::Error),
    /// Waiting failed in a way that does not pass.
    #[error("epoll_wait failed: {0}")]
    Wait(#[source] std::io::Error),
    /// An option is outside its bounds.
    #[error("epoll option {option} is {value}, but must be {must}")]
    Option {
        /// Its name in [`crate::EpollOptions`].
        option: &'static str,
        /// What was given.
        value: usize,
        /// What is allowed.
        must: &'static str,
    },
}
