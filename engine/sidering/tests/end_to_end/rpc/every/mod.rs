//! What holds for calls of every protocol, in every way of writing them: who is answered, in which terms, and what of that can go wrong.

mod killed;
mod one_way;
mod statuses;
mod terms;
mod timeouts;

use super::dialects::Dialect;
use crate::support::{Config, Origin, Wire};

/// Asks, and takes the answer.
#[track_caller]
fn ask(dialect: &Dialect, wire: &mut Wire, call: &[u8]) -> Vec<u8> {
    wire.send(call).unwrap();
    dialect.read(wire).unwrap_or_else(|error| panic!("{}: {error}", dialect.name))
}

/// An upstream that answers every call.
fn origin_of(dialect: &'static Dialect) -> Origin {
    Origin::start(|wire, _| dialect.serve(wire))
}

/// One listener of the dialect's protocol, with these keys and those of its only route.
fn listener(config: Config, dialect: &Dialect, name: &str, keys: &str, route: &str) -> Config {
    config.rpc(name, dialect.protocol, keys, &format!("{{ match: {{}}, {route} }}"))
}
