//! What can go wrong with the engine as a whole. It decides nothing.

/// Why a ring could not be had, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// io_uring_setup was refused with every combination of flags.
    #[error(
        "io_uring is not available: {0} (containers often forbid it: see `sidering doctor`, and allow io_uring_setup, \
         io_uring_enter and io_uring_register in the seccomp profile; or set kernel.io_uring_disabled to 0)"
    )]
    Setup(#[source] std::io::Error),
    /// The kernel lacks something the engine cannot do without.
    #[error("the kernel's io_uring lacks {feature}, which came with Linux {since}")]
    Missing {
        /// What is missing.
        feature: &'static str,
        /// The first kernel release that has it.
        since: &'static str,
    },
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
