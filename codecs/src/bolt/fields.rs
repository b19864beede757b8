//! The field block of a bolt head: pairs of strings, each with a length of four bytes in front.

use super::header::malformed;
use crate::codec::ProtocolError;
use crate::edits::Edits;
use crate::message::{FieldName, FieldSpan};
use crate::rpc::Span;

/// A length that stands for no string at all. SOFABolt reads every negative length so.
const NULL: u32 = u32::MAX;
const LENGTH_BYTES: u32 = 4;

/// Notes the places of all pairs of `head`'s block, which begins at `begin` and ends the head, and shows each to `see`: name and
/// value. A pair with a null half names nothing and is left out; its other half is still part of it.
pub(super) fn read(
    head: &[u8],
    begin: usize,
    max_fields: u16,
    spans: &mut Vec<FieldSpan>,
    mut see: impl FnMut(&[u8], Span),
) -> Result<(), ProtocolError> {
    let mut rest = head.get(begin..).unwrap_or_default();
    while !rest.is_empty() {
        let line_start = head.len() - rest.len();
        let (Some(key), Some(value)) = (string(&mut rest), string(&mut rest)) else {
            return Err(malformed("a bolt field reaches beyond its block"));
        };
        let (Some(key), Some(value)) = (key, value) else { continue };
        if spans.len() >= usize::from(max_fields) {
            return Err(ProtocolError { status: 431, reason: "too many fields in a bolt head" });
        }
        // The block is at most 64 KiB long, so its offsets and lengths fit.
        let line_end = (head.len() - rest.len()) as u32;
        let value = Span { start: line_end - value.len() as u32, len: value.len() as u32 };
        spans.push(FieldSpan {
            line_start: line_start as u32 + LENGTH_BYTES,
            value_start: value.start,
            value_len: value.len,
            line_end,
            name_len: key.len() as u16,
            name: FieldName::Other,
            hop_by_hop: false,
        });
        see(key, value);
    }
    Ok(())
}

/// Takes a string off the front, `Some(None)` being null; `None` if it reaches beyond the block.
#[inline]
fn string<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let (length, behind) = rest.split_first_chunk()?;
    let length = u32::from_be_bytes(*length);
    if length == NULL {
        *rest = behind;
        return Some(None);
    }
    let (text, behind) = behind.split_at_checked(length as usize)?;
    *rest = behind;
    Some(Some(text))
}

/// Writes the block anew: every pair of `spans` that `edits` leave, then those they add.
pub(super) fn write(head: &[u8], spans: &[FieldSpan], edits: &Edits, out: &mut Vec<u8>) {
    for (index, span) in spans.iter().enumerate() {
        if !edits.is_removed(index) {
            let (name, value) = (span.line_start as usize, span.value_start as usize);
            put(&head[name..name + usize::from(span.name_len)], out);
            put(&head[value..value + span.value_len as usize], out);
        }
    }
    for field in edits.added().iter() {
        put(field.name, out);
        put(field.value, out);
    }
}

pub(super) fn put(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u32).to_be_bytes());
    out.extend_from_slice(text);
}
