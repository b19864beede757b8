//! Carries out the operations of one level on a head's edits, within the bounds of a head.

use super::value::{Facts, Subject};
use crate::config::{HeaderOperations, HeaderPiece};
use sidering_codecs::registry::CodecOptions;
use sidering_codecs::{Edits, Fields};

/// What a head may come to with what is added to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Of all lines of fields that go out.
    pub bytes: usize,
    pub fields: usize,
}

/// A head that would be larger than its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

impl Bounds {
    /// The bounds for heads that come in go for those that go out, too.
    pub const fn of(options: &CodecOptions) -> Self {
        Bounds { bytes: options.header_bytes as usize, fields: options.headers as usize }
    }

    /// Whether a head keeps to them as it is changed.
    ///
    /// # Errors
    /// It does not.
    pub fn check(self, fields: &Fields<'_>, edits: &Edits) -> Result<(), TooLarge> {
        let spans = fields.spans().iter().enumerate();
        let kept = spans.filter(|(index, span)| !span.hop_by_hop && !edits.is_removed(*index));
        let (mut count, mut bytes) = (edits.added().len(), edits.added().bytes().len());
        for (_, span) in kept {
            count += 1;
            bytes += (span.line_end - span.line_start) as usize;
        }
        if count > self.fields || bytes > self.bytes { Err(TooLarge) } else { Ok(()) }
    }
}

/// Carries out what one level says.
///
/// # Errors
/// The added lines alone are larger than a head may be; what was written by then is of no use.
pub fn apply(
    operations: &HeaderOperations,
    facts: &Facts<'_>,
    subject: &mut Subject<'_>,
    bounds: Bounds,
    edits: &mut Edits,
) -> Result<(), TooLarge> {
    let fields = subject.fields();
    for name in &operations.remove {
        edits.remove_named(&fields, name.as_bytes());
    }
    // Every value sees the head as it was before the first field was set.
    let visible = edits.added().len();
    let mut is_set = 0u64;
    for (at, header) in operations.values().enumerate() {
        let mut field = edits.start_field(header.name.as_bytes(), visible);
        for piece in &header.value.pieces {
            match piece {
                HeaderPiece::Text(text) => field.push(text.as_bytes()),
                HeaderPiece::Value(operator) => subject.write(operator, facts, &mut field),
            }
            if field.added_bytes() > bounds.bytes {
                return Err(TooLarge);
            }
        }
        if field.finish() && at < operations.set.len() {
            is_set |= 1 << (at % 64);
        }
    }
    let mut visible = visible;
    for (at, header) in operations.set.iter().enumerate() {
        if is_set & 1 << (at % 64) != 0 {
            let before = edits.added().len();
            edits.remove_older(&fields, header.name.as_bytes(), visible);
            visible -= before - edits.added().len();
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
