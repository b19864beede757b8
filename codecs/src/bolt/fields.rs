//! The field block of a bolt head: pairs of strings, each with a length of four bytes in front.

use super::header::malformed;
use crate::codec::ProtocolError;
use crate::edits::Edits;
use crate::message::{FieldName, FieldSpan};

/// A length that stands for no string at all. SOFABolt reads every negative length so.
const NULL: u32 = u32::MAX;

/// Notes the places of all pairs of `block`, which begins at `offset` of its head. A pair with a null half names nothing
/// and is left out; its other half is still part of it.
pub(super) fn read(
    block: &[u8],
    offset: usize,
    max_fields: u16,
    spans: &mut Vec<FieldSpan>,
) -> Result<(), ProtocolError> {
    let mut at = 0;
    while at < block.len() {
        let line_start = at;
        let key = string(block, &mut at)?;
        let value = string(block, &mut at)?;
        let (Some(key), Some(value)) = (key, value) else { continue };
        if spans.len() >= usize::from(max_fields) {
            return Err(ProtocolError { status: 431, reason: "too many fields in a bolt head" });
        }
        // The block is at most 64 KiB long, so its offsets and lengths fit.
        spans.push(FieldSpan {
            line_start: (offset + key.start) as u32,
            value_start: (offset + value.start) as u32,
            value_len: value.len() as u32,
            line_end: (offset + at) as u32,
            name_len: key.len() as u16,
            name: FieldName::Other,
            hop_by_hop: false,
        });
        debug_assert_eq!(key.start, line_start + 4);
    }
    Ok(())
}

/// The place of the string at `at`, which moves behind it; `None` for null.
fn string(block: &[u8], at: &mut usize) -> Result<Option<std::ops::Range<usize>>, ProtocolError> {
    let cut = || malformed("a bolt field reaches beyond its block");
    let (length, _) = block.get(*at..).and_then(|rest| rest.split_first_chunk()).ok_or_else(cut)?;
    let length = u32::from_be_bytes(*length);
    *at += 4;
    if length == NULL {
        return Ok(None);
    }
    let start = *at;
    let end = start.checked_add(length as usize).filter(|&end| end <= block.len()).ok_or_else(cut)?;
    *at = end;
    Ok(Some(start..end))
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
