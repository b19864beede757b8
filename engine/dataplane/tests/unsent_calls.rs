//! Calls whose connection is lost before they have left: they are sent again, once, and no others are.

use sidering_dataplane::io::{Completion, IoError};
use support::Bench;

mod bolt;
mod support;

use bolt::{frames, request, response};

#[test]
fn what_has_not_left_is_sent_again_and_what_has_fails() {
    for end in [Ok(()), Err(IoError::Reset)] {
        let mut bench = Bench::new(bolt::snapshot_of("bolt", 1));
        let client = bench.client();
        bench.receive(client, &request(1, b"left"));
        let lost = bench.connected();
        assert_eq!(frames(&bench.flush(lost)).len(), 1);
        let bodies = [b"short".to_vec(), vec![b'x'; 9_000], vec![]];
        for (id, body) in (2..).zip(&bodies) {
            bench.receive(client, &request(id, body));
        }
        bench.end(lost, end);
        let other = bench.connected();
        assert_ne!(lost, other);
        let again = frames(&bench.flush(other));
        let found: Vec<Vec<u8>> = again.iter().map(|(.., body)| body.clone()).collect();
        assert_eq!(found, bodies, "{end:?}");
        for (id, _, body) in &again {
            bench.receive(other, &response(*id, body));
        }
        let answers = frames(&bench.flush(client));
        let ids: Vec<_> = answers.iter().map(|(id, status, body)| (*id, *status == 0, body.len())).collect();
        assert_eq!(ids[1..], [(2, true, 5), (3, true, 9_000), (4, true, 0)], "{end:?}");
        assert_eq!((ids[0].0, ids[0].1), (1, false), "{end:?}");
        assert_eq!(bench.cluster.requests_retried_stale.get(), 3);
        bench.assert_empty();
    }
}

#[test]
fn a_call_is_sent_again_once() {
    let mut bench = Bench::new(bolt::snapshot_of("bolt", 1));
    let client = bench.client();
    bench.receive(client, &request(1, b"unlucky"));
    let first = bench.connected();
    bench.end(first, Ok(()));
    let second = bench.connected();
    assert_ne!(first, second);
    assert!(bench.io.socket(client).sent.is_empty());
    bench.end(second, Ok(()));
    let answers = frames(&bench.flush(client));
    assert_eq!(answers.len(), 1);
    assert_ne!(answers[0].1, 0, "{answers:?}");
    bench.assert_empty();
}

#[test]
fn a_send_that_fails_loses_no_call_that_no_send_took() {
    for has_left in [true, false] {
        let mut bench = Bench::new(bolt::snapshot_of("bolt", 1));
        let client = bench.client();
        bench.receive(client, &request(1, b"first"));
        let lost = bench.connected();
        if has_left {
            bench.flush(lost);
        }
        bench.receive(client, &request(2, b"second"));
        bench.complete(Completion::SendFailed { conn: lost, error: IoError::BrokenPipe });
        let other = bench.connected();
        let again = frames(&bench.flush(other));
        let found: Vec<&[u8]> = again.iter().map(|(.., body)| body.as_slice()).collect();
        assert_eq!(found, &[&b"first"[..], b"second"][usize::from(has_left)..]);
        for (id, _, body) in &again {
            bench.receive(other, &response(*id, body));
        }
        let answers: Vec<_> =
            frames(&bench.flush(client)).iter().map(|(id, status, _)| (*id, *status == 0)).collect();
        assert_eq!(answers, [(1, !has_left), (2, true)]);
        bench.assert_empty();
    }
}
