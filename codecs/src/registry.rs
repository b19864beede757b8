//! Every protocol Sidering speaks, one line each, and those that a program built around it adds ([`add`]). Nothing else in
//! the project lists protocols.

use crate::bolt::Bolt;
use crate::bridge::Bridge;
use crate::codec::Codec;
use crate::detection::Detection;
use crate::dubbo::Dubbo;
use crate::dubbo_thrift::DubboThrift;
use crate::rpc::{self, Layout, NewCall, PoolMode};
use crate::tars::Tars;
use crate::thrift::Thrift;
use std::sync::OnceLock;

/// What a listener or cluster sets for its codecs. Small, and copied into each connection's codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecOptions {
    /// At most this many bytes of one head (start line and fields) or of trailers. 431 beyond.
    pub header_bytes: u32,
    /// At most this many fields in one head. 431 beyond. At most [`MAX_HEADERS`].
    pub headers: u16,
    /// At most this many bytes of request target. 414 beyond.
    pub uri_bytes: u32,
    /// Accept a bare LF as the end of a head's line (RFC 9112 section 2.2 allows it); never in chunked framing.
    pub lenient_line_ends: bool,
    /// Fields of calls matter even where they stand behind the payload; see
    /// [`ScanLimits::wants_late_fields`](crate::rpc::ScanLimits::wants_late_fields).
    pub late_fields: bool,
    /// The end of a connection is announced even in a protocol in which not every peer understands that (bolt).
    pub go_away: bool,
}

/// The largest value of [`CodecOptions::headers`].
pub const MAX_HEADERS: u16 = 256;

impl CodecOptions {
    /// What holds where nobody says anything else.
    pub const DEFAULT: Self = CodecOptions {
        header_bytes: 64 * 1024,
        headers: 100,
        uri_bytes: 16 * 1024,
        lenient_line_ends: false,
        late_fields: false,
        go_away: false,
    };
}

impl Default for CodecOptions {
    fn default() -> Self {
        CodecOptions::DEFAULT
    }
}

/// One protocol: its name in the configuration and how its codecs are made.
#[derive(Debug)]
pub struct Protocol {
    /// As written in `protocol:`.
    pub name: &'static str,
    /// A codec for a downstream connection (decodes requests).
    pub server: fn(CodecOptions) -> Box<dyn Codec>,
    /// A codec for an upstream connection (decodes responses).
    pub client: fn(CodecOptions) -> Box<dyn Codec>,
    /// How exchanges share connections.
    pub pool: PoolMode,
    /// Heads are those of calls: they have a service and a method instead of a path.
    pub is_rpc: bool,
    /// Whether fields of a message that passes can be changed.
    pub can_change_fields: bool,
    /// Whether a connection's first bytes are this protocol's.
    pub detect: fn(&[u8]) -> Detection,
    /// The status of an answer of the proxy's own in the protocol's terms; see [`Layout::own_status`].
    pub own_status: fn(u16) -> i32,
    /// Writes a call that is made here; see [`Layout::write_call`].
    pub write_call: fn(&NewCall<'_>, u64, &mut Vec<u8>) -> bool,
    /// How JSON becomes calls, if it does.
    pub bridge: Option<Bridge>,
}

impl Protocol {
    /// Whether its clients can ask a silent peer whether it is still there.
    pub fn has_heartbeats(&self) -> bool {
        (self.client)(CodecOptions::DEFAULT).encode_ping(&mut Vec::new())
    }

    /// Whether it is for [`CodecOptions::go_away`] to say that the end of a connection is announced by a message of its own.
    pub fn has_optional_go_away(&self) -> bool {
        let announces = |go_away| {
            let mut codec = (self.server)(CodecOptions { go_away, ..CodecOptions::DEFAULT });
            codec.close_after_current();
            codec.has_control()
        };
        announces(true) && !announces(false)
    }

    /// A protocol of framed calls.
    pub const fn of_layout<L: Layout>() -> Self {
        Protocol {
            name: L::NAME,
            server: rpc::server::<L>,
            client: rpc::client::<L>,
            pool: L::POOL_MODE,
            is_rpc: true,
            can_change_fields: L::CAN_CHANGE_FIELDS,
            detect: L::detect,
            own_status: L::own_status,
            write_call: L::write_call,
            bridge: L::BRIDGE,
        }
    }
}

/// The protocols that are always there, in the order in which detection asks them.
static PROTOCOLS: &[Protocol] = &[
    Protocol {
        name: "http1",
        server: crate::http1::server,
        client: crate::http1::client,
        pool: PoolMode::PingPong,
        is_rpc: false,
        can_change_fields: true,
        detect: crate::http1::detect,
        own_status: i32::from,
        write_call: |_, _, _| false,
        bridge: None,
    },
    Protocol::of_layout::<Bolt>(),
    Protocol::of_layout::<Dubbo>(),
    Protocol::of_layout::<DubboThrift>(),
    Protocol::of_layout::<Tars>(),
    Protocol::of_layout::<Thrift>(),
];

/// Those that were added.
static ADDED: OnceLock<&'static [Protocol]> = OnceLock::new();

/// At most so many protocols there are: each is counted by its place.
pub const MAX_PROTOCOLS: usize = 32;

/// What means something else where a protocol's name may stand in a configuration.
const TAKEN: &[&str] = &["http", "http2", "grpc", "tcp", "auto"];

/// Why protocols could not be added.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AddError {
    /// They are added once.
    #[error("protocols were added before")]
    Twice,
    /// There is a protocol of this name, or it means something else.
    #[error("the protocol name `{0}` is taken")]
    NameTaken(&'static str),
    /// Only lower-case letters, digits and `_`, so that it can stand in configurations, URLs and metrics.
    #[error("`{0}` is no name for a protocol: lower-case letters, digits and _, a letter first")]
    BadName(&'static str),
    /// More than [`MAX_PROTOCOLS`].
    #[error("more than {MAX_PROTOCOLS} protocols")]
    TooMany,
}

/// Adds protocols to those that are always there; detection asks them behind these. It can be done once in a process, before
/// any configuration is read: `sidering::run` does it.
///
/// # Errors
/// None is added then.
pub fn add(protocols: &'static [Protocol]) -> Result<(), AddError> {
    check(protocols)?;
    ADDED.set(protocols).map_err(|_| AddError::Twice)
}

fn check(added: &[Protocol]) -> Result<(), AddError> {
    if PROTOCOLS.len() + added.len() > MAX_PROTOCOLS {
        return Err(AddError::TooMany);
    }
    for (at, Protocol { name, .. }) in added.iter().enumerate() {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !name.bytes().all(is_plain) || !name.starts_with(|first: char| first.is_ascii_lowercase()) {
            return Err(AddError::BadName(name));
        }
        let is_taken = TAKEN.contains(name)
            || PROTOCOLS.iter().any(|known| known.name == *name)
            || added[..at].iter().any(|before| before.name == *name);
        if is_taken {
            return Err(AddError::NameTaken(name));
        }
    }
    Ok(())
}

/// All protocols, in the order in which detection asks them.
pub fn protocols() -> impl Iterator<Item = &'static Protocol> + Clone {
    PROTOCOLS.iter().chain(ADDED.get().copied().unwrap_or_default())
}

/// The protocol of this name, if there is one.
pub fn protocol(name: &str) -> Option<&'static Protocol> {
    protocols().find(|protocol| protocol.name == name)
}

/// The place of the protocol of this name among all of them, below [`MAX_PROTOCOLS`].
pub fn place_of(name: &str) -> Option<usize> {
    protocols().position(|protocol| protocol.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&'static str]) -> Vec<Protocol> {
        names.iter().map(|name| Protocol { name, ..Protocol::of_layout::<Bolt>() }).collect()
    }

    #[test]
    fn names_are_checked_and_the_number_is_bounded() {
        for (names, expected) in [
            (&["echo"][..], Ok(())),
            (&["echo", "echo_2"], Ok(())),
            (&["echo", "echo"], Err(AddError::NameTaken("echo"))),
            (&["bolt"], Err(AddError::NameTaken("bolt"))),
            (&["auto"], Err(AddError::NameTaken("auto"))),
            (&[""], Err(AddError::BadName(""))),
            (&["Echo"], Err(AddError::BadName("Echo"))),
            (&["2echo"], Err(AddError::BadName("2echo"))),
            (&["a-b"], Err(AddError::BadName("a-b"))),
        ] {
            assert_eq!(check(&named(names)), expected, "{names:?}");
        }
        let many: Vec<&'static str> =
            (0..MAX_PROTOCOLS).map(|at| &*Box::leak(format!("p{at}").into_boxed_str())).collect();
        let room = MAX_PROTOCOLS - PROTOCOLS.len();
        assert_eq!(check(&named(&many[..room - 1])), Ok(()));
        assert_eq!(check(&named(&many[..room])), Ok(()));
        assert_eq!(check(&named(&many[..=room])), Err(AddError::TooMany));
    }

    #[test]
    fn what_protocols_can_say_of_a_connection() {
        let told = PROTOCOLS.iter().map(|it| (it.name, it.has_heartbeats(), it.has_optional_go_away()));
        let told: Vec<_> = told.collect();
        for expected in [
            ("http1", false, false),
            ("bolt", true, true),
            // Its read-only event is as old as its heartbeats: it is always sent.
            ("dubbo", true, false),
            ("dubbo_thrift", false, false),
            ("tars", true, false),
            ("thrift", false, false),
        ] {
            assert!(told.contains(&expected), "{told:?}");
        }
    }
}
