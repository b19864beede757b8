//! Reads a request target (RFC 9112 section 3.2) and checks hosts. It normalises nothing: what was matched is what is
//! forwarded.

use std::ops::Range;

use super::malformed;
use crate::codec::ProtocolError;
use crate::message::Method;

/// A request target, in offsets from its first byte.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Target {
    /// `/path?query`
    Origin,
    /// `http://authority/path?query`
    Absolute {
        /// Where the authority stands.
        authority: Range<usize>,
        /// Where the path begins; at the target's end if there is none, at `?` if only a query follows.
        path_start: usize,
    },
    /// `host:port`, of CONNECT.
    Authority,
    /// `*`, of OPTIONS.
    Asterisk,
}

/// Reads a target that has at least one byte and neither space nor control bytes.
///
/// Errors: 400 for a fragment, an 8-bit byte, an escaped NUL, or a form that does not suit the method.
pub(super) fn read(target: &[u8], method: &Method<'_>) -> Result<Target, ProtocolError> {
    if !target.is_ascii() {
        return Err(malformed("an 8-bit byte in the request target"));
    }
    for position in memchr::memchr2_iter(b'#', b'%', target) {
        if target[position] == b'#' {
            return Err(malformed("a fragment in the request target"));
        }
        if target[position + 1..].starts_with(b"00") {
            return Err(malformed("an escaped NUL in the request target"));
        }
    }
    if *method == Method::Connect {
        if !is_host_and_port(target, PortRule::Required) {
            return Err(malformed("the target of CONNECT is not host:port"));
        }
        return Ok(Target::Authority);
    }
    match target {
        [b'/', ..] => Ok(Target::Origin),
        b"*" if *method == Method::Options => Ok(Target::Asterisk),
        _ => read_absolute(target),
    }
}

fn read_absolute(target: &[u8]) -> Result<Target, ProtocolError> {
    let has_scheme =
        |scheme: &[u8]| target.len() > scheme.len() && target[..scheme.len()].eq_ignore_ascii_case(scheme);
    let start = if has_scheme(b"http://") {
        7
    } else if has_scheme(b"https://") {
        8
    } else {
        return Err(malformed("the request target has no known form"));
    };
    let rest = &target[start..];
    let end = start + memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
    if end == start || !is_host_and_port(&target[start..end], PortRule::Optional) {
        return Err(malformed("the request target's authority is not host[:port]"));
    }
    Ok(Target::Absolute { authority: start..end, path_start: end })
}

/// Whether a port must be there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PortRule {
    Required,
    Optional,
}

/// Whether bytes are `host[:port]` (RFC 3986 section 3.2): no user information, no list, a port below 65,536.
pub(super) fn is_host_and_port(authority: &[u8], rule: PortRule) -> bool {
    let (host_is_valid, rest) = if authority.first() == Some(&b'[') {
        let Some(end) = memchr::memchr(b']', authority) else { return false };
        (is_ip_literal(&authority[1..end]), &authority[end + 1..])
    } else {
        let end = memchr::memchr(b':', authority).unwrap_or(authority.len());
        (is_registered_name(&authority[..end]), &authority[end..])
    };
    let port_is_valid = match rest {
        [] => rule == PortRule::Optional,
        [b':'] => rule == PortRule::Optional,
        [b':', port @ ..] => {
            port.len() <= 5 && super::framing::decimal(port).is_some_and(|port| port <= 65_535)
        }
        _ => false,
    };
    host_is_valid && port_is_valid
}

fn is_ip_literal(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.iter().all(|&byte| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.')
        && bytes.contains(&b':')
}

/// What may stand in a registered name besides escapes: unreserved and sub-delims of RFC 3986, but no comma.
const NAME_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let value = byte as u8;
        table[byte] = value.is_ascii_alphanumeric()
            || matches!(value, b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*')
            || matches!(value, b'+' | b';' | b'=');
        byte += 1;
    }
    table
};

fn is_registered_name(name: &[u8]) -> bool {
    let mut rest = name;
    while let Some(special) = rest.iter().position(|&byte| !NAME_BYTES[usize::from(byte)]) {
        match &rest[special..] {
            [b'%', high, low, behind @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() && [*high, *low] != *b"00" =>
            {
                rest = behind;
            }
            _ => return false,
        }
    }
    !name.is_empty()
}
