//! Every reason why a head that httparse takes is refused nevertheless, each read plainly from the head. A refusal for
//! which no reason stands here is a finding, and so is a head that passes although a reason stands against it.

use crate::plain_chunks::is_token;
use sidering_codecs::registry::CodecOptions;

/// A head as httparse read it.
#[derive(Clone, Debug)]
pub struct Parsed<'h> {
    /// All bytes, the empty line included.
    pub bytes: &'h [u8],
    pub fields: Vec<(&'h [u8], &'h [u8])>,
    /// 1.0 instead of 1.1.
    pub is_http10: bool,
}

/// Why a head is refused, and with which status by a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// More bytes than `header_bytes`.
    HeadTooLong,
    /// More fields than `headers`.
    TooManyFields,
    /// A method of more than 64 bytes.
    MethodTooLong,
    /// A target of more than `uri_bytes`.
    TargetTooLong,
    /// A line that ends with LF alone, unless that is allowed.
    BareLineFeed,
    /// More than two empty lines in front of a request.
    EmptyLines,
    /// An 8-bit byte, a fragment or an escaped NUL in the target.
    TargetBytes,
    /// Neither a path nor `http[s]://host[:port]...`; `*` without OPTIONS; CONNECT without `host:port`.
    TargetForm,
    /// Missing (on 1.1), twice, or not `host[:port]`.
    Host,
    /// Content-Length twice, or not a decimal number below 2^64.
    ContentLength,
    /// Content-Length and Transfer-Encoding.
    BothFramings,
    /// Transfer-Encoding twice, empty, or on HTTP/1.0.
    TransferEncoding,
    /// A coding other than `chunked` alone.
    UnknownCoding,
    /// CONNECT with a body.
    ConnectWithBody,
    /// A Connection option that is no token, one option too many, or one that nominates what must not be lost.
    ConnectionOption,
    /// An expectation other than one `100-continue`.
    Expectation,
    /// A response that begins with an empty line.
    NoStatusLine,
    /// A status outside of 100 to 599.
    Status,
    /// 101 that no request asked for.
    UnaskedSwitch,
}

impl Reason {
    /// The status that a client is answered with.
    pub fn status(self) -> u16 {
        match self {
            Reason::HeadTooLong | Reason::TooManyFields => 431,
            Reason::MethodTooLong | Reason::UnknownCoding => 501,
            Reason::TargetTooLong => 414,
            Reason::Expectation => 417,
            _ => 400,
        }
    }
}

impl<'h> Parsed<'h> {
    /// The values of all fields of this name, in order.
    pub fn values(&self, name: &str) -> Vec<&'h [u8]> {
        let same = self.fields.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name.as_bytes()));
        same.map(|(_, value)| *value).collect()
    }

    /// Every option of every Connection field.
    pub fn connection_options(&self) -> Vec<&'h [u8]> {
        let options =
            self.values("connection").into_iter().flat_map(|value| value.split(|&byte| byte == b','));
        options.map(<[u8]>::trim_ascii).filter(|option| !option.is_empty()).collect()
    }

    /// Whether Connection has this option.
    pub fn has_option(&self, name: &str) -> bool {
        self.connection_options().iter().any(|option| option.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// The number that Content-Length says, if it says one.
    pub fn length(&self) -> Option<u64> {
        match self.values("content-length").as_slice() {
            [digits] => decimal(digits),
            _ => None,
        }
    }

    /// Whether the coding is chunked.
    pub fn is_chunked(&self) -> bool {
        !self.values("transfer-encoding").is_empty()
    }
}

/// What stands against any head, of a request or of a response.
pub fn common(head: &Parsed<'_>, options: &CodecOptions) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut against = |reason, holds: bool| {
        if holds {
            reasons.push(reason);
        }
    };
    against(Reason::HeadTooLong, head.bytes.len() > options.header_bytes as usize);
    against(Reason::TooManyFields, head.fields.len() > usize::from(options.headers));
    let has_bare =
        (0..head.bytes.len()).any(|at| head.bytes[at] == b'\n' && (at == 0 || head.bytes[at - 1] != b'\r'));
    against(Reason::BareLineFeed, has_bare && !options.lenient_line_ends);
    let (lengths, codings) = (head.values("content-length"), head.values("transfer-encoding"));
    against(Reason::BothFramings, !lengths.is_empty() && !codings.is_empty());
    against(Reason::ContentLength, !lengths.is_empty() && head.length().is_none());
    against(Reason::TransferEncoding, codings.len() > 1 || !codings.is_empty() && head.is_http10);
    against(Reason::TransferEncoding, codings.iter().any(|coding| coding.is_empty()));
    against(Reason::UnknownCoding, codings.iter().any(|coding| !coding.eq_ignore_ascii_case(b"chunked")));
    let named = head.connection_options();
    against(Reason::ConnectionOption, named.len() > 64 || named.iter().any(|option| !may_nominate(option)));
    reasons
}

/// Besides [`common`], what stands against a request.
pub fn request(head: &Parsed<'_>, method: &[u8], target: &[u8], options: &CodecOptions) -> Vec<Reason> {
    let mut reasons = common(head, options);
    let mut against = |reason, holds: bool| {
        if holds {
            reasons.push(reason);
        }
    };
    against(Reason::MethodTooLong, method.len() > 64);
    against(Reason::TargetTooLong, target.len() > options.uri_bytes as usize);
    let has_nul = target.windows(3).any(|three| three == b"%00");
    against(Reason::TargetBytes, !target.is_ascii() || target.contains(&b'#') || has_nul);
    against(Reason::TargetForm, !has_known_form(method, target));
    let is_host = |value: &[u8]| value.is_empty() || is_host_and_port(value, false);
    let host_is_good = match head.values("host").as_slice() {
        [] => head.is_http10,
        [one] => is_host(one),
        _ => false,
    };
    against(Reason::Host, !host_is_good);
    let has_body = head.is_chunked() || head.length().is_some_and(|length| length > 0);
    against(Reason::ConnectWithBody, method == b"CONNECT" && has_body);
    let expectations = head.values("expect");
    let is_known = |value: &&[u8]| value.eq_ignore_ascii_case(b"100-continue");
    against(Reason::Expectation, expectations.len() > 1 || !expectations.iter().all(is_known));
    reasons
}

/// Besides [`common`], what stands against a response.
pub fn response(head: &Parsed<'_>, status: u16, asked_upgrade: bool, options: &CodecOptions) -> Vec<Reason> {
    let mut reasons = common(head, options);
    if !(100..=599).contains(&status) {
        reasons.push(Reason::Status);
    }
    if status == 101 && !asked_upgrade {
        reasons.push(Reason::UnaskedSwitch);
    }
    reasons
}

fn may_nominate(option: &[u8]) -> bool {
    let name = option.to_ascii_lowercase();
    let protected: [&[u8]; 7] = [
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"authorization",
        b"proxy-authorization",
        b"cookie",
        b"forwarded",
    ];
    is_token(option) && !protected.contains(&name.as_slice()) && !name.starts_with(b"x-forwarded-")
}

fn has_known_form(method: &[u8], target: &[u8]) -> bool {
    if method == b"CONNECT" {
        return is_host_and_port(target, true);
    }
    let authority = absolute(target).map(|(authority, _)| authority);
    target.starts_with(b"/")
        || target == b"*" && method == b"OPTIONS"
        || authority.is_some_and(|authority| is_host_and_port(authority, false))
}

/// Authority and the rest of an absolute target.
pub fn absolute(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let lower = target.to_ascii_lowercase();
    let start = [b"http://".as_slice(), b"https://"].iter().find(|scheme| lower.starts_with(scheme))?.len();
    let rest = &target[start..];
    Some(rest.split_at(rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len())))
}

/// Whether this is `host[:port]`, by RFC 3986 without user information and without commas.
fn is_host_and_port(text: &[u8], needs_port: bool) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, "")) => (Host::Literal(address), None),
            Some((address, rest)) => match rest.strip_prefix(':') {
                Some(port) => (Host::Literal(address), Some(port)),
                None => return false,
            },
            None => return false,
        },
        None => match text.split_once(':') {
            Some((name, port)) => (Host::Name(name), Some(port)),
            None => (Host::Name(text), None),
        },
    };
    let port_is_good = match port {
        None | Some("") => !needs_port,
        Some(port) => {
            let is_number = port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
            is_number && port.parse::<u32>().is_ok_and(|port| port <= 65_535)
        }
    };
    port_is_good && host.is_good()
}

enum Host<'t> {
    Literal(&'t str),
    Name(&'t str),
}

impl Host<'_> {
    fn is_good(&self) -> bool {
        match self {
            Host::Literal(text) => {
                text.contains(':') && text.chars().all(|one| one.is_ascii_hexdigit() || ":.".contains(one))
            }
            Host::Name(text) => !text.is_empty() && is_registered_name(text),
        }
    }
}

fn is_registered_name(text: &str) -> bool {
    let mut parts = text.split('%');
    let plain =
        |part: &str| part.chars().all(|one| one.is_ascii_alphanumeric() || "-._~!$&'()*+;=".contains(one));
    let escaped = |part: &str| {
        let is_escape = part.len() >= 2 && part.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
        is_escape && !part.starts_with("00") && plain(&part[2..])
    };
    parts.next().is_some_and(plain) && parts.all(escaped)
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::is_host_and_port;

    #[test]
    fn hosts() {
        for good in ["a", "a:", "a:65535", "[::1]", "[::1]:80", "[fe80::1]:", "a%20b", "a_b!"] {
            assert!(is_host_and_port(good.as_bytes(), false), "{good}");
        }
        for bad in
            ["", ":80", "a:65536", "a:+1", "[", "[]", "[::1]x", "a,b", "a@b", "a%2", "a%00", "a/", "a:1:2"]
        {
            assert!(!is_host_and_port(bad.as_bytes(), false), "{bad}");
        }
        assert!(
            !is_host_and_port(b"a", true) && !is_host_and_port(b"a:", true) && is_host_and_port(b"a:1", true)
        );
    }
}
