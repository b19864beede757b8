//! Clusters as one core runs them: which endpoint a request goes to, and the connections to it.

mod address_index;
mod availability;
mod breaker;
mod group;
mod host;
mod keys;
pub mod lb;
mod local_zones;
mod outcome;
pub mod outlier;
mod pick;
mod pool;
mod priority_load;
mod priority_set;
mod subsets;
mod zone_routing;
mod zones;

pub use breaker::Breaker;
pub use host::{Host, HostTable};
pub use keys::ClusterKeys;
pub use local_zones::LocalZones;
pub use outcome::Outcome;
pub use pick::PickRequest;
pub use pool::{CoreCluster, Evicted};
pub use priority_set::{Pick, PrioritySet};
pub use zone_routing::ZoneChoice;
pub use zones::Standstill;
