//! What routing reads of a request's body: five strings in front of the arguments, and the attachments behind them.

use super::header::malformed;
use crate::codec::ProtocolError;
use crate::hessian2::{Classes, HessianError, Reader};
use crate::message::{FieldName, FieldSpan};
use crate::rpc::{Call, Span};

/// The strings in front of a call's arguments.
pub(super) struct Invocation {
    /// The service is the path here, which the attachment `interface` may correct.
    pub(super) call: Call,
    /// Types of the arguments, one after the other.
    descriptor: Span,
    /// Bytes up to the arguments.
    pub(super) length: usize,
}

/// Reads the strings. `offset` is where `body` begins in the frame. `Err(Cut)` asks for more bytes.
pub(super) fn read_invocation(body: &[u8], offset: usize) -> Result<Invocation, HessianError> {
    let mut reader = Reader::new(body);
    let mut next = || -> Result<Span, HessianError> {
        if reader.null()? {
            return Ok(Span::default());
        }
        let text = reader.text()?;
        Ok(Span { start: (offset + reader.position() - text.len()) as u32, len: text.len() as u32 })
    };
    let _protocol_version = next()?;
    let (service, version, method, descriptor) = (next()?, next()?, next()?, next()?);
    let call = Call { service, method, version, ..Call::default() };
    Ok(Invocation { call, descriptor, length: reader.position() })
}

/// Reads the attachments of a request whose whole body is there. A body that is too complex to follow has none.
pub(super) fn read_attachments(
    seen: &[u8],
    offset: usize,
    invocation: &mut Invocation,
    max_fields: u16,
    fields: &mut Vec<FieldSpan>,
) -> Result<(), ProtocolError> {
    let body = seen.get(offset..).unwrap_or_default();
    let arguments = count_arguments(invocation.descriptor.of(seen));
    let mut reader = Reader::new(body.get(invocation.length..).unwrap_or_default());
    let mut classes = Classes::default();
    for _ in 0..arguments {
        match reader.skip(&mut classes) {
            Ok(()) => {}
            Err(HessianError::TooComplex) => return Ok(()),
            Err(_) => return Err(malformed("the arguments of a Dubbo call are no hessian2")),
        }
    }
    let begin = offset + invocation.length;
    read_map(&mut reader, begin, seen, max_fields, fields, &mut classes)?;
    for field in fields.iter() {
        let (name, value) = (name_of(field), value_of(field));
        match name.of(seen) {
            b"group" => invocation.call.group = value,
            b"interface" if value.len > 0 => invocation.call.service = value,
            b"version" if value.len > 0 => invocation.call.version = value,
            _ => {}
        }
    }
    Ok(())
}

/// The string pairs of the map at the cursor; pairs of anything else are left out.
fn read_map(
    reader: &mut Reader<'_>,
    begin: usize,
    seen: &[u8],
    max_fields: u16,
    fields: &mut Vec<FieldSpan>,
    classes: &mut Classes,
) -> Result<(), ProtocolError> {
    let broken = |_| malformed("the attachments of a Dubbo call are no hessian2");
    if reader.is_at_end() || reader.null().map_err(broken)? {
        return Ok(());
    }
    if !reader.begin_map().map_err(broken)? {
        return Ok(());
    }
    while !reader.end_map().map_err(broken)? {
        let key = text_or_skip(reader, classes).map_err(broken)?;
        let value = text_or_skip(reader, classes).map_err(broken)?;
        let (Some(key), Some(value)) = (key, value) else { continue };
        if fields.len() >= usize::from(max_fields) {
            return Err(ProtocolError { status: 431, reason: "too many attachments in a Dubbo call" });
        }
        let (key, value) = (moved(key, begin), moved(value, begin));
        debug_assert!((value.start + value.len) as usize <= seen.len());
        fields.push(FieldSpan {
            line_start: key.start,
            value_start: value.start,
            value_len: value.len,
            line_end: value.start + value.len,
            name_len: key.len as u16,
            name: FieldName::Other,
            hop_by_hop: false,
        });
    }
    Ok(())
}

/// The place of a string of one piece, relative to the reader's bytes, or nothing of any other value.
fn text_or_skip(reader: &mut Reader<'_>, classes: &mut Classes) -> Result<Option<Span>, HessianError> {
    let mut ahead = *reader;
    match ahead.text() {
        Ok(text) if text.len() <= usize::from(u16::MAX) => {
            *reader = ahead;
            let len = text.len() as u32;
            Ok(Some(Span { start: reader.position() as u32 - len, len }))
        }
        _ => reader.skip(classes).map(|()| None),
    }
}

fn moved(span: Span, by: usize) -> Span {
    Span { start: span.start + by as u32, ..span }
}

fn name_of(field: &FieldSpan) -> Span {
    Span { start: field.line_start, len: u32::from(field.name_len) }
}

fn value_of(field: &FieldSpan) -> Span {
    Span { start: field.value_start, len: field.value_len }
}

/// How many types a descriptor names (JVM specification, section 4.3.2: `[` and `L...;` and single letters).
fn count_arguments(descriptor: &[u8]) -> usize {
    let (mut count, mut in_class) = (0, false);
    for &byte in descriptor {
        match byte {
            b';' => in_class = false,
            _ if in_class => {}
            b'[' => {}
            b'L' => {
                in_class = true;
                count += 1;
            }
            _ => count += 1,
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::count_arguments;

    #[test]
    fn counts_the_types_of_a_descriptor() {
        for (descriptor, count) in [
            (&b""[..], 0),
            (b"Ljava/lang/String;", 1),
            (b"Ljava/lang/String;I[JZ", 4),
            (b"[[Ljava/util/List;", 1),
            (b"Ljava/lang/String;[Ljava/lang/String;[Ljava/lang/Object;", 3),
        ] {
            assert_eq!(count_arguments(descriptor), count, "{}", String::from_utf8_lossy(descriptor));
        }
    }
}
