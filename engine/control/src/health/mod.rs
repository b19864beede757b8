//! The health of endpoints. What results of checks and counts of answers mean is decided without I/O: results, `now` and
//! randomness are arguments; only [`probe`] and [`run`] talk to anybody.

pub mod active;
mod checks;
mod events;
pub mod outlier;
mod probe;
mod random;
pub(crate) mod run;

pub(crate) use checks::{Checks, Judged, Next, TargetId};
pub use events::{CoreNotices, HealthEvents};
pub(crate) use probe::Outcome;
pub(crate) use random::Random;
