//! Models of those the proxy talks to, by protocol. The machine's own codecs are no part of them: what a model reads and
//! writes is its own reading of the standards.

pub(crate) mod calls;
pub(crate) mod exchange;
mod http1;
pub(crate) mod manners;
mod raw;
mod tunnel;

use crate::stage::Stage;

/// Somebody at the other end of a link.
pub(crate) trait Peer {
    /// Something may have come, or the time it asked for.
    fn wake(&mut self, stage: &mut Stage<'_>);

    /// The run is over: what is left undone has to be explained.
    fn finish(&mut self, stage: &mut Stage<'_>);
}

/// The models of one protocol.
pub(crate) struct Model {
    /// As the codec registry names it.
    pub(crate) protocol: &'static str,
    /// A client on a link that it has just opened, with the requests that it is to send.
    pub(crate) client: fn(u32, Vec<u32>, &mut Stage<'_>) -> Box<dyn Peer>,
    /// An upstream on a link that was just established to it.
    pub(crate) origin: fn(u32, &mut Stage<'_>) -> Box<dyn Peer>,
    /// A request that the protocol's clients might send, to the cluster of this number.
    pub(crate) exchange: fn(usize, bool, &mut Stage<'_>) -> exchange::Exchange,
}

/// Every protocol that is simulated, one line each.
pub(crate) static MODELS: &[Model] =
    &[http1::MODEL, calls::BOLT, calls::DUBBO, calls::DUBBO_THRIFT, calls::TARS, calls::THRIFT, raw::MODEL];

/// The models of this protocol.
pub(crate) fn model(protocol: &str) -> &'static Model {
    let found = MODELS.iter().find(|model| model.protocol == protocol);
    found.unwrap_or_else(|| panic!("there is no model of {protocol}: add it to MODELS"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protocol_of_the_codecs_has_models() {
        for protocol in sidering_codecs::registry::protocols() {
            assert_eq!(model(protocol.name).protocol, protocol.name);
        }
        assert_eq!(model("tcp").protocol, "tcp");
    }
}
