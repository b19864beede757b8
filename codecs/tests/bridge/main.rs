//! JSON to calls and answers to JSON: what goes out is read back with the readers that routing and bridging have, and, for what other
//! people's servers make of it, see the end-to-end tests.

mod answers;
mod arguments;
mod calls;
mod round_trip;
mod support;
