//! Compares what is said of the same bytes in different pieces.

use crate::control::Cuts;
use crate::receiver::{Conversation, Variant};
use crate::said::Said;
use sidering_codecs::InputEnd;

/// Holds the conversation over the whole input, over these cuts, and over single bytes, and checks that it is the same.
pub fn assert_same_however_cut(
    bytes: &[u8],
    cuts: &Cuts,
    converse: impl Fn(&[&[u8]], Variant) -> Conversation,
) -> Conversation {
    let whole = converse(&[bytes], Variant::Plain);
    let single_bytes = Cuts::single_bytes();
    let others = [
        (cuts, Variant::Plain),
        (cuts, Variant::Relays),
        (cuts, Variant::Renews),
        (&single_bytes, Variant::Plain),
    ];
    for (cuts, variant) in others {
        let pieces = cuts.pieces(bytes);
        assert_same(&whole, &converse(&pieces, variant));
    }
    whole
}

/// A refusal may come later in pieces, once the line that it is about has ended; nothing else may differ.
fn assert_same(whole: &Conversation, cut: &Conversation) {
    if let Some((Said::Refused(_), before)) = whole.said.split_last() {
        if cut.said != whole.said {
            assert_eq!(cut.said, before, "in pieces something else is said than of the whole");
            assert!(cut.end.is_err(), "in pieces a broken message passes for a clean end");
        }
        return;
    }
    assert_eq!(cut.said, whole.said, "in pieces something else is said than of the whole");
    assert_eq!(cut.left, whole.left, "in pieces something else is left over");
    let without_stream = |end| matches!(end, Ok(InputEnd::Message(_)));
    assert_eq!(without_stream(cut.end), without_stream(whole.end), "what the end means");
    assert_eq!(
        (cut.end.is_ok(), cut.is_reusable, cut.is_idle),
        (whole.end.is_ok(), whole.is_reusable, whole.is_idle),
        "in pieces the connection ends in another state"
    );
}
