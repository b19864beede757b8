//! Finds a whole head (or trailer section) at the front of the input, in place or in the carry. It may not look at
//! bytes behind the head, which belong to the body.

use super::refused;
use crate::carry::Carry;
use crate::codec::ProtocolError;

/// What reading a head from the bytes so far came to.
pub(super) enum Step<L> {
    /// The head takes up the first `length` bytes.
    Whole {
        /// Where its parts stand.
        layout: L,
        /// Its bytes with the empty line.
        length: usize,
    },
    /// More bytes are needed; at `decide_at` bytes at the latest the reader can refuse the head by its length.
    Partial {
        /// Number of bytes, counted from the head's start.
        decide_at: usize,
    },
    /// The head can be read once it is rewritten.
    Rewrite(Rewrite),
}

/// A change that makes a head readable; seldom needed, so that it may cost a copy.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rewrite {
    /// End every line with CRLF.
    LineEnds,
    /// Put another byte in place of the one at an offset.
    Replace(usize, u8),
    /// Insert a byte at an offset.
    Insert(usize, u8),
}

/// A head found whole.
pub(super) struct Gathered<'i, L> {
    /// Where its parts stand.
    pub layout: L,
    /// The head's bytes if they stand in the input; else they are in the carry.
    pub lent: Option<&'i [u8]>,
}

/// Reads a head of at most `bound` bytes from `carry` and `input` with `read`, advancing `input` behind it.
///
/// Errors: those of `read`, and 431 as soon as the head cannot fit into `bound`. `read` must judge a prefix as it
/// judges the whole, or ask for more; then the outcome does not depend on where the input was cut.
pub(super) fn gather<'i, L>(
    carry: &mut Carry,
    input: &mut &'i [u8],
    bound: usize,
    mut read: impl FnMut(&[u8]) -> Result<Step<L>, ProtocolError>,
) -> Result<Option<Gathered<'i, L>>, ProtocolError> {
    if carry.is_empty() {
        let whole = *input;
        let window = &whole[..whole.len().min(bound)];
        match read(window)? {
            Step::Whole { layout, length } => {
                let (head, rest) = whole.split_at(length);
                *input = rest;
                return Ok(Some(Gathered { layout, lent: Some(head) }));
            }
            Step::Partial { decide_at } => {
                take_head_part(carry, input, bound);
                return wait(carry, bound, decide_at);
            }
            Step::Rewrite(rewrite) => {
                take_head_part(carry, input, bound);
                apply(rewrite, carry);
            }
        }
    } else {
        let ends_line = take_head_part(carry, input, bound);
        if !ends_line && !carry.is_due() && carry.len() < bound {
            return Ok(None);
        }
    }
    loop {
        match read(carry.bytes())? {
            Step::Whole { layout, .. } => return Ok(Some(Gathered { layout, lent: None })),
            Step::Partial { decide_at } => return wait(carry, bound, decide_at),
            Step::Rewrite(rewrite) => apply(rewrite, carry),
        }
    }
}

/// Waits for more bytes, unless the bound leaves no room for them.
fn wait<'i, L>(
    carry: &mut Carry,
    bound: usize,
    decide_at: usize,
) -> Result<Option<Gathered<'i, L>>, ProtocolError> {
    if carry.len() >= bound {
        return Err(refused(431, "the head is longer than allowed"));
    }
    carry.look_again_at(decide_at.min(carry.len() * 2));
    Ok(None)
}

/// Moves the input up to the head's empty line into the carry. Tells whether a line ended in it: then the head may be
/// whole, or its next line be refused.
fn take_head_part(carry: &mut Carry, input: &mut &[u8], bound: usize) -> bool {
    let mut ends_line = false;
    let mut count = input.len();
    for position in memchr::memchr_iter(b'\n', input) {
        ends_line = true;
        let previous = byte_before(carry.bytes(), input, position, 1);
        if previous == b'\n' || previous == b'\r' && byte_before(carry.bytes(), input, position, 2) == b'\n' {
            count = position + 1;
            break;
        }
    }
    carry.take(input, count, bound);
    ends_line
}

/// The byte `distance` in front of `input[position]`, where `held` stands before `input`. In front of everything a
/// line ended: a trailer section may begin with the empty line.
fn byte_before(held: &[u8], input: &[u8], position: usize, distance: usize) -> u8 {
    match (held.len() + position).checked_sub(distance) {
        None => b'\n',
        Some(index) if index < held.len() => held[index],
        Some(index) => input[index - held.len()],
    }
}

fn apply(rewrite: Rewrite, carry: &mut Carry) {
    carry.rewrite(|bytes| match rewrite {
        Rewrite::Replace(at, byte) => bytes[at] = byte,
        Rewrite::Insert(at, byte) => bytes.insert(at, byte),
        Rewrite::LineEnds => {
            let mut rewritten = Vec::with_capacity(bytes.len() + bytes.len() / 8);
            for line in bytes.split_inclusive(|&byte| byte == b'\n') {
                let text = line.strip_suffix(b"\n").unwrap_or(line);
                rewritten.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
                rewritten.extend_from_slice(b"\r\n");
            }
            *bytes = rewritten;
        }
    });
}
