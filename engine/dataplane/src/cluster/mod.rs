//! Clusters as one core runs them: which endpoint a request goes to, and the connections to it.

mod breaker;
mod host;
pub mod lb;
mod outcome;
mod pick;
mod pool;

pub use breaker::Breaker;
pub use host::{Host, HostTable};
pub use outcome::Outcome;
pub use pick::PickRequest;
pub use pool::{CoreCluster, Evicted};
