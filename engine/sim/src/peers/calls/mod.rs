//! Models of the clients and servers of calls: one client and one server for all protocols, which differ in their frames.

mod bolt;
mod client;
mod dubbo;
mod frame;
mod habits;
mod origin;
mod tars;
mod thrift;

use super::exchange::{Exchange, Kind};
use super::{Model, tunnel};
use crate::bytes::{Purpose, pattern};
use crate::stage::Stage;
use frame::{Frame, FrameKind, Wire};

/// The models of a protocol with these frames.
macro_rules! models {
    ($($name:ident: $protocol:literal, $wire:expr;)*) => {
        $(
            /// See [`super::MODELS`].
            pub(super) const $name: Model = Model {
                protocol: $protocol,
                client: |link, tags, stage| client::client(&$wire, link, tags, stage),
                origin: |link, stage| origin::origin(&$wire, link, stage),
                exchange: |cluster, _, stage| exchange(&$wire, cluster, stage),
            };
        )*

        /// The frames of a protocol.
        fn wire(protocol: &str) -> &'static dyn Wire {
            match protocol {
                $($protocol => &$wire,)*
                other => panic!("{other} is no protocol of calls"),
            }
        }
    };
}

models! {
    BOLT: "bolt", bolt::Bolt;
    DUBBO: "dubbo", dubbo::Dubbo;
    DUBBO_THRIFT: "dubbo_thrift", thrift::DubboThrift;
    TARS: "tars", tars::Tars;
    THRIFT: "thrift", thrift::Thrift;
}

/// The status in which a proxy of this protocol tells a status of HTTP's vocabulary.
pub(crate) fn status_of(protocol: &str, http: u16) -> i32 {
    wire(protocol).status_of(http)
}

fn exchange(wire: &dyn Wire, cluster: usize, stage: &mut Stage<'_>) -> Exchange {
    let traits = wire.traits();
    let choices = &mut stage.engine.choices;
    let kind = match choices.below(20) {
        0..16 => Kind::Call,
        16..19 => Kind::OneWay,
        _ => Kind::LostCall,
    };
    let mut exchange = Exchange::call(kind, cluster, stage.plan, choices);
    exchange.dialect = choices.below(usize::from(traits.dialects)) as u8;
    exchange.status = if choices.chance(25) { choices.pick(traits.statuses) } else { 200 };
    exchange
}

/// The call with this tag, as its client writes it under this id.
fn call_of(tag: u32, id: u64, exchange: &Exchange) -> Frame {
    let kind = if exchange.kind == Kind::OneWay { FrameKind::OneWay } else { FrameKind::Call };
    let is_lost = exchange.kind == Kind::LostCall;
    Frame {
        service: if is_lost { "nowhere".into() } else { format!("c{}", exchange.cluster) },
        method: format!("m{tag}"),
        timeout_ms: exchange.timeout_ms,
        pad: exchange.pad,
        payload: payload_of(tag, Purpose::Request, exchange.body),
        ..Frame::new(kind, exchange.dialect, id)
    }
}

/// The bytes of a call or of its answer: the tag, and a body that no other one has.
fn payload_of(tag: u32, purpose: Purpose, body: usize) -> Vec<u8> {
    let mut payload = tunnel::name(tag);
    payload.extend_from_slice(pattern(tag, purpose, 0, body));
    payload
}

/// The tag that a payload begins with. What the proxy says itself has none.
fn tag_of(payload: &[u8]) -> Option<u32> {
    let is_named = payload.len() >= tunnel::NAME_BYTES && payload.starts_with(b"TAG");
    is_named.then(|| tunnel::tag_of(payload))
}

/// Holds a payload against the one that was sent.
#[track_caller]
fn check_payload(tag: u32, purpose: Purpose, body: usize, payload: &[u8]) {
    let (told, sent) = (payload.len(), tunnel::NAME_BYTES + body);
    assert_eq!(told, sent, "the length of the {purpose:?} of call {tag}");
    let both = payload[tunnel::NAME_BYTES..].iter().zip(pattern(tag, purpose, 0, body));
    let wrong = both.clone().position(|(told, sent)| told != sent);
    let count = both.filter(|(told, sent)| told != sent).count();
    assert!(
        wrong.is_none(),
        "the {purpose:?} of call {tag} has {count} wrong bytes of {body}, from {wrong:?} on"
    );
}
