//! Models of HTTP/1 clients and upstreams, with their own reading and writing of it.

mod answer;
mod client;
mod malformed;
mod origin;
mod request;
mod wire;

use super::Model;
use super::exchange::{Exchange, Kind};
use crate::stage::Stage;

/// See [`super::MODELS`].
pub(super) const MODEL: Model =
    Model { protocol: "http1", client: client::client, origin: origin::origin, exchange };

/// A request that may be the last one of its connection, or not.
fn exchange(cluster: usize, is_last: bool, stage: &mut Stage<'_>) -> Exchange {
    let choices = &mut stage.engine.choices;
    let is_bulky = stage.plan.body_max > 1_000_000;
    let kind = match choices.below(if is_last { 100 } else { 78 }) {
        // What nobody waits for.
        61..65 if is_bulky => Kind::NoRouteBody,
        0..25 => Kind::Get,
        25..31 => Kind::Head,
        31..34 => Kind::Delete,
        34..36 => Kind::Options,
        36..49 => Kind::Post,
        49..61 => Kind::PostChunked,
        61..65 => Kind::PostExpect,
        65..69 => Kind::Put,
        69..72 => Kind::OldKeepAlive,
        72..75 => Kind::Direct,
        75 => Kind::NoRoute,
        76 => Kind::NoRouteBody,
        77 => Kind::Trace,
        78..82 => Kind::Old,
        82..89 => Kind::Upgrade,
        89..95 => Kind::Connect,
        _ => Kind::Malformed(choices.below(malformed::REQUESTS.len() + malformed::BEYOND) as u8),
    };
    Exchange::new(kind, cluster, stage.plan, choices)
}
