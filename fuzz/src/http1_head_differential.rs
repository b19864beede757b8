//! Our reading of heads against httparse's own: what we take, httparse takes as the same; what httparse refuses, we
//! refuse; and where we are stricter, the reason is one of [`head_rules`](crate::head_rules).

use crate::control::{Control, options};
use crate::forwarded_responses::Asked;
use crate::head_rules::{self, Parsed, Reason, absolute};
use crate::said::{Bytes, Field, Request, Response, Said, said};
use sidering_codecs::registry::{CodecOptions, protocol};
use sidering_codecs::{BodyLength, Codec, Scratch, Version};

/// More fields than any option allows.
const FIELDS: usize = 2048;
const HOP_BY_HOP: [&str; 6] =
    ["connection", "transfer-encoding", "keep-alive", "proxy-connection", "te", "upgrade"];
/// How many empty lines may stand in front of a request.
const EMPTY_LINES: usize = 2;

/// Options and side; then the head.
pub fn run(input: &[u8]) {
    let mut control = Control::new(input);
    let choice = control.byte();
    let options = options(choice);
    match choice >> 2 & 7 {
        0..4 => compare_request(control.rest(), &options),
        4 => compare_response(control.rest(), Asked::Get, &options),
        5 => compare_response(control.rest(), Asked::Head, &options),
        6 => compare_response(control.rest(), Asked::Connect, &options),
        _ => compare_response(control.rest(), Asked::Upgrade, &options),
    }
}

/// What the other reading expects of us.
enum Expected<H> {
    /// Exactly this.
    Head(H),
    /// More bytes are waited for, unless one of these stands against what is there.
    More(Vec<Reason>),
    /// One of these stands against it.
    Refused(Vec<Reason>),
    /// Some refusal: httparse refuses it, too.
    Malformed,
}

fn decode(codec: &mut dyn Codec, bytes: &[u8]) -> Option<Said> {
    let (mut input, mut scratch) = (bytes, Scratch::default());
    match codec.decode(&mut scratch, &mut input) {
        Ok(event) => event.map(|event| said(&event)),
        Err(error) => Some(Said::Refused(error.status)),
    }
}

/// `status` tells what a reason is answered with.
fn compare<H: PartialEq + std::fmt::Debug>(
    expected: Expected<H>,
    ours: Option<Result<H, u16>>,
    status: impl Fn(Reason) -> u16,
) {
    let is_among = |reasons: &[Reason], given| reasons.iter().any(|reason| status(*reason) == given);
    match (expected, ours) {
        (Expected::Head(expected), Some(Ok(ours))) => assert_eq!(ours, expected),
        (Expected::Head(expected), ours) => panic!("{ours:?} although nothing stands against {expected:?}"),
        (Expected::More(reasons), None) => {
            assert!(reasons.is_empty(), "waited for more in spite of {reasons:?}");
        }
        (Expected::More(reasons) | Expected::Refused(reasons), Some(Err(given))) => {
            assert!(is_among(&reasons, given), "refused with {given}, not for one of {reasons:?}");
        }
        (Expected::More(_), Some(Ok(ours))) => panic!("{ours:?} of what httparse has not read whole"),
        (Expected::Refused(reasons), ours) => panic!("{ours:?} in spite of {reasons:?}"),
        (Expected::Malformed, ours) => {
            assert!(matches!(ours, Some(Err(_))), "{ours:?} of what httparse refuses");
        }
    }
}

fn compare_request(bytes: &[u8], options: &CodecOptions) {
    let mut codec = (protocol("http1").expect("registered").server)(*options);
    let ours = decode(&mut *codec, bytes).map(|said| match said {
        Said::Request(request) => Ok(request),
        Said::Refused(status) => Err(status),
        other => panic!("{other:?} in front of a head"),
    });
    let given = expect_request(bytes, options);
    compare(given, ours, Reason::status);
}

fn expect_request(bytes: &[u8], options: &CodecOptions) -> Expected<Request> {
    let mut rest = bytes;
    let mut empty_lines = 0;
    loop {
        rest = match rest {
            [] | [b'\r'] => return Expected::More(vec![]),
            [b'\r', b'\n', rest @ ..] => rest,
            [b'\n', rest @ ..] if options.lenient_line_ends => rest,
            [b'\n', ..] => return Expected::Refused(vec![Reason::BareLineFeed]),
            _ => break,
        };
        empty_lines += 1;
        if empty_lines > EMPTY_LINES {
            return Expected::Refused(vec![Reason::EmptyLines]);
        }
    }
    let mended = with_known_version(rest);
    let mut slots = [httparse::EMPTY_HEADER; FIELDS];
    let mut request = httparse::Request::new(&mut slots);
    match request.parse(&mended) {
        Ok(httparse::Status::Complete(length)) => {
            let is_http10 = request.version == Some(0);
            let fields = fields_of(request.headers);
            let head = Parsed { bytes: &mended[..length], fields, is_http10 };
            let (Some(method), Some(target)) = (request.method, request.path) else {
                panic!("httparse tells no request line of a whole head");
            };
            let (method, target) = (method.as_bytes(), target.as_bytes());
            let reasons = head_rules::request(&head, method, target, options);
            if reasons.is_empty() {
                Expected::Head(expected_request(&head, method, target))
            } else {
                Expected::Refused(reasons)
            }
        }
        Ok(httparse::Status::Partial) => Expected::More(against_partial(rest, options)),
        Err(_) => Expected::Malformed,
    }
}

/// What stands already against a request that is not whole.
fn against_partial(bytes: &[u8], options: &CodecOptions) -> Vec<Reason> {
    let mut words = bytes.split(|byte| b" \r\n".contains(byte));
    let (method, target) = (words.next().unwrap_or(b""), words.next().unwrap_or(b""));
    let mut reasons = Vec::new();
    if bytes.len() >= options.header_bytes as usize {
        reasons.push(Reason::HeadTooLong);
    }
    if method.len() > 64 {
        reasons.push(Reason::MethodTooLong);
    }
    if target.len() > options.uri_bytes as usize {
        reasons.push(Reason::TargetTooLong);
    }
    let lines = bytes.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n")).count();
    if lines > 1 + usize::from(options.headers) {
        reasons.push(Reason::TooManyFields);
    }
    reasons
}

/// A later 1.x is read as 1.1 (RFC 9110 section 2.5): httparse does not know them.
fn with_known_version(bytes: &[u8]) -> Vec<u8> {
    let mut mended = bytes.to_vec();
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or(b"");
    let second_space = line.iter().enumerate().filter(|(_, byte)| **byte == b' ').nth(1).map(|(at, _)| at);
    if let Some(at) = second_space
        && let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9', ..] = line[at + 1..]
    {
        mended[at + 8] = b'1';
    }
    mended
}

fn fields_of<'h>(headers: &[httparse::Header<'h>]) -> Vec<(&'h [u8], &'h [u8])> {
    headers.iter().map(|header| (header.name.as_bytes(), header.value)).collect()
}

fn version_of(head: &Parsed<'_>) -> Version {
    if head.is_http10 { Version::Http10 } else { Version::Http11 }
}

fn coding_of(head: &Parsed<'_>) -> Option<BodyLength> {
    if head.is_chunked() { Some(BodyLength::Streamed) } else { head.length().map(BodyLength::Sized) }
}

/// The fields as we should tell them; `drops` are names that end here besides the usual ones.
fn told_fields(head: &Parsed<'_>, drops: &[&str]) -> Vec<Field> {
    let options = head.connection_options();
    let is_reserved = |option: &[u8]| {
        ["close", "keep-alive", "upgrade"].iter().any(|name| option.eq_ignore_ascii_case(name.as_bytes()))
    };
    let ends_here = |name: &[u8]| {
        let mut usual = HOP_BY_HOP.iter().chain(drops);
        usual.any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
            || options.iter().any(|option| !is_reserved(option) && name.eq_ignore_ascii_case(option))
    };
    let tell = |(name, value): &(&[u8], &[u8])| Field {
        name: (*name).into(),
        value: (*value).into(),
        hop_by_hop: ends_here(name),
    };
    head.fields.iter().map(tell).collect()
}

fn expected_request(head: &Parsed<'_>, method: &[u8], target: &[u8]) -> Request {
    let host = head.values("host").first().copied();
    let (authority, path) = match absolute(target) {
        _ if method == b"CONNECT" => (target, vec![]),
        _ if target.starts_with(b"/") || target == b"*" => (host.unwrap_or(b""), target.to_vec()),
        Some((authority, b"")) if method == b"OPTIONS" => (authority, b"*".to_vec()),
        Some((authority, path)) if path.starts_with(b"/") => (authority, path.to_vec()),
        Some((authority, query)) => (authority, [b"/", query].concat()),
        None => panic!("a target without a form has a reason against it"),
    };
    let body = coding_of(head).unwrap_or(BodyLength::None);
    let has_body = !matches!(body, BodyLength::None | BodyLength::Sized(0));
    let may_upgrade = !has_body && !head.is_http10 && method != b"HEAD" && method != b"CONNECT";
    let upgrade = match head.values("upgrade").as_slice() {
        [protocols] if may_upgrade && head.has_option("upgrade") && may_pass(protocols) => Some(*protocols),
        _ => None,
    };
    let drops: &[&str] = if head.is_http10 { &["expect"] } else { &[] };
    Request {
        method: method.into(),
        version: version_of(head),
        authority: authority.into(),
        path: Bytes(path),
        authority_overrides_host: host.is_none_or(|host| !host.eq_ignore_ascii_case(authority)),
        fields: told_fields(head, drops),
        body,
        upgrade: upgrade.map(Bytes::from),
        expects_continue: has_body && !head.is_http10 && !head.values("expect").is_empty(),
    }
}

/// Whether an Upgrade to these protocols may pass: HTTP/2 in clear text may not.
fn may_pass(protocols: &[u8]) -> bool {
    let mut names = protocols.split(|&byte| byte == b',').map(|name| name.trim_ascii().to_ascii_lowercase());
    !protocols.is_empty() && !names.any(|name| name == b"h2c" || name == b"h2")
}

fn compare_response(bytes: &[u8], asked: Asked, options: &CodecOptions) {
    let mut codec = asked.client(*options);
    let ours = decode(&mut *codec, bytes).map(|said| match said {
        Said::Response(response) => Ok(response),
        Said::Refused(status) => Err(status),
        other => panic!("{other:?} in front of a head"),
    });
    compare(expect_response(bytes, asked, options), ours, |_| 502);
}

fn expect_response(bytes: &[u8], asked: Asked, options: &CodecOptions) -> Expected<Response> {
    if bytes.first().is_some_and(|byte| b"\r\n".contains(byte)) {
        return Expected::Refused(vec![Reason::NoStatusLine]);
    }
    let mut slots = [httparse::EMPTY_HEADER; FIELDS];
    let mut response = httparse::Response::new(&mut slots);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => {
            let is_http10 = response.version == Some(0);
            let fields = fields_of(response.headers);
            let head = Parsed { bytes: &bytes[..length], fields, is_http10 };
            let status = response.code.unwrap_or(0);
            let reasons = head_rules::response(&head, status, asked == Asked::Upgrade, options);
            if reasons.is_empty() {
                Expected::Head(expected_response(&head, status, asked))
            } else {
                Expected::Refused(reasons)
            }
        }
        Ok(httparse::Status::Partial) => {
            let mut reasons = against_partial(bytes, options);
            reasons.retain(|reason| matches!(reason, Reason::HeadTooLong | Reason::TooManyFields));
            Expected::More(reasons)
        }
        Err(_) => Expected::Malformed,
    }
}

fn expected_response(head: &Parsed<'_>, status: u16, asked: Asked) -> Response {
    let line = head.bytes.split(|&byte| byte == b'\n').next().unwrap_or(b"");
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let reason = line.get(b"HTTP/1.1 200 ".len()..).unwrap_or(b"");
    let never_has_body = status < 200 || status == 204;
    let body = match (status, asked) {
        (101, _) | (200..=299, Asked::Connect) => BodyLength::Streamed,
        (100..=199 | 204 | 304, _) | (_, Asked::Head) => BodyLength::None,
        _ => coding_of(head).unwrap_or(BodyLength::Streamed),
    };
    let drops: &[&str] = if never_has_body { &["content-length"] } else { &[] };
    Response {
        status,
        version: version_of(head),
        reason: reason.into(),
        fields: told_fields(head, drops),
        body,
    }
}
