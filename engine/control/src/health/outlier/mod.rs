//! Passive health: which hosts of a cluster are ejected for what they answer, and for how long. Pure decisions after
//! Envoy's documented algorithm (docs/root/intro/arch_overview/upstream/outlier.rst).

mod detector;
mod sweep;
#[cfg(test)]
mod tests;
mod watch;
#[cfg(test)]
mod watch_tests;

pub use detector::{Decision, Detection, Detector};
pub use sweep::{Sweep, Traffic, Volume, ejection_threshold};
pub(crate) use watch::{Swept, Watch};
