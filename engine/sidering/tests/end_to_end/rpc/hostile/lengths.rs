//! Every length of every layout at its edges, from either side.

use super::super::dialects::{DIALECTS, Dialect, Length, Width, assert_answered};
use super::stage::Stage;
use crate::support::Wire;

impl Length {
    fn edges(&self) -> Vec<u32> {
        let mut edges = match self.width {
            Width::One => vec![0, 1, 0x7f, 0x80, 0xff],
            Width::Two => vec![0, 1, 0x7fff, 0x8000, 0xfffe, 0xffff],
            Width::Four | Width::Varint => {
                vec![0, 1, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]
            }
        };
        edges.extend([self.max - 1, self.max, self.max.wrapping_add(1)]);
        edges.sort_unstable();
        edges.dedup();
        edges
    }
}

/// Every edge of these lengths, with the case in words.
fn cases<'d>(dialect: &'d Dialect, lengths: &'d [Length]) -> impl Iterator<Item = (&'d Length, u32, String)> {
    lengths.iter().flat_map(move |length| {
        let told = move |value| (length, value, format!("{}, {} {value:#x}", dialect.name, length.what));
        length.edges().into_iter().map(told)
    })
}

/// Sends nothing more. What still comes are whole frames, and then the end: nothing is waited for in vain.
#[track_caller]
pub(super) fn frames_until_end(dialect: &Dialect, wire: &mut Wire, case: &str) -> Vec<Vec<u8>> {
    // The other side may have closed already.
    let _ = wire.finish();
    let (bytes, _) = wire.rest().unwrap_or_else(|error| panic!("{case}: the connection goes on: {error}"));
    dialect.frames(&bytes)
}

fn lengths_of_calls(dialect: &'static Dialect) {
    let mut stage = Stage::set(dialect, "", "");
    for (length, value, case) in cases(dialect, dialect.call_lengths) {
        let mut client = stage.client();
        // A client of its own, and one that was served before.
        if value % 2 == 0 {
            assert_answered(dialect, &mut client, &case);
        }
        client.send(&dialect.with_length(dialect.call(5), length, value)).unwrap();
        let frames = frames_until_end(dialect, &mut client, &case);
        // The rest of what a shorter length cuts may be an answerable frame of its own, but hardly more.
        assert!(frames.len() <= 2, "{case}: {frames:x?}");
        stage.assert_unharmed(&case);
    }
    stage.assert_home();
}

fn lengths_of_answers(dialect: &'static Dialect) {
    let mut stage = Stage::set(dialect, "", "");
    for (length, value, case) in cases(dialect, dialect.answer_lengths) {
        stage.play(move |wire, call| {
            wire.send(&dialect.with_length(dialect.answer_to(call), length, value))?;
            Ok(false)
        });
        let mut client = stage.client();
        client.send(&dialect.call(5)).unwrap();
        let _ = client.finish();
        let (bytes, _) = client.rest().unwrap_or_else(|error| panic!("{case}: no end: {error}"));
        // An answer of which the head has gone out already is cut, and its connection with it.
        assert!(dialect.is_cut(&bytes) || dialect.frames(&bytes).len() == 1, "{case}: {bytes:x?}");
        stage.assert_served_again(&case);
    }
    stage.assert_home();
}

#[test]
fn of_calls() {
    DIALECTS.iter().for_each(lengths_of_calls);
}

#[test]
fn of_answers() {
    DIALECTS.iter().for_each(lengths_of_answers);
}
