//! Detection on arbitrary bytes: each protocol stays with what it has said, is sure within few bytes, and knows what its own codec
//! reads; who gets the bytes depends on the order of the protocols, and not on how the bytes were cut.

use crate::control::{Control, Cuts};
use crate::rpc_calls::call;
use sidering_codecs::detection::{Detection, Verdict, judge};
use sidering_codecs::registry::{CodecOptions, Protocol, protocols};
use sidering_codecs::rpc::PoolMode;
use sidering_codecs::{Event, Scratch};

/// Nobody needs more bytes than this to be sure.
const DECIDED_BYTES: usize = 64;

/// The order of the protocols and how many of them; cuts; then a connection's first bytes.
pub fn run(input: &[u8]) {
    let mut control = Control::new(input);
    let order = order(control.byte(), control.byte());
    let cuts = control.cuts();
    let bytes = control.rest();
    for protocol in &order {
        hold(protocol, bytes);
    }
    let first = &bytes[..bytes.len().min(DECIDED_BYTES)];
    let whole = judge(order.iter().copied(), first, false);
    assert!(whole != Verdict::Undecided || bytes.len() < DECIDED_BYTES);
    for cuts in [&cuts, &Cuts::single_bytes()] {
        assert_eq!(in_pieces(&order, &cuts.pieces(first)), whole, "in pieces somebody else gets them");
    }
    let at_the_end = judge(order.iter().copied(), first, true);
    assert!(at_the_end != Verdict::Undecided);
    assert!(whole == Verdict::Undecided || whole == at_the_end, "no more bytes mean something else");
}

/// Some of the protocols, beginning with any of them, in either direction.
fn order(first: u8, count: u8) -> Vec<&'static Protocol> {
    let mut all: Vec<&Protocol> = protocols().collect();
    let known = all.len();
    all.rotate_left(usize::from(first & 15) % known);
    if first & 16 != 0 {
        all.reverse();
    }
    all.truncate(known - usize::from(count) % known);
    all
}

fn in_pieces(order: &[&'static Protocol], pieces: &[&[u8]]) -> Verdict {
    let mut come = Vec::new();
    for piece in pieces {
        come.extend_from_slice(piece);
        let verdict = judge(order.iter().copied(), &come, false);
        if verdict != Verdict::Undecided {
            return verdict;
        }
    }
    judge(order.iter().copied(), &come, false)
}

fn hold(protocol: &Protocol, bytes: &[u8]) {
    let mut before = Detection::NeedMore;
    for length in 0..=bytes.len().min(DECIDED_BYTES) {
        let now = (protocol.detect)(&bytes[..length]);
        assert!(before == Detection::NeedMore || now == before, "{} changes its mind", protocol.name);
        before = now;
    }
    let said = (protocol.detect)(bytes);
    let is_settled = bytes.len() < DECIDED_BYTES || before != Detection::NeedMore;
    assert!(is_settled && (before == Detection::NeedMore || said == before), "{} is not sure", protocol.name);
    assert!(said == Detection::Match || !reads(protocol, bytes), "{} does not know its own", protocol.name);
}

/// Whether the codec for clients reads a call, which it does of all that is none of its protocol only by accident. HTTP's is lenient
/// about what stands in front of the first request, Tars' about fields in front of the version, which nobody writes.
fn reads(protocol: &Protocol, bytes: &[u8]) -> bool {
    let (mut codec, mut scratch, mut input) =
        ((protocol.server)(CodecOptions::DEFAULT), Scratch::default(), bytes);
    let told = codec.decode(&mut scratch, &mut input);
    let is_strict = protocol.pool == PoolMode::Multiplex && protocol.name != "tars";
    is_strict && matches!(told, Ok(Some(Event::Request { .. })))
}

/// Inputs to begin with: calls of every protocol, and requests.
pub fn seeds() -> Vec<Vec<u8>> {
    let wires = ["bolt", "dubbo", "tars", "dubbo_thrift", "thrift"].map(|name| call(name, 1));
    let requests = [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\0",
    ];
    let wires = wires.into_iter().chain(requests.map(<[u8]>::to_vec));
    wires.flat_map(|wire| [0u8, 3, 17].map(|order| [&[order, 0, 2, 1, 5][..], &wire].concat())).collect()
}
