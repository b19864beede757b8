//! Which of several protocols a connection's first bytes speak. It keeps nothing: it is asked anew about ever more bytes.

use crate::registry::Protocol;

/// Whether these bytes are one protocol's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detection {
    /// They are.
    Match,
    /// They cannot be.
    NoMatch,
    /// They may be.
    NeedMore,
}

/// What the first bytes of a connection speak, of several protocols.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The protocol at this place.
    Speaks(usize),
    /// More bytes decide.
    Undecided,
    /// None of them.
    Unknown,
}

/// Asks the protocols in their order. One that is not sure yet holds up those behind it, so that it does not depend on how the
/// bytes were cut who gets them; with `is_all`, where no more are waited for, it counts for nothing.
pub fn judge(protocols: impl IntoIterator<Item = &'static Protocol>, first: &[u8], is_all: bool) -> Verdict {
    for (at, protocol) in protocols.into_iter().enumerate() {
        match (protocol.detect)(first) {
            Detection::Match => return Verdict::Speaks(at),
            Detection::NeedMore if !is_all => return Verdict::Undecided,
            Detection::NeedMore | Detection::NoMatch => {}
        }
    }
    Verdict::Unknown
}

#[cfg(test)]
mod tests {
    use super::{Detection, Verdict, judge};
    use crate::registry::{Protocol, protocol};

    /// Sure of `AB`, with any number of bytes behind it.
    fn early(first: &[u8]) -> Detection {
        match first {
            [] | [b'A'] => Detection::NeedMore,
            [b'A', b'B', ..] => Detection::Match,
            _ => Detection::NoMatch,
        }
    }

    /// Sure of `AB` only when its fourth byte is a `D`.
    fn late(first: &[u8]) -> Detection {
        match first {
            [] | [b'A'] | [b'A', b'B'] | [b'A', b'B', _] => Detection::NeedMore,
            [b'A', b'B', _, b'D', ..] => Detection::Match,
            _ => Detection::NoMatch,
        }
    }

    fn speaking(detect: fn(&[u8]) -> Detection) -> &'static Protocol {
        let like = protocol("bolt").unwrap();
        let (server, client, write_call) = (like.server, like.client, like.write_call);
        Box::leak(Box::new(Protocol { server, client, write_call, detect, ..*like }))
    }

    #[test]
    fn who_stands_in_front_is_waited_for_unless_nothing_more_comes() {
        let (early, late) = (speaking(early), speaking(late));
        for (order, bytes, expected, at_the_end) in [
            ([early, late], &b""[..], Verdict::Undecided, Verdict::Unknown),
            ([early, late], b"A", Verdict::Undecided, Verdict::Unknown),
            ([early, late], b"AB", Verdict::Speaks(0), Verdict::Speaks(0)),
            ([late, early], b"AB", Verdict::Undecided, Verdict::Speaks(1)),
            ([late, early], b"ABC", Verdict::Undecided, Verdict::Speaks(1)),
            ([late, early], b"ABCD", Verdict::Speaks(0), Verdict::Speaks(0)),
            ([late, early], b"ABCE", Verdict::Speaks(1), Verdict::Speaks(1)),
            ([late, early], b"B", Verdict::Unknown, Verdict::Unknown),
        ] {
            assert_eq!(judge(order, bytes, false), expected, "{}", bytes.escape_ascii());
            assert_eq!(judge(order, bytes, true), at_the_end, "{}", bytes.escape_ascii());
        }
    }
}
