//! Compares what is said of the same bytes in different pieces.

use crate::control::Cuts;
use crate::receiver::Conversation;
use crate::said::Said;

/// Holds the conversation over the whole input, over these cuts, and over single bytes, and checks that it is the same.
pub fn assert_same_however_cut(
    bytes: &[u8],
    cuts: &Cuts,
    converse: impl Fn(&[&[u8]], bool) -> Conversation,
) -> Conversation {
    let whole = converse(&[bytes], false);
    for (cuts, relays) in [(cuts, false), (cuts, true), (&Cuts::single_bytes(), false)] {
        let pieces = cuts.pieces(bytes);
        assert_same(&whole, &converse(&pieces, relays));
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
    assert_eq!(
        (cut.end, cut.is_reusable, cut.is_idle),
        (whole.end, whole.is_reusable, whole.is_idle),
        "in pieces the connection ends in another state"
    );
}
