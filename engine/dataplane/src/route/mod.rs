//! From a request's authority and path to a route, and to where it sends the request. Nothing here allocates or looks at anything but its arguments.

pub mod normalize;
pub mod split;
mod table;
pub mod target;

pub use table::{RouteTable, Routed};
