//! What `%...%` operators stand for. A value that is not known is empty.

use crate::config::{FieldSource, FieldValue, HeaderOperator};
use crate::observe::access_log::{ResponseFlags, capture, take_captured};
use sidering_codecs::edits::FieldWriter;
use sidering_codecs::{Edits, Fields, RequestHead};
use std::fmt::Write;
use std::net::SocketAddr;

/// What is known of an exchange beside its heads.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// `None` on unix sockets, and if no operator asks for it.
    pub peer: Option<SocketAddr>,
    pub local: &'a str,
    pub protocol: &'static str,
    pub cluster: &'a str,
    pub upstream: &'a str,
    pub status: u16,
    pub flags: ResponseFlags,
    pub details: &'a str,
}

/// The head that is changed.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    Request(&'a RequestHead<'a>),
    Response {
        fields: Fields<'a>,
        /// What the operators ask of the request, in their order, as [`capture_request`] left it.
        captured: &'a [u8],
    },
}

impl<'a> Subject<'a> {
    pub(super) fn fields(&self) -> Fields<'a> {
        match self {
            Subject::Request(head) => head.fields,
            Subject::Response { fields, .. } => *fields,
        }
    }

    pub(super) fn write(
        &mut self,
        operator: &HeaderOperator,
        facts: &Facts<'_>,
        field: &mut FieldWriter<'_>,
    ) {
        // Writing into memory cannot fail.
        let _ = match operator {
            HeaderOperator::DownstreamRemoteAddress => facts.peer.map(|peer| write!(field, "{peer}")),
            HeaderOperator::DownstreamRemoteAddressWithoutPort => {
                facts.peer.map(|peer| write!(field, "{}", peer.ip()))
            }
            HeaderOperator::DownstreamLocalAddress => Some(field.write_str(facts.local)),
            HeaderOperator::Protocol => Some(field.write_str(facts.protocol)),
            HeaderOperator::UpstreamCluster => Some(field.write_str(facts.cluster)),
            HeaderOperator::UpstreamHost => Some(field.write_str(facts.upstream)),
            HeaderOperator::ResponseCode => Some(write!(field, "{}", facts.status)),
            HeaderOperator::ResponseCodeDetails => Some(field.write_str(facts.details)),
            HeaderOperator::ResponseFlags => {
                write_flags(facts.flags, field);
                None
            }
            HeaderOperator::Request(wanted) => {
                self.write_of_request(wanted, field);
                None
            }
            HeaderOperator::Response(wanted) => {
                if let Subject::Response { fields, .. } = self {
                    write_field(wanted, |source, limit| match source {
                        FieldSource::Field(name) => field.push_value_of(fields, name.as_bytes(), limit),
                        _ => false,
                    });
                }
                None
            }
        };
    }

    fn write_of_request(&mut self, wanted: &FieldValue, field: &mut FieldWriter<'_>) {
        match self {
            Subject::Request(head) => write_field(wanted, |source, limit| {
                match source {
                    FieldSource::Method => {
                        let method = head.method.as_bytes();
                        field.push(&method[..method.len().min(limit)]);
                    }
                    FieldSource::Path => field.push_path(head.path, limit),
                    FieldSource::Authority => field.push_authority(head.authority, limit),
                    FieldSource::Field(name) => {
                        return field.push_value_of(&head.fields, name.as_bytes(), limit);
                    }
                }
                true
            }),
            Subject::Response { captured, .. } => {
                if let Some((value, rest)) = take_captured(captured) {
                    *captured = rest;
                    field.push(value.unwrap_or_default());
                }
            }
        }
    }
}

/// The first source that there is.
fn write_field(wanted: &FieldValue, mut write: impl FnMut(&FieldSource, usize) -> bool) {
    let limit = wanted.limit.map_or(usize::MAX, |limit| limit as usize);
    if !write(&wanted.first, limit)
        && let Some(second) = &wanted.second
    {
        write(second, limit);
    }
}

fn write_flags(flags: ResponseFlags, field: &mut FieldWriter<'_>) {
    let mut is_first = true;
    for name in flags.names() {
        if !std::mem::take(&mut is_first) {
            field.push(b",");
        }
        field.push(name.as_bytes());
    }
    if is_first {
        field.push(b"-");
    }
}

/// Keeps what an operator of an answer's header asks of the request, which is gone when the answer comes.
pub fn capture_request(
    operator: &HeaderOperator,
    head: &RequestHead<'_>,
    edits: &Edits,
    captured: &mut Vec<u8>,
) {
    let HeaderOperator::Request(wanted) = operator else { return };
    let value = |source: &FieldSource| match source {
        FieldSource::Method => Some(head.method.as_bytes()),
        FieldSource::Path => Some(edits.path().unwrap_or(head.path)),
        FieldSource::Authority => Some(edits.authority().unwrap_or(head.authority)),
        FieldSource::Field(name) => edits.value_of(&head.fields, name.as_bytes()),
    };
    let value = value(&wanted.first).or_else(|| value(wanted.second.as_ref()?));
    let limit = wanted.limit.map_or(usize::MAX, |limit| limit as usize);
    capture(value.map(|value| &value[..value.len().min(limit)]), captured);
}
