//! Frames of bolt v2 with a checksum: checked when they come, made anew when they go.

use crate::frames::{crc32, with_checksum};
use crate::proxy::{BOLT_V2, Proxy, Said, feed, heard};
use sidering_codecs::{Control, Edits};

pub(crate) fn assert_checked(frame: &[u8]) {
    let (counted, checksum) = frame.split_at(frame.len() - 4);
    assert_eq!(crc32(counted).to_be_bytes(), checksum);
}

#[test]
fn a_checksum_is_checked_and_made_anew() {
    for edits in [None, Some((b"zone", b"gz"))] {
        let mut proxy = Proxy::new(BOLT_V2);
        if let Some((name, value)) = edits {
            proxy.edits.add(name, value);
        }
        let call = with_checksum(BOLT_V2.request_of(&[b'x'; 1000]));
        let sent = proxy.pass_up(&call);
        assert_checked(&sent);
        assert_eq!(BOLT_V2.split(&sent).len(), 1);
        if edits.is_none() {
            assert_eq!(sent.len(), call.len());
        }
        proxy.edits = Edits::default();
        let answer = BOLT_V2.with_id(&BOLT_V2.response(), BOLT_V2.id_of(&sent));
        assert_eq!(proxy.pass_down(&with_checksum(answer)), with_checksum(BOLT_V2.response()));
        assert!(proxy.is_idle());
    }
}

#[test]
fn the_checksum_is_no_part_of_the_payload_however_it_is_cut() {
    let call = with_checksum(BOLT_V2.request());
    let two = [call.clone(), call.clone()].concat();
    for cut in 0..call.len() {
        let mut proxy = Proxy::new(BOLT_V2);
        let mut sent = proxy.pass_up(&two[..cut]);
        sent.extend(proxy.pass_up(&two[cut..]));
        let frames = BOLT_V2.split(&sent);
        assert_eq!(frames.len(), 2, "{cut}");
        frames.iter().for_each(|frame| assert_checked(frame));
    }
    let mut proxy = Proxy::new(BOLT_V2);
    let sent: Vec<u8> = two.iter().flat_map(|&byte| proxy.pass_up(&[byte])).collect();
    assert_eq!(BOLT_V2.split(&sent).len(), 2);
    assert!(proxy.downstream.decode_end().is_ok());
}

#[test]
fn only_the_second_inner_version_with_the_switch_has_one() {
    for (inner, switch, has_one) in [(1, 0, false), (1, 1, false), (2, 0, false), (2, 1, true)] {
        let mut call = BOLT_V2.request();
        (call[1], call[11]) = (inner, switch);
        assert_eq!(BOLT_V2.outline(&call).trailer_bytes > 0, has_one, "{inner} {switch}");
    }
}

#[test]
fn a_wrong_checksum_of_a_call_that_is_there_whole_concerns_it_alone() {
    let good = with_checksum(BOLT_V2.request());
    for at in [good.len() - 1, good.len() - 5, 60] {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        let mut server = BOLT_V2.server();
        let said = heard(&mut *server, &[bad, good.clone()].concat());
        assert_eq!(said[0], Said::Control(Control::Notice));
        assert!(matches!(said[1], Said::Request { .. }), "{said:?}");
        let mut out = Vec::new();
        server.encode_control(&mut out);
        assert_eq!(out[0], 2, "it is answered in its version");
        assert_eq!(BOLT_V2.split(&out).len(), 1);
    }
}

#[test]
fn a_wrong_checksum_of_a_call_that_was_told_already_ends_the_connection() {
    let mut bad = with_checksum(BOLT_V2.request());
    let last = bad.len() - 1;
    bad[last] ^= 1;
    let head = BOLT_V2.outline(&bad).head_bytes as usize;
    for cut in head..bad.len() {
        let mut server = BOLT_V2.server();
        let mut said = heard(&mut *server, &bad[..cut]);
        assert!(matches!(said[0], Said::Request { .. }), "{cut}");
        feed(&mut *server, &bad[cut..], &mut said);
        assert_eq!(said.last(), Some(&Said::Refused(400)), "{cut}");
        assert!(!server.is_reusable());
        assert!(!said.iter().any(|said| matches!(said, Said::End { .. })), "{cut}");
    }
}

#[test]
fn a_wrong_checksum_of_an_answer_ends_the_connection() {
    let mut proxy = Proxy::new(BOLT_V2);
    let sent = proxy.pass_up(&BOLT_V2.request());
    let mut bad = with_checksum(BOLT_V2.with_id(&BOLT_V2.response(), BOLT_V2.id_of(&sent)));
    let last = bad.len() - 1;
    bad[last] ^= 1;
    let mut said = Vec::new();
    feed(&mut *proxy.upstream, &bad, &mut said);
    assert_eq!(said, [Said::Refused(502)]);
    assert!(!proxy.upstream.is_reusable());
}
