//! Reads `Connection` (RFC 9110 section 7.6.1): the options for this hop, and the fields it nominates as ending here.

use super::fields::value_of;
use super::{malformed, names};
use crate::codec::ProtocolError;
use crate::message::{FieldName, FieldSpan, Version};

/// At most this many options in one head, so that matching them against the fields stays cheap. 400 beyond.
pub(super) const MAX_CONNECTION_OPTIONS: usize = 64;

/// The options that concern the codec itself.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct ConnectionOptions {
    pub close: bool,
    pub keep_alive: bool,
    pub upgrade: bool,
}

impl ConnectionOptions {
    /// Whether the connection outlives the exchange (RFC 9112 section 9.3).
    pub(super) fn persists(self, version: Version) -> bool {
        !self.close && (version != Version::Http10 || self.keep_alive)
    }
}

/// Reads every Connection field and marks the nominated fields hop-by-hop.
///
/// Errors: 400 for an option that is no token, for more than [`MAX_CONNECTION_OPTIONS`], and for nominating a field
/// that must not be lost.
pub(super) fn read(head: &[u8], spans: &mut [FieldSpan]) -> Result<ConnectionOptions, ProtocolError> {
    let mut options = ConnectionOptions::default();
    let mut count = 0;
    for index in 0..spans.len() {
        if spans[index].name != FieldName::Connection {
            continue;
        }
        for element in value_of(head, &spans[index]).split(|&byte| byte == b',') {
            let option = element.trim_ascii();
            if option.is_empty() {
                continue;
            }
            count += 1;
            if count > MAX_CONNECTION_OPTIONS {
                return Err(malformed("too many Connection options"));
            }
            read_option(option, &mut options, head, spans)?;
        }
    }
    Ok(options)
}

fn read_option(
    option: &[u8],
    options: &mut ConnectionOptions,
    head: &[u8],
    spans: &mut [FieldSpan],
) -> Result<(), ProtocolError> {
    if option.eq_ignore_ascii_case(b"keep-alive") {
        options.keep_alive = true;
    } else if option.eq_ignore_ascii_case(b"close") {
        options.close = true;
    } else if option.eq_ignore_ascii_case(b"upgrade") {
        options.upgrade = true;
    } else if !names::is_token(option) {
        return Err(malformed("a Connection option is not a token"));
    } else if names::is_protected_from_nomination(option) {
        return Err(malformed("Connection nominates a field that must not be dropped"));
    } else {
        for span in spans {
            let name = &head[span.line_start as usize..][..usize::from(span.name_len)];
            span.hop_by_hop |= name.eq_ignore_ascii_case(option);
        }
    }
    Ok(())
}
