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

fn one_way(id: u32, body: &[u8]) -> Vec<u8> {
    let mut frame = request(id, body);
    frame[1] = 2;
    frame
}

fn bodies(sent: &[u8]) -> Vec<Vec<u8>> {
    frames(sent).into_iter().map(|(.., body)| body).collect()
}

#[test]
fn a_call_without_an_answer_is_sent_again_if_it_had_not_left() {
    for is_client_gone in [false, true] {
        let mut bench = Bench::new(bolt::snapshot_of("bolt", 1));
        let client = bench.client();
        bench.receive(client, &one_way(1, b"left"));
        let lost = bench.connected();
        assert_eq!(bodies(&bench.flush(lost)), [b"left"]);
        bench.receive(client, &one_way(2, b"unlucky"));
        bench.receive(client, &one_way(3, &[b'x'; 9_000]));
        if is_client_gone {
            bench.end(client, Ok(()));
        }
        bench.end(lost, Err(IoError::Reset));
        // Each on a connection of its own, if there is no idle one.
        for expected in [b"unlucky".to_vec(), vec![b'x'; 9_000]] {
            let next = bench.io.connects.iter().find(|id| !bench.io.sockets[&id.index].connected);
            let id = *next.expect("a connect");
            bench.io.socket(id).connected = true;
            bench.complete(Completion::Connected { conn: id, result: Ok(()) });
            assert_eq!(bodies(&bench.flush(id)), [expected]);
        }
        assert_eq!(bench.cluster.requests_retried_stale.get(), 2);
        assert_eq!(bench.cluster.requests_overflow.get(), 0);
        assert_eq!(bench.cluster.requests_active.get(), 0, "they are over as soon as they are sent");
        assert_eq!(bench.cluster.connections_idle.get(), 2);
        bench.assert_empty();
    }
}

#[test]
fn a_call_without_an_answer_that_finds_no_room_is_counted() {
    let mut snapshot = bolt::snapshot_of("bolt", 1);
    let cluster = std::sync::Arc::make_mut(&mut snapshot.clusters[0]);
    cluster.pool.max_connections = 1;
    let mut bench = Bench::new(snapshot);
    let client = bench.client();
    bench.receive(client, &one_way(1, b"left"));
    let lost = bench.connected();
    bench.flush(lost);
    bench.receive(client, &one_way(2, b"one"));
    bench.receive(client, &one_way(3, b"two"));
    bench.end(lost, Ok(()));
    let other = bench.connected();
    assert_eq!(bodies(&bench.flush(other)), [b"one"]);
    assert_eq!(bench.cluster.requests_retried_stale.get(), 1);
    assert_eq!(bench.cluster.requests_overflow.get(), 1);
    bench.assert_empty();
}
