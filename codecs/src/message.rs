//! The neutral message that every protocol is told in: views of lent bytes, owning nothing.

use crate::rpc::RpcHead;

/// A field name told apart once, while decoding, so that nothing later compares strings for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum FieldName {
    /// Any other name: compare [`Field::name`] (ASCII case-insensitive).
    Other,
    /// RFC 9110 section 7.2.
    Host,
    /// RFC 9110 section 7.6.1.
    Connection,
    /// RFC 9110 section 8.6.
    ContentLength,
    /// RFC 9112 section 6.1.
    TransferEncoding,
    /// RFC 2068 section 19.7.1.
    KeepAlive,
    /// Never standard; dropped.
    ProxyConnection,
    /// RFC 9110 section 11.7.1.
    ProxyAuthenticate,
    /// RFC 9110 section 11.7.2.
    ProxyAuthorization,
    /// RFC 9110 section 10.1.4.
    Te,
    /// RFC 9110 section 6.6.2.
    Trailer,
    /// RFC 9110 section 7.8.
    Upgrade,
    /// RFC 9110 section 10.1.1.
    Expect,
    /// RFC 9110 section 7.6.3.
    Via,
    /// RFC 9110 section 6.6.1.
    Date,
    /// RFC 9110 section 10.2.4.
    Server,
    /// RFC 9110 section 10.1.5.
    UserAgent,
    /// The addresses a request came through.
    XForwardedFor,
    /// The scheme the client used.
    XForwardedProto,
    /// The request's name in logs and traces.
    XRequestId,
}

/// Where one field stands in its head's bytes. `line_start..line_end` is the whole line with its CRLF.
#[derive(Clone, Copy, Debug)]
pub struct FieldSpan {
    /// Offset of the name's first byte.
    pub line_start: u32,
    /// Offset of the value's first byte.
    pub value_start: u32,
    /// Bytes of the value, without the whitespace around it.
    pub value_len: u32,
    /// Offset behind the line's CRLF.
    pub line_end: u32,
    /// Bytes of the name.
    pub name_len: u16,
    /// The name, if it is well known.
    pub name: FieldName,
    /// Not to be forwarded as it stands: connection-level (RFC 9110 section 7.6.1), nominated by `Connection`, or
    /// framing that the outgoing codec writes itself.
    pub hop_by_hop: bool,
}

/// One field of a head.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// As received, in whatever case.
    pub name: &'a [u8],
    /// Without the whitespace around it.
    pub value: &'a [u8],
    /// The name, if it is well known.
    pub known: FieldName,
    /// See [`FieldSpan::hop_by_hop`].
    pub hop_by_hop: bool,
    /// The line as received, `name: value CRLF`.
    pub line: &'a [u8],
}

/// The fields of a head or of trailers, in order, duplicates kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    spans: &'a [FieldSpan],
}

impl<'a> Fields<'a> {
    /// `spans` index into `bytes`; each span's line must be a whole, valid `name: value CRLF` line.
    pub fn new(bytes: &'a [u8], spans: &'a [FieldSpan]) -> Self {
        Fields { bytes, spans }
    }

    /// The number of fields, hop-by-hop ones included.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no field at all.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Every field, hop-by-hop ones included.
    pub fn iter(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let bytes = self.bytes;
        self.spans.iter().map(move |span| field_at(bytes, span))
    }

    /// The first field of a well-known name.
    pub fn find(&self, name: FieldName) -> Option<Field<'a>> {
        self.spans.iter().find(|span| span.name == name).map(|span| field_at(self.bytes, span))
    }

    /// The first field of this name, ASCII case-insensitive.
    pub fn find_by_name(&self, name: &[u8]) -> Option<Field<'a>> {
        self.iter().find(|field| field.name.eq_ignore_ascii_case(name))
    }

    /// The spans, for encoders that copy runs of unchanged lines.
    pub fn spans(&self) -> &'a [FieldSpan] {
        self.spans
    }

    /// The bytes the spans index into.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

fn field_at<'a>(bytes: &'a [u8], span: &FieldSpan) -> Field<'a> {
    let start = span.line_start as usize;
    let value = span.value_start as usize;
    Field {
        name: &bytes[start..start + span.name_len as usize],
        value: &bytes[value..value + span.value_len as usize],
        known: span.name,
        hop_by_hop: span.hop_by_hop,
        line: &bytes[start..span.line_end as usize],
    }
}

/// How long a message's body is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyLength {
    /// There is no body: `End` follows at once.
    None,
    /// Exactly this many bytes (possibly 0, when the sender said so).
    Sized(u64),
    /// Until the framing says so: chunked coding, the end of the connection, END_STREAM.
    Streamed,
}

/// The protocol version the peer spoke.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// RFC 1945, RFC 9112 section 9.3.
    Http10,
    /// RFC 9112, and every later minor version of 1.
    Http11,
    /// RFC 9113.
    Http2,
    /// A protocol of calls, by its name.
    Rpc(&'static str),
}

impl Version {
    /// The name as access logs print it.
    pub fn as_str(self) -> &'static str {
        match self {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
            Version::Http2 => "HTTP/2",
            Version::Rpc(name) => name,
        }
    }
}

/// The request method; unknown tokens are forwarded as they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method<'a> {
    /// RFC 9110 section 9.3.1.
    Get,
    /// RFC 9110 section 9.3.2: its response has no body.
    Head,
    /// RFC 9110 section 9.3.3.
    Post,
    /// RFC 9110 section 9.3.4.
    Put,
    /// RFC 9110 section 9.3.5.
    Delete,
    /// RFC 9110 section 9.3.6: asks for a tunnel.
    Connect,
    /// RFC 9110 section 9.3.7.
    Options,
    /// RFC 9110 section 9.3.8.
    Trace,
    /// RFC 5789.
    Patch,
    /// Any other token.
    Other(&'a [u8]),
}

impl<'a> Method<'a> {
    /// Tells the well-known methods (case-sensitive, RFC 9110 section 9.1) from other tokens.
    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        match bytes {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"POST" => Method::Post,
            b"PUT" => Method::Put,
            b"DELETE" => Method::Delete,
            b"CONNECT" => Method::Connect,
            b"OPTIONS" => Method::Options,
            b"TRACE" => Method::Trace,
            b"PATCH" => Method::Patch,
            other => Method::Other(other),
        }
    }

    /// The method's token.
    pub fn as_bytes(&self) -> &'a [u8] {
        match *self {
            Method::Get => b"GET",
            Method::Head => b"HEAD",
            Method::Post => b"POST",
            Method::Put => b"PUT",
            Method::Delete => b"DELETE",
            Method::Connect => b"CONNECT",
            Method::Options => b"OPTIONS",
            Method::Trace => b"TRACE",
            Method::Patch => b"PATCH",
            Method::Other(token) => token,
        }
    }

    /// Whether sending it twice has the effect of sending it once (RFC 9110 section 9.2.2).
    pub fn is_idempotent(&self) -> bool {
        matches!(
            self,
            Method::Get | Method::Head | Method::Put | Method::Delete | Method::Options | Method::Trace
        )
    }
}

/// The first part of a request.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// What is asked for.
    pub method: Method<'a>,
    /// The version the client spoke.
    pub version: Version,
    /// Host and optional port, from the target's absolute form, from CONNECT's target, or from Host, in this order;
    /// empty if none was given (HTTP/1.0).
    pub authority: &'a [u8],
    /// Path with query, as sent (`*` for OPTIONS, empty for CONNECT, `/` where an absolute target has no path).
    pub path: &'a [u8],
    /// The Host line must be written anew from `authority` because the target's host overrode it (or it is missing).
    pub authority_overrides_host: bool,
    /// Every field, hop-by-hop ones included.
    pub fields: Fields<'a>,
    /// How long the body is.
    pub body: BodyLength,
    /// The frame, if this is a call. Then the authority is its service, and the path says nothing.
    pub rpc: Option<RpcHead<'a>>,
    /// The protocols of a valid Upgrade (field nominated by Connection, no body), as sent.
    pub upgrade: Option<&'a [u8]>,
    /// The client waits for 100 before it sends its body.
    pub expects_continue: bool,
}

/// The first part of a response.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// 100..=599.
    pub status: u16,
    /// The version the server spoke.
    pub version: Version,
    /// HTTP/1's reason phrase, as sent; may be empty.
    pub reason: &'a [u8],
    /// Every field, hop-by-hop ones included.
    pub fields: Fields<'a>,
    /// How long the body is. [`BodyLength::Streamed`] if the head opens a tunnel (101, or 2xx to CONNECT).
    pub body: BodyLength,
    /// The frame, if this answers a call.
    pub rpc: Option<RpcHead<'a>>,
}

impl ResponseHead<'_> {
    /// Whether another head follows this one.
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }
}
