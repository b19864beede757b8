//! What the HTTP/1 codec promises, checked from outside: bytes in, events and bytes out.

mod bad_input;
mod bodies;
mod chunked;
mod cuts;
mod exchanges;
mod findings;
mod garbage;
mod limits;
mod replies;
mod requests;
mod responses;
mod round_trip;
mod support;
mod upgrades;
