//! Finds a frame's head at the front of the input, in place or in the carry, and reads it. It may not take bytes behind the
//! frame.

use super::incoming::check_whole;
use super::{Call, Frame, Layout, Scan, ScanLimits};
use crate::carry::Carry;
use crate::codec::ProtocolError;
use crate::message::FieldSpan;

/// A payload up to this long, if all of it is there, goes with its head.
const SHORT_PAYLOAD_BYTES: usize = 1024;

/// A head found.
pub(super) struct Gathered<'i> {
    pub(super) frame: Frame,
    /// The frame's first bytes, as far as they are to be seen, if they stand in the input; else they are in the carry.
    pub(super) lent: Option<&'i [u8]>,
    /// How many of the bytes go with the head: of what was carried, all.
    pub(super) taken_bytes: usize,
}

impl<'i> Gathered<'i> {
    /// The frame's first bytes, from where they are.
    pub(super) fn bytes<'c>(&self, carry: &'c Carry) -> &'c [u8]
    where
        'i: 'c,
    {
        self.lent.unwrap_or_else(|| carry.bytes())
    }
}

/// What a head says, and whether the checksum of its frame, if it has one, was found to be right already.
pub(super) struct Told {
    pub(super) call: Call,
    pub(super) is_checked: bool,
}

/// Reads a head that begins with `bytes`. An error concerns this frame alone. A frame that is there whole, `behind` being what
/// follows those of its bytes that were taken, is not told before its checksum was looked at.
#[inline]
pub(super) fn read<L: Layout>(
    gathered: &Gathered<'_>,
    bytes: &[u8],
    behind: &[u8],
    max_fields: u16,
    spans: &mut Vec<FieldSpan>,
) -> Result<Told, HeadError> {
    let frame = &gathered.frame;
    let is_right = check_whole(frame, &bytes[..gathered.taken_bytes], behind);
    if is_right == Some(false) {
        return Err(HeadError::Checksum);
    }
    let call = L::read(frame, &bytes[..frame.seen_bytes as usize], max_fields, spans);
    call.map(|call| Told { call, is_checked: is_right.is_some() }).map_err(HeadError::Read)
}

/// Why a head is not told.
pub(super) enum HeadError {
    /// It cannot be read.
    Read(ProtocolError),
    /// Its frame is not what was sent.
    Checksum,
}

/// A checksum that is not what it should be.
pub(super) const BAD_CHECKSUM: ProtocolError =
    ProtocolError { status: 400, reason: "the checksum of a frame is wrong" };

/// Where a head was found.
pub(super) enum Found<'i> {
    /// In the input.
    Here(Gathered<'i>),
    /// Not there as a whole, so that it has to be carried: at least so many of its bytes are wanted, if none of them are.
    Cut(Option<usize>),
}

/// Looks for a head at the front of `input`, and advances that behind what goes out with it.
#[inline(always)]
pub(super) fn find<'i, L: Layout>(
    carry: &Carry,
    input: &mut &'i [u8],
    limits: &ScanLimits,
) -> Result<Found<'i>, ProtocolError> {
    let whole = *input;
    if whole.is_empty() || !carry.is_empty() {
        return Ok(Found::Cut(None));
    }
    match L::scan(whole, limits)? {
        Scan::Frame(frame) => {
            let taken_bytes = taken_with_head(&frame, whole.len());
            let seen_bytes = taken_bytes.max(frame.seen_bytes as usize);
            *input = &whole[taken_bytes..];
            Ok(Found::Here(Gathered { frame, lent: Some(&whole[..seen_bytes]), taken_bytes }))
        }
        Scan::More(wanted) => Ok(Found::Cut(Some(wanted))),
    }
}

/// Carries what there is of a head, `wanted` being the least length of one that begins with the input, until it is whole. At most
/// the limit of head bytes is carried: 431 beyond.
pub(super) fn gather_cut<'i, L: Layout>(
    carry: &mut Carry,
    input: &mut &'i [u8],
    limits: &ScanLimits,
    wanted: Option<usize>,
) -> Result<Option<Gathered<'i>>, ProtocolError> {
    let bound = limits.head_bytes as usize;
    if let Some(wanted) = wanted {
        carry.take(input, input.len(), bound);
        wait(carry, wanted, bound)?;
    }
    while !input.is_empty() {
        let missing = carry.missing();
        carry.take(input, missing, bound);
        if !carry.is_due() {
            break;
        }
        match L::scan(carry.bytes(), limits)? {
            Scan::Frame(frame) => {
                return Ok(Some(Gathered { frame, lent: None, taken_bytes: carry.len() }));
            }
            Scan::More(wanted) => wait(carry, wanted, bound)?,
        }
    }
    Ok(None)
}

/// How many bytes of a frame go with its head, of which `there` have come: a short payload does, so that its frame is written
/// in one piece and costs one event less.
fn taken_with_head(frame: &Frame, there: usize) -> usize {
    let head_bytes = frame.head_bytes as usize;
    match usize::try_from(frame.payload_bytes) {
        Ok(payload_bytes) if payload_bytes <= SHORT_PAYLOAD_BYTES && head_bytes + payload_bytes <= there => {
            head_bytes + payload_bytes
        }
        _ => head_bytes,
    }
}

/// Waits for `wanted` bytes, or for as many as the bound has room for.
fn wait(carry: &mut Carry, wanted: usize, bound: usize) -> Result<(), ProtocolError> {
    if carry.len() >= bound {
        return Err(ProtocolError { status: 431, reason: "the head of a frame is longer than allowed" });
    }
    carry.look_again_at(wanted.clamp(carry.len() + 1, bound));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::FrameKind;

    #[test]
    fn a_short_payload_that_is_there_goes_with_its_head() {
        const HEAD_BYTES: usize = 20;
        let short = SHORT_PAYLOAD_BYTES;
        let cases = [
            (0, HEAD_BYTES, HEAD_BYTES),
            (short - 1, HEAD_BYTES + short - 1, HEAD_BYTES + short - 1),
            (short, HEAD_BYTES + short, HEAD_BYTES + short),
            (short, HEAD_BYTES + short + 9, HEAD_BYTES + short),
            (short, HEAD_BYTES + short - 1, HEAD_BYTES),
            (short + 1, HEAD_BYTES + short + 1, HEAD_BYTES),
        ];
        for (payload_bytes, there, taken_bytes) in cases {
            let frame = Frame {
                kind: FrameKind::Request,
                dialect: 1,
                serialization: 0,
                id: 1,
                head_bytes: HEAD_BYTES as u32,
                seen_bytes: HEAD_BYTES as u32,
                payload_bytes: payload_bytes as u64,
                trailer_bytes: 0,
                timeout_ms: None,
                status: 0,
                own_status: 0,
            };
            assert_eq!(
                taken_with_head(&frame, there),
                taken_bytes,
                "{payload_bytes} of which {there} are there"
            );
        }
    }
}
