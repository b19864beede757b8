//! How long a call's caller waits: read where its frame says so, and written anew in the same place.

use crate::checksums::assert_checked;
use crate::frames::with_checksum;
use crate::proxy::{BOLT, BOLT_V2, DUBBO, DUBBO_THRIFT, Kind, Proxy, TARS};
use crate::support::{WITH_LATE_FIELDS, outline, read};
use sidering_codecs::bolt::Bolt;
use sidering_codecs::dubbo::Dubbo;
use sidering_codecs::rpc::Layout;
use sidering_codecs::tars::Tars;

fn told<L: Layout>(bytes: &[u8]) -> Option<u32> {
    let frame = outline::<L>(bytes, &WITH_LATE_FIELDS);
    let (call, _) = read::<L>(&frame, &bytes[..frame.seen_bytes as usize]);
    frame.timeout_ms.or(call.timeout_ms)
}

fn timeout_of(kind: Kind, bytes: &[u8]) -> Option<u32> {
    match kind.protocol {
        "bolt" => told::<Bolt>(bytes),
        "dubbo" => told::<Dubbo>(bytes),
        _ => told::<Tars>(bytes),
    }
}

#[test]
fn what_is_left_of_a_timeout_takes_its_place_and_nothing_else_changes() {
    for kind in [BOLT, BOLT_V2, DUBBO, TARS] {
        let call = kind.request();
        assert_eq!(timeout_of(kind, &call), Some(3000), "{}", kind.title);
        let as_it_came = Proxy::new(kind).pass_up(&call);
        for left in [1, 99, 256, 2999] {
            let mut proxy = Proxy::new(kind);
            proxy.edits.set_timeout(left);
            let sent = proxy.pass_up(&call);
            assert_eq!(timeout_of(kind, &sent), Some(left), "{}", kind.title);
            let changed = sent.iter().zip(&as_it_came).filter(|(one, other)| one != other).count();
            assert!(sent.len() == as_it_came.len() && changed <= 4, "{}: {sent:x?}", kind.title);
        }
    }
}

#[test]
fn a_checksum_counts_the_new_timeout() {
    let mut proxy = Proxy::new(BOLT_V2);
    proxy.edits.set_timeout(7);
    let sent = proxy.pass_up(&with_checksum(BOLT_V2.request_of(&[b'x'; 5000])));
    assert_checked(&sent);
    assert_eq!(timeout_of(BOLT_V2, &sent), Some(7));
}

#[test]
fn where_there_is_none_or_it_is_not_at_hand_a_call_stays_as_it_is() {
    // Behind a payload that does not go with the head.
    let long = TARS.request_of(&[b'x'; 5000]);
    for (kind, call) in [(DUBBO_THRIFT, DUBBO_THRIFT.request()), (TARS, long)] {
        let as_it_came = Proxy::new(kind).pass_up(&call);
        let mut proxy = Proxy::new(kind);
        proxy.edits.set_timeout(7);
        assert_eq!(proxy.pass_up(&call), as_it_came, "{}", kind.title);
    }
}
