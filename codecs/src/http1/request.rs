//! Reads a request head into offsets, refusing whatever another parser could read differently. It keeps no state
//! between heads and holds no borrow, so that the head may stand in the input or in the carry.

use std::mem::MaybeUninit;

use super::fields::{self, Notes, Single, value_of};
use super::framing::{self, Coding};
use super::gather::{Rewrite, Step};
use super::incoming::body_of;
use super::names::is_token_byte;
use super::options::{self, ConnectionOptions};
use super::place::Place;
use super::target::{self, PortRule, Target};
use super::{Kind, malformed, refused};
use crate::codec::ProtocolError;
use crate::message::{BodyLength, FieldSpan, Fields, Method, RequestHead, Version};
use crate::registry::{CodecOptions, MAX_HEADERS};

/// At most this many bytes of method. 501 beyond.
pub(super) const MAX_METHOD_BYTES: usize = 64;

/// Where the parts of a request head stand, in offsets from its first byte, and what they mean.
#[derive(Debug)]
pub(super) struct RequestLayout {
    method: Place,
    version: Version,
    authority: Place,
    path: PathPlace,
    authority_overrides_host: bool,
    pub body: BodyLength,
    upgrade: Option<Place>,
    expects_continue: bool,
    /// How a response to it must be framed.
    pub kind: Kind,
    /// Whether the client lets the connection outlive the exchange.
    pub persists: bool,
}

#[derive(Debug)]
enum PathPlace {
    At(Place),
    /// An absolute target without a path.
    Root,
    /// The same with OPTIONS, which means the server as a whole (RFC 9112 section 3.2.4).
    Asterisk,
    /// CONNECT has none.
    Nowhere,
}

impl RequestLayout {
    /// The version the client spoke.
    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// The head, lent from the bytes and spans that it was read from.
    pub(super) fn head<'a>(&self, bytes: &'a [u8], spans: &'a [FieldSpan]) -> RequestHead<'a> {
        RequestHead {
            rpc: None,
            method: Method::from_bytes(self.method.in_bytes(bytes)),
            version: self.version,
            authority: self.authority.in_bytes(bytes),
            path: match self.path {
                PathPlace::At(place) => place.in_bytes(bytes),
                PathPlace::Root => b"/",
                PathPlace::Asterisk => b"*",
                PathPlace::Nowhere => b"",
            },
            authority_overrides_host: self.authority_overrides_host,
            fields: Fields::new(bytes, spans),
            body: self.body,
            upgrade: self.upgrade.map(|place| place.in_bytes(bytes)),
            expects_continue: self.expects_continue,
        }
    }
}

/// The request line as httparse found it, as far as it got.
struct Line {
    method: Option<Place>,
    target: Option<Place>,
}

/// Reads the request head at the front of `bytes`, of which the first byte is neither CR nor LF.
///
/// Errors: 400, 414, 417, 431, 501 and 505, as the rules of RFC 9112 and the options say.
pub(super) fn read(
    bytes: &[u8],
    options: &CodecOptions,
    spans: &mut Vec<FieldSpan>,
) -> Result<Step<RequestLayout>, ProtocolError> {
    let mut slots = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; MAX_HEADERS as usize];
    let allowed = usize::from(options.headers.min(MAX_HEADERS));
    let mut request = httparse::Request::new(&mut []);
    let outcome = request.parse_with_uninit_headers(bytes, &mut slots[..allowed]);
    let place_of = |part: &str| Place::of_part(bytes, part.as_bytes());
    let line = Line { method: request.method.map(place_of), target: request.path.map(place_of) };
    check_line_lengths(bytes, &line, options)?;
    match outcome {
        Ok(httparse::Status::Partial) => Ok(Step::Partial { decide_at: decide_at(&line, options) }),
        Err(error) => judge_error(error, bytes, &line),
        Ok(httparse::Status::Complete(length)) => {
            let (Some(method), Some(target)) = (line.method, line.target) else {
                return Err(malformed("no request line"));
            };
            let head = &bytes[..length];
            let notes = fields::index(head, request.headers, spans)?;
            if notes.bare_line_feed {
                if options.lenient_line_ends {
                    return Ok(Step::Rewrite(Rewrite::LineEnds));
                }
                return Err(malformed("a line of the head ends with LF alone"));
            }
            let version = if request.version == Some(0) { Version::Http10 } else { Version::Http11 };
            read_whole(head, method, target, version, &notes, spans)
        }
    }
}

/// Refuses a method or target that is too long, as soon as that is certain.
fn check_line_lengths(bytes: &[u8], line: &Line, options: &CodecOptions) -> Result<(), ProtocolError> {
    let method_length = line.method.map_or_else(
        // No further than httparse reads: a byte that is no token's is refused as soon as it comes.
        || bytes.iter().take(MAX_METHOD_BYTES + 1).take_while(|byte| is_token_byte(**byte)).count(),
        Place::len,
    );
    if method_length > MAX_METHOD_BYTES {
        return Err(refused(501, "the method is too long"));
    }
    let target_length = match (line.target, line.method) {
        (Some(target), _) => target.len(),
        (None, Some(method)) => {
            let so_far = &bytes[(method.end() + 1).min(bytes.len())..];
            so_far.iter().take_while(|byte| is_visible(**byte)).count()
        }
        (None, None) => 0,
    };
    if target_length > options.uri_bytes as usize {
        return Err(refused(414, "the request target is longer than allowed"));
    }
    Ok(())
}

fn is_visible(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f
}

/// The length at which [`check_line_lengths`] is certain about what it was not certain about yet.
fn decide_at(line: &Line, options: &CodecOptions) -> usize {
    match line {
        Line { method: None, .. } => MAX_METHOD_BYTES + 1,
        Line { method: Some(method), target: None } => method.end() + 1 + options.uri_bytes as usize + 1,
        Line { .. } => usize::MAX,
    }
}

fn judge_error(
    error: httparse::Error,
    bytes: &[u8],
    line: &Line,
) -> Result<Step<RequestLayout>, ProtocolError> {
    Err(match error {
        httparse::Error::Version => {
            let Some(target) = line.target else { return Err(malformed("no request line")) };
            return judge_version(bytes, target.end() + 1);
        }
        httparse::Error::TooManyHeaders => refused(431, "the head has more fields than allowed"),
        httparse::Error::HeaderName => malformed("a malformed field name"),
        httparse::Error::HeaderValue => malformed("a malformed field value"),
        httparse::Error::NewLine => malformed("a malformed line end"),
        httparse::Error::Token | httparse::Error::Status => malformed("a malformed request line"),
    })
}

/// Judges a version, at `start`, that httparse does not know: a later 1.x is read as 1.1 (RFC 9110 section 2.5).
fn judge_version(bytes: &[u8], start: usize) -> Result<Step<RequestLayout>, ProtocolError> {
    match bytes[start..].strip_prefix(b"HTTP/") {
        Some([b'1', b'.', b'2'..=b'9', ..]) => Ok(Step::Rewrite(Rewrite::Replace(start + 7, b'1'))),
        Some([b'0' | b'2'..=b'9', ..]) => Err(refused(505, "an HTTP version other than 1.x")),
        _ => Err(malformed("a malformed HTTP version")),
    }
}

fn read_whole(
    head: &[u8],
    method: Place,
    target: Place,
    version: Version,
    notes: &Notes,
    spans: &mut [FieldSpan],
) -> Result<Step<RequestLayout>, ProtocolError> {
    let method_token = Method::from_bytes(method.in_bytes(head));
    let form = target::read(target.in_bytes(head), &method_token)?;
    if let Target::Absolute { path_start, .. } = form
        && head[target.start() + path_start] == b'?'
    {
        return Ok(Step::Rewrite(Rewrite::Insert(target.start() + path_start, b'/')));
    }
    let coding = framing::read(head, spans, notes, version)?;
    if method_token == Method::Connect && !matches!(coding, Coding::Absent | Coding::Length(0)) {
        return Err(malformed("CONNECT with a body"));
    }
    let host = read_host(head, spans, notes, version)?;
    let connection =
        if notes.connection { options::read(head, spans)? } else { ConnectionOptions::default() };
    let expects_continue = read_expectation(head, spans, notes, version)?;
    let body = body_of(coding);
    let has_body = !matches!(body, BodyLength::None | BodyLength::Sized(0));
    let may_upgrade = !has_body && !matches!(method_token, Method::Head | Method::Connect);
    let upgrade = if connection.upgrade && version == Version::Http11 && may_upgrade {
        read_upgrade(head, spans, notes)
    } else {
        None
    };
    let kind = match method_token {
        Method::Head => Kind::Head,
        Method::Connect => Kind::Connect,
        _ if upgrade.is_some() => Kind::Upgrade,
        _ => Kind::Plain,
    };
    let (authority, path) = place_target(form, target, host, method_token == Method::Options);
    let authority_overrides_host = host.is_none_or(|host| !is_same_host(head, host, authority));
    let layout = RequestLayout {
        method,
        version,
        authority,
        path,
        authority_overrides_host,
        body,
        upgrade,
        expects_continue: expects_continue && has_body,
        kind,
        persists: connection.persists(version),
    };
    Ok(Step::Whole { layout, length: head.len() })
}

/// Where authority and path stand, by the target's form.
fn place_target(form: Target, target: Place, host: Option<Place>, is_options: bool) -> (Place, PathPlace) {
    match form {
        Target::Origin | Target::Asterisk => (host.unwrap_or_default(), PathPlace::At(target)),
        Target::Authority => (target, PathPlace::Nowhere),
        Target::Absolute { authority, path_start } => {
            let path_start = target.start() + path_start;
            let path = if path_start < target.end() {
                PathPlace::At(Place::new(path_start, target.end()))
            } else if is_options {
                PathPlace::Asterisk
            } else {
                PathPlace::Root
            };
            (Place::new(target.start() + authority.start, target.start() + authority.end), path)
        }
    }
}

/// Whether Host names the authority of the target; most often it is where the authority was taken from.
fn is_same_host(head: &[u8], host: Place, authority: Place) -> bool {
    host == authority || host.in_bytes(head).eq_ignore_ascii_case(authority.in_bytes(head))
}

/// Where Host's value stands. Every 1.1 request has exactly one, which may be empty (RFC 9112 section 3.2).
fn read_host(
    head: &[u8],
    spans: &[FieldSpan],
    notes: &Notes,
    version: Version,
) -> Result<Option<Place>, ProtocolError> {
    match notes.host {
        Single::Absent if version == Version::Http10 => Ok(None),
        Single::Absent => Err(malformed("no Host")),
        Single::Repeated => Err(malformed("more than one Host")),
        Single::Once(index) => {
            let value = value_of(head, &spans[index]);
            if !value.is_empty() && !target::is_host_and_port(value, PortRule::Optional) {
                return Err(malformed("Host is not host[:port]"));
            }
            Ok(Some(Place::of_part(head, value)))
        }
    }
}

/// Whether the client waits for 100. HTTP/1.0 knows no such thing (RFC 9110 section 10.1.1): the field ends here.
fn read_expectation(
    head: &[u8],
    spans: &mut [FieldSpan],
    notes: &Notes,
    version: Version,
) -> Result<bool, ProtocolError> {
    match notes.expect {
        Single::Absent => Ok(false),
        Single::Once(index) if value_of(head, &spans[index]).eq_ignore_ascii_case(b"100-continue") => {
            spans[index].hop_by_hop |= version == Version::Http10;
            Ok(version != Version::Http10)
        }
        _ => Err(refused(417, "an expectation other than 100-continue")),
    }
}

/// Where the protocols that the client would change to stand. HTTP/2 in clear text is not among those that may pass: it
/// would carry requests past every filter.
fn read_upgrade(head: &[u8], spans: &[FieldSpan], notes: &Notes) -> Option<Place> {
    let Single::Once(index) = notes.upgrade else { return None };
    let value = value_of(head, &spans[index]);
    let names_h2c = value.split(|&byte| byte == b',').any(|protocol| {
        let protocol = protocol.trim_ascii();
        protocol.eq_ignore_ascii_case(b"h2c") || protocol.eq_ignore_ascii_case(b"h2")
    });
    if value.is_empty() || names_h2c {
        return None;
    }
    Some(Place::of_part(head, value))
}
