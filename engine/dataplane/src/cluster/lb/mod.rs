//! Load balancers: one file each. They see endpoints, not connections, and keep their state per core.

mod round_robin;

pub use round_robin::RoundRobin;
