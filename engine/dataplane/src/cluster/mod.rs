//! Clusters as one core runs them: which endpoint a request goes to, and the connections to it.

pub mod lb;
mod pool;

pub use pool::{CoreCluster, Evicted};
