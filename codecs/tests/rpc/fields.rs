//! Edited heads: fields removed and added where a protocol has a place for them.

use crate::support::{LIMITS, golden, outline, read, rewritten, told};
use sidering_codecs::bolt::Bolt;
use sidering_codecs::edits::Edits;
use sidering_codecs::rpc::{Layout, Scan};
use sidering_codecs::thrift::Thrift;

#[test]
fn a_bolt_head_takes_edits_and_keeps_the_rest() {
    for version in ["bolt", "boltv2"] {
        let request = golden(&format!("{version} request"));
        let mut edits = Edits::default();
        edits.remove(0);
        edits.add(b"x-zone", b"gz");
        let edited = rewritten::<Bolt>(&request, 9, &edits);
        let fields = told::<Bolt>(&edited, &LIMITS).fields;
        assert_eq!((fields.len(), fields[1].clone()), (2, ("x-zone".to_owned(), "gz".to_owned())));
        assert!(edited.ends_with(b"hello"));
        assert_eq!(outline::<Bolt>(&edited, &LIMITS).total_bytes(), edited.len() as u64);
    }
}

#[test]
fn the_fields_of_a_bolt_head_may_reach_64_kib_and_no_further() {
    let request = golden("bolt request");
    let frame = outline::<Bolt>(&request, &LIMITS);
    let (_, spans) = read::<Bolt>(&frame, &request);
    let block = 0x71;
    for (length, fits) in [(65_534, true), (65_535, true), (65_536, false)] {
        let mut edits = Edits::default();
        edits.add(b"x", &vec![b'v'; length - block - 9]);
        let mut out = b"before".to_vec();
        let written =
            Bolt::write_head(&frame, &request[..frame.head_bytes as usize], &spans, 1, &edits, &mut out);
        assert_eq!(written.is_ok(), fits, "{length}");
        if !fits {
            assert_eq!(out, b"before");
        }
    }
}

#[test]
fn a_null_half_of_a_bolt_pair_drops_the_pair_and_nothing_else() {
    let pair = |key: Option<&[u8]>, value: Option<&[u8]>| -> Vec<u8> {
        let text = |text: Option<&[u8]>| match text {
            None => vec![0xff; 4],
            Some(text) => [&(text.len() as u32).to_be_bytes()[..], text].concat(),
        };
        [text(key), text(value)].concat()
    };
    let block = [
        pair(Some(b"a"), Some(b"1")),
        pair(Some(b"b"), None),
        pair(None, Some(b"3")),
        pair(Some(b"d"), Some(b"")),
    ]
    .concat();
    let mut frame = golden("bolt heartbeat request");
    frame[3] = 1;
    frame[16..18].copy_from_slice(&(block.len() as u16).to_be_bytes());
    frame.extend_from_slice(&block);
    let fields = told::<Bolt>(&frame, &LIMITS).fields;
    assert_eq!(fields, [("a".to_owned(), "1".to_owned()), ("d".to_owned(), String::new())]);
}

#[test]
fn theader_takes_edits() {
    // Length, magic, flags, sequence id, two words of header: binary, no transform, one pair, then a binary message.
    let message = b"\x80\x01\x00\x01\x00\x00\x00\x08svc:ping\x00\x00\x00\x05\x00";
    let mut frame = vec![0, 0, 0, 0, 0x0f, 0xff, 0, 0, 0, 0, 0, 5, 0, 2, 0, 0, 1, 1, 1, b'k', 1, b'v'];
    frame.extend_from_slice(message);
    let length = frame.len() as u32 - 4;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    let before = told::<Thrift>(&frame, &LIMITS);
    assert_eq!((before.service.as_str(), before.method.as_str()), ("svc", "ping"));
    assert_eq!(before.fields, [("k".to_owned(), "v".to_owned())]);
    assert_eq!(rewritten::<Thrift>(&frame, 5, &Edits::default()), frame);
    let mut edits = Edits::default();
    edits.remove(0);
    edits.add(b"zone", b"gz");
    edits.add(b"user", b"7");
    let edited = rewritten::<Thrift>(&frame, 5, &edits);
    let after = told::<Thrift>(&edited, &LIMITS);
    assert_eq!(after.fields.len(), 2, "{after:?}");
    assert!(edited.ends_with(message));
    assert!(
        matches!(Thrift::scan(&edited, &LIMITS), Ok(Scan::Frame(frame)) if frame.total_bytes() == edited.len() as u64)
    );
}
