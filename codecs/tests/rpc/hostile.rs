//! Bytes that nobody should send: each length at its edges, flipped bytes, nesting, and noise. Never a panic.

use crate::support::{LIMITS, WITH_LATE_FIELDS, golden, outline};
use proptest::prelude::*;
use sidering_codecs::bolt::Bolt;
use sidering_codecs::dubbo::Dubbo;
use sidering_codecs::dubbo_thrift::DubboThrift;
use sidering_codecs::edits::Edits;
use sidering_codecs::hessian2::{Classes, HessianError, Reader};
use sidering_codecs::rpc::{Layout, Scan, ScanLimits};
use sidering_codecs::tars::Tars;
use sidering_codecs::thrift::Thrift;

/// Everything a layout does with bytes that a peer chose.
fn survives<L: Layout>(bytes: &[u8]) {
    for limits in [LIMITS, WITH_LATE_FIELDS, ScanLimits { head_bytes: 40, wants_late_fields: true }] {
        let Ok(Scan::Frame(frame)) = L::scan(bytes, &limits) else { continue };
        assert!(
            frame.head_bytes <= frame.seen_bytes && frame.seen_bytes as usize <= bytes.len(),
            "{frame:?}"
        );
        assert!(u64::from(frame.seen_bytes) <= frame.total_bytes(), "{frame:?}");
        assert!(frame.seen_bytes <= limits.head_bytes, "{frame:?}");
        let (head, seen) = (&bytes[..frame.head_bytes as usize], &bytes[..frame.seen_bytes as usize]);
        let mut spans = Vec::new();
        let mut out = Vec::new();
        if let Ok(call) = L::read(&frame, seen, 8, &mut spans) {
            for span in [call.service, call.method, call.version, call.group] {
                assert!((span.start + span.len) as usize <= seen.len(), "{span:?} of {}", seen.len());
            }
            assert!(spans.len() <= 8);
            for span in &spans {
                assert!(span.line_start as usize + usize::from(span.name_len) <= seen.len());
                assert!((span.value_start + span.value_len) as usize <= seen.len());
            }
            let mut edits = Edits::default();
            edits.add(b"a", b"b");
            let _ = L::write_head(&frame, seen, &spans, 1, &edits, &mut out);
            let _ = L::write_head(&frame, head, &spans, 1, &Edits::default(), &mut out);
        }
        L::write_reply(&frame, head, 503, b"text", &mut out);
        L::write_pong(&frame, head, &mut out);
    }
    let _ = L::detect(bytes);
}

fn all_survive(bytes: &[u8]) {
    survives::<Bolt>(bytes);
    survives::<Dubbo>(bytes);
    survives::<Tars>(bytes);
    survives::<DubboThrift>(bytes);
    survives::<Thrift>(bytes);
}

const TITLES: [&str; 10] = [
    "bolt request",
    "bolt response",
    "boltv2 request",
    "boltv2 response",
    "dubbo request",
    "dubbo response",
    "tars request",
    "tars response",
    "dubbo-thrift request",
    "dubbo-thrift response",
];

#[test]
fn every_byte_of_every_golden_frame_may_be_wrong() {
    for title in TITLES {
        let frame = golden(title);
        for at in 0..frame.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff, frame[at].wrapping_add(1)] {
                let mut bytes = frame.clone();
                bytes[at] = value;
                all_survive(&bytes);
                all_survive(&bytes[..at]);
            }
        }
    }
}

/// A 32-bit length at its edges, and what becomes of the frame.
fn at_edges<L: Layout>(title: &str, at: usize, accepted: impl Fn(u32) -> bool) {
    for length in [0, 1, 0x7fff_fffe, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
        let mut bytes = golden(title);
        bytes[at..at + 4].copy_from_slice(&u32::to_be_bytes(length));
        all_survive(&bytes);
        assert_eq!(L::scan(&bytes, &LIMITS).is_ok(), accepted(length), "{title}: {length:#x}");
    }
}

#[test]
fn lengths_that_another_reader_takes_for_negative_are_refused() {
    let is_positive = |length: u32| length <= 0x7fff_ffff;
    at_edges::<Bolt>("bolt request", 18, is_positive);
    at_edges::<Bolt>("bolt response", 16, is_positive);
    at_edges::<Bolt>("boltv2 request", 20, is_positive);
    at_edges::<Dubbo>("dubbo request", 12, is_positive);
    at_edges::<Dubbo>("dubbo response", 12, is_positive);
    // A packet has to hold what it says it holds.
    at_edges::<Tars>("tars request", 0, |length| (0x43..=0x7fff_ffff).contains(&length));
    // Its two lengths have to agree.
    at_edges::<DubboThrift>("dubbo-thrift request", 0, |_| false);
}

#[test]
fn a_head_may_reach_its_limit_and_no_further() {
    fn reaches<L: Layout>(title: &str) {
        let bytes = golden(title);
        let head_bytes = outline::<L>(&bytes, &LIMITS).head_bytes;
        for (limit, fits) in [(head_bytes - 1, false), (head_bytes, true), (head_bytes + 1, true)] {
            let limits = ScanLimits { head_bytes: limit, wants_late_fields: false };
            assert_eq!(matches!(L::scan(&bytes, &limits), Ok(Scan::Frame(_))), fits, "{title}: {limit}");
        }
    }
    reaches::<Bolt>("bolt request");
    reaches::<Bolt>("boltv2 request");
    reaches::<Tars>("tars request");
    reaches::<DubboThrift>("dubbo-thrift request");
}

#[test]
fn fields_may_reach_their_number_and_no_further() {
    let bytes = golden("dubbo request");
    let frame = outline::<Dubbo>(&bytes, &WITH_LATE_FIELDS);
    for (limit, fits) in [(4, false), (5, true), (6, true)] {
        assert_eq!(Dubbo::read(&frame, &bytes, limit, &mut Vec::new()).is_ok(), fits, "{limit}");
    }
    let bytes = golden("bolt request");
    let frame = outline::<Bolt>(&bytes, &LIMITS);
    for (limit, fits) in [(1, false), (2, true), (3, true)] {
        assert_eq!(Bolt::read(&frame, &bytes, limit, &mut Vec::new()).is_ok(), fits, "{limit}");
    }
}

#[test]
fn hessian_nested_ten_thousand_deep_is_not_followed() {
    let deep = |depth: usize| [vec![0x79; depth], vec![b'N']].concat();
    let skip = |bytes: &[u8]| Reader::new(bytes).skip(&mut Classes::default());
    assert_eq!(skip(&deep(254)), Ok(()));
    assert_eq!(skip(&deep(255)), Ok(()));
    assert_eq!(skip(&deep(256)), Err(HessianError::TooComplex));
    assert_eq!(skip(&deep(10_000)), Err(HessianError::TooComplex));
}

proptest! {
    #[test]
    fn noise_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        all_survive(&bytes);
    }

    #[test]
    fn noise_behind_a_true_beginning_is_survived(
        which in 0..TITLES.len(),
        kept in 0..40usize,
        noise in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = golden(TITLES[which]);
        bytes.truncate(kept);
        bytes.extend_from_slice(&noise);
        all_survive(&bytes);
    }

    #[test]
    fn hessian_noise_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut reader = Reader::new(&bytes);
        let mut classes = Classes::default();
        while reader.skip(&mut classes).is_ok() && !reader.is_at_end() {}
        prop_assert!(reader.position() <= bytes.len());
    }
}
