//! Clusters as one core runs them: which endpoint a request goes to, and the connections to it.

pub mod lb;
mod pick;
mod pool;

pub use pick::PickRequest;
pub use pool::{CoreCluster, Evicted};
