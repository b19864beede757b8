//! Turns parsed field lines into spans, and notes on the way which of them the framing rules will ask for. It judges
//! no value.

use super::{malformed, names};
use crate::codec::ProtocolError;
use crate::message::{FieldName, FieldSpan};

/// A field that a head may have at most once.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) enum Single {
    /// No such field.
    #[default]
    Absent,
    /// Exactly one, at this index.
    Once(usize),
    /// More than one.
    Repeated,
}

impl Single {
    fn note(&mut self, index: usize) {
        *self = if *self == Single::Absent { Single::Once(index) } else { Single::Repeated };
    }
}

/// What a head's fields contain that matters to the connection.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Notes {
    pub host: Single,
    pub content_length: Single,
    pub transfer_encoding: Single,
    pub upgrade: Single,
    pub expect: Single,
    /// At least one Connection field.
    pub connection: bool,
    /// A line, the start line and the empty line included, ended with LF alone.
    pub bare_line_feed: bool,
}

/// Fills `spans` from `headers`, which httparse found in `head` (start line, field lines, empty line).
///
/// Errors: 400 if a name is longer than a span can say (65,535 bytes).
pub(super) fn index(
    head: &[u8],
    headers: &[httparse::Header<'_>],
    spans: &mut Vec<FieldSpan>,
) -> Result<Notes, ProtocolError> {
    let mut notes = Notes::default();
    let empty_line = if head.ends_with(b"\r\n") { 2 } else { 1 };
    let fields_end = head.len() - empty_line;
    let mut line_start = headers.first().map_or(fields_end, |first| offset_in(head, first.name.as_bytes()));
    notes.bare_line_feed = empty_line == 1 || line_start > 0 && !ends_with_crlf(head, line_start);
    spans.clear();
    for (index, header) in headers.iter().enumerate() {
        let line_end =
            headers.get(index + 1).map_or(fields_end, |next| offset_in(head, next.name.as_bytes()));
        notes.bare_line_feed |= !ends_with_crlf(head, line_end);
        let name = names::classify(header.name.as_bytes());
        if name != FieldName::Other {
            notes.note(name, index);
        }
        spans.push(FieldSpan {
            line_start: line_start as u32,
            value_start: offset_in(head, header.value) as u32,
            value_len: header.value.len() as u32,
            line_end: line_end as u32,
            name_len: u16::try_from(header.name.len()).map_err(|_| malformed("a field name is too long"))?,
            name,
            hop_by_hop: names::is_hop_by_hop(name),
        });
        line_start = line_end;
    }
    Ok(notes)
}

impl Notes {
    fn note(&mut self, name: FieldName, index: usize) {
        match name {
            FieldName::Host => self.host.note(index),
            FieldName::ContentLength => self.content_length.note(index),
            FieldName::TransferEncoding => self.transfer_encoding.note(index),
            FieldName::Upgrade => self.upgrade.note(index),
            FieldName::Expect => self.expect.note(index),
            FieldName::Connection => self.connection = true,
            _ => {}
        }
    }
}

/// The value a span names.
pub(super) fn value_of<'a>(head: &'a [u8], span: &FieldSpan) -> &'a [u8] {
    &head[span.value_start as usize..][..span.value_len as usize]
}

/// Where `part`, a slice of `head`, begins in it.
pub(super) fn offset_in(head: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr() - head.as_ptr().addr()
}

fn ends_with_crlf(head: &[u8], line_end: usize) -> bool {
    line_end >= 2 && head[line_end - 2] == b'\r'
}
