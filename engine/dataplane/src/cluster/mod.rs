//! Clusters as one core runs them: which endpoint a request goes to, and the connections to it.

mod host;
pub mod lb;
mod pick;
mod pool;

pub use host::{Host, HostTable};
pub use pick::PickRequest;
pub use pool::{CoreCluster, Evicted};
