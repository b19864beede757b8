//! One `%OPERATOR%` of a format: reading it, and writing its value for a record. It knows neither lines nor JSON.

use super::time_format::{self, TimeFormat};
use crate::config::show_address;
use sidering_dataplane::config::{AccessLogFields, Snapshot};
use sidering_dataplane::observe::access_log::AccessRecord;
use std::io::Write;

/// What a record says under an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operator {
    StartTime(TimeFormat),
    Duration,
    UpstreamServiceTime,
    BytesReceived,
    BytesSent,
    ResponseCode,
    ResponseCodeDetails,
    ResponseFlags,
    Protocol,
    UpstreamHost,
    UpstreamCluster,
    DownstreamRemoteAddress,
    DownstreamRemoteAddressWithoutPort,
    DownstreamLocalAddress,
    ListenerName,
    RouteLine,
    RpcService,
    RpcMethod,
    RpcVersion,
    RpcGroup,
    RpcStatus,
    RpcTimeout,
    /// `REQ(first?second):limit` and `RESP(first?second):limit`.
    Field {
        first: Field,
        second: Option<Field>,
        limit: Option<usize>,
    },
}

/// Where the value of a field comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    Method,
    Path,
    Authority,
    /// Index among the captured fields of the request.
    Request(usize),
    /// Index among the captured fields of the response.
    Response(usize),
}

/// What a record is read against.
pub(super) struct Context<'c> {
    /// `None` if the record's snapshot is gone: its names are then unknown.
    pub(super) snapshot: Option<&'c Snapshot>,
    pub(super) origin_unix_micros: u64,
    /// How many captured values are of the request.
    pub(super) request_fields: usize,
}

/// A value, by how JSON would write it.
pub(super) enum Shown {
    Nothing,
    /// Digits in the output.
    Number,
    /// Raw bytes in the output, to be escaped.
    Text,
}

const NAMES: [(&str, Operator); 21] = [
    ("DURATION", Operator::Duration),
    ("UPSTREAM_SERVICE_TIME", Operator::UpstreamServiceTime),
    ("BYTES_RECEIVED", Operator::BytesReceived),
    ("BYTES_SENT", Operator::BytesSent),
    ("RESPONSE_CODE", Operator::ResponseCode),
    ("RESPONSE_CODE_DETAILS", Operator::ResponseCodeDetails),
    ("RESPONSE_FLAGS", Operator::ResponseFlags),
    ("PROTOCOL", Operator::Protocol),
    ("UPSTREAM_HOST", Operator::UpstreamHost),
    ("UPSTREAM_CLUSTER", Operator::UpstreamCluster),
    ("DOWNSTREAM_REMOTE_ADDRESS", Operator::DownstreamRemoteAddress),
    ("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", Operator::DownstreamRemoteAddressWithoutPort),
    ("DOWNSTREAM_LOCAL_ADDRESS", Operator::DownstreamLocalAddress),
    ("LISTENER_NAME", Operator::ListenerName),
    ("ROUTE_LINE", Operator::RouteLine),
    ("RPC_SERVICE", Operator::RpcService),
    ("RPC_METHOD", Operator::RpcMethod),
    ("RPC_VERSION", Operator::RpcVersion),
    ("RPC_GROUP", Operator::RpcGroup),
    ("RPC_STATUS", Operator::RpcStatus),
    ("RPC_TIMEOUT", Operator::RpcTimeout),
];

/// All names, for suggestions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(name, _)| *name).chain(["START_TIME", "REQ", "RESP"])
}

impl Operator {
    /// Reads `NAME`, its argument in parentheses and its limit behind a colon, adding the fields that records must
    /// carry. An error says what was expected.
    pub(super) fn read(
        name: &str,
        argument: Option<&str>,
        limit: Option<usize>,
        fields: &mut AccessLogFields,
    ) -> Result<Operator, String> {
        match (name, argument) {
            ("START_TIME", None) => Ok(Operator::StartTime(TimeFormat::standard())),
            ("START_TIME", Some(format)) => {
                let format = TimeFormat::parse(format).ok_or_else(|| time_format::EXPECTED.to_owned())?;
                Ok(Operator::StartTime(format))
            }
            ("REQ" | "RESP", None) => Err(format!("a field's name in parentheses: %{name}(X-NAME)%")),
            // No peer writes this field for us: it is what the proxy itself measured.
            ("RESP", Some(field)) if field.eq_ignore_ascii_case("x-envoy-upstream-service-time") => {
                Ok(Operator::UpstreamServiceTime)
            }
            ("RESP", Some(field)) if field.eq_ignore_ascii_case(":status") => Ok(Operator::ResponseCode),
            ("REQ" | "RESP", Some(argument)) => {
                let request = name == "REQ";
                let (first, second) = match argument.split_once('?') {
                    Some((first, second)) => (first, Some(second)),
                    None => (argument, None),
                };
                let first = Field::read(first, request, fields)?;
                let second = second.map(|second| Field::read(second, request, fields)).transpose()?;
                Ok(Operator::Field { first, second, limit })
            }
            (_, Some(_)) => Err(format!("%{name}% without parentheses")),
            (_, None) => match NAMES.iter().find(|(known, _)| *known == name) {
                Some((_, operator)) => {
                    fields.rpc_group |= *operator == Operator::RpcGroup;
                    Ok(operator.clone())
                }
                None => Err(unknown(name)),
            },
        }
    }

    /// Appends the value, unescaped, and tells what it is.
    pub(super) fn write(&self, record: &AccessRecord<'_>, context: &Context<'_>, out: &mut Vec<u8>) -> Shown {
        match self {
            Operator::StartTime(format) => {
                format.write(context.origin_unix_micros + record.start_micros, out);
                Shown::Text
            }
            Operator::Duration => number(record.duration_micros / 1000, out),
            Operator::UpstreamServiceTime if record.upstream_micros == u64::MAX => Shown::Nothing,
            Operator::UpstreamServiceTime => number(record.upstream_micros / 1000, out),
            Operator::BytesReceived => number(record.received_bytes, out),
            Operator::BytesSent => number(record.sent_bytes, out),
            Operator::ResponseCode => number(u64::from(record.status), out),
            Operator::RouteLine if record.route_line == 0 => Shown::Nothing,
            Operator::RouteLine => number(u64::from(record.route_line), out),
            Operator::ResponseCodeDetails => text(record.details, out),
            Operator::ResponseFlags => flags(record, out),
            Operator::RpcService => text(record.service, out),
            // Requests of HTTP have one, too, which is none of a call.
            Operator::RpcMethod if record.service.is_empty() && record.rpc_status.is_none() => Shown::Nothing,
            Operator::RpcMethod => text(record.method, out),
            Operator::RpcVersion => text(record.version, out),
            Operator::RpcGroup => text(record.group, out),
            Operator::RpcStatus => optional(record.rpc_status.map(i64::from), out),
            Operator::RpcTimeout => optional(record.rpc_timeout_ms.map(i64::from), out),
            Operator::Protocol => text(record.protocol, out),
            Operator::DownstreamRemoteAddress => text(record.downstream_peer, out),
            Operator::DownstreamRemoteAddressWithoutPort => text(without_port(record.downstream_peer), out),
            Operator::UpstreamHost
            | Operator::UpstreamCluster
            | Operator::DownstreamLocalAddress
            | Operator::ListenerName => self.write_name(record, context, out),
            Operator::Field { first, second, limit } => {
                let value = first.value(record, context).or_else(|| second.as_ref()?.value(record, context));
                let value = value.unwrap_or_default();
                text(&value[..limit.map_or(value.len(), |limit| limit.min(value.len()))], out)
            }
        }
    }

    /// The values that a record tells by index.
    fn write_name(&self, record: &AccessRecord<'_>, context: &Context<'_>, out: &mut Vec<u8>) -> Shown {
        let listener = context.snapshot.and_then(|snapshot| snapshot.listeners.get(record.listener as usize));
        let cluster = context.snapshot.and_then(|snapshot| snapshot.clusters.get(record.cluster as usize));
        match self {
            Operator::UpstreamCluster => text(cluster.map_or("", |cluster| &cluster.name).as_bytes(), out),
            Operator::ListenerName => text(listener.map_or("", |listener| &listener.name).as_bytes(), out),
            Operator::UpstreamHost => text(record.upstream_host, out),
            _ => text(
                listener.map_or(String::new(), |listener| show_address(&listener.address)).as_bytes(),
                out,
            ),
        }
    }
}

impl Field {
    fn read(name: &str, request: bool, fields: &mut AccessLogFields) -> Result<Field, String> {
        let lower = name.to_ascii_lowercase();
        match (lower.as_str(), request) {
            (":method", true) => return Ok(Field::Method),
            (":path", true) => return Ok(Field::Path),
            (":authority" | "host", true) => return Ok(Field::Authority),
            _ => {}
        }
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if lower.is_empty() || !lower.bytes().all(token) {
            return Err("the name of a header field, or :METHOD, :PATH, :AUTHORITY".to_owned());
        }
        let list = if request { &mut fields.request_fields } else { &mut fields.response_fields };
        let index = list.iter().position(|known| *known == lower).unwrap_or_else(|| {
            list.push(lower);
            list.len() - 1
        });
        Ok(if request { Field::Request(index) } else { Field::Response(index) })
    }

    fn value<'r>(&self, record: &AccessRecord<'r>, context: &Context<'_>) -> Option<&'r [u8]> {
        let captured = |index| record.captured_values().nth(index).flatten();
        match self {
            Field::Method => Some(record.method),
            Field::Path => Some(record.path),
            Field::Authority => Some(record.authority),
            Field::Request(index) => captured(*index),
            Field::Response(index) => captured(context.request_fields + *index),
        }
    }
}

fn optional(value: Option<i64>, out: &mut Vec<u8>) -> Shown {
    let Some(value) = value else { return Shown::Nothing };
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{value}");
    Shown::Number
}

fn number(value: u64, out: &mut Vec<u8>) -> Shown {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{value}");
    Shown::Number
}

fn text(value: &[u8], out: &mut Vec<u8>) -> Shown {
    out.extend_from_slice(value);
    if value.is_empty() { Shown::Nothing } else { Shown::Text }
}

fn flags(record: &AccessRecord<'_>, out: &mut Vec<u8>) -> Shown {
    let mut shown = Shown::Nothing;
    for name in record.flags.names() {
        if matches!(shown, Shown::Text) {
            out.push(b',');
        }
        shown = text(name.as_bytes(), out);
    }
    shown
}

fn without_port(peer: &[u8]) -> &[u8] {
    let end = peer.iter().rposition(|byte| *byte == b':').unwrap_or(peer.len());
    peer[..end].strip_prefix(b"[").and_then(|peer| peer.strip_suffix(b"]")).unwrap_or(&peer[..end])
}

fn unknown(name: &str) -> String {
    match crate::config::nearest(name, names()) {
        Some(near) => format!("an operator; did you mean %{near}%?"),
        None => format!("one of {}", names().collect::<Vec<_>>().join(", ")),
    }
}
