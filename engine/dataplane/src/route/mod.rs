//! From a request's authority and path to a route. Nothing here allocates or looks at anything but its arguments.

pub mod normalize;
mod table;

pub use table::{RouteTable, Routed};
