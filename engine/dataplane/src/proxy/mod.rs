//! What the worker does with what happens: both sides of a request, its end, its failures, its body's way.
//!
//! Each file is one part of [`crate::worker::Worker`]'s behaviour. Two rules hold for all of them: while a connection's
//! codec is out of its place (it is decoding), nothing may write to that connection, so answers are left as work; and
//! whatever ends a stream goes through `finish`, or does the same at once (`plain_calls`).

mod accept;
mod action;
mod answers;
mod attempts;
mod bridge;
mod calls;
mod close;
mod deadlines;
mod detection;
mod downstream;
pub(crate) mod drain;
mod filtering;
mod finish;
mod flow;
mod forwarding;
mod handover;
mod hashing;
mod headers;
mod heartbeat;
mod hedge;
mod kept_body;
mod local_reply;
mod membership;
mod mirror;
mod outcome;
mod overrides;
mod pick;
mod plain_calls;
mod race;
mod relay;
mod retry;
mod shared;
mod transforming;
mod tunnel;
mod unsent;
mod upstream;
