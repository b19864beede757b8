//! Heartbeats on idle upstream connections, and on connections of clients.

use sidering_dataplane::config::{Heartbeat, Snapshot};
use sidering_dataplane::io::{ConnId, IoError};
use sidering_dataplane::observe::notice::{Notice, RowKind};
use support::{Bench, address};

mod bolt;
mod support;

use bolt::{ONE_WAY, REQUEST, frames, heartbeat, number, request, request_of, response};

fn told(bench: &Bench) -> Vec<Notice> {
    bench.notices.borrow().told.clone()
}

fn with_heartbeats() -> Snapshot {
    let mut snapshot = bolt::snapshot_of("bolt", 1);
    let cluster = std::sync::Arc::make_mut(&mut snapshot.clusters[0]);
    cluster.pool.idle_timeout_ms = 600_000;
    cluster.heartbeat = Some(Heartbeat { interval_ms: 4_000, max_interval_ms: 6_000, timeout_ms: 500 });
    snapshot
}

/// A worker with an idle upstream connection.
fn idle() -> (Bench, ConnId) {
    let mut bench = Bench::new(with_heartbeats());
    let client = bench.client();
    bench.receive(client, &request(7, b"first"));
    let upstream = bench.connected();
    let (id, ..) = frames(&bench.flush(upstream))[0];
    bench.receive(upstream, &response(id, b"1"));
    bench.flush(client);
    (bench, upstream)
}

/// The id of the heartbeat that was sent, if one was.
fn pinged(bench: &mut Bench, upstream: ConnId) -> Option<u32> {
    let sent = bench.flush(upstream);
    (!sent.is_empty()).then(|| {
        assert_eq!(sent[1..4], [REQUEST, 0, 0], "a heartbeat");
        number(&sent[5..9]) as u32
    })
}

fn pong(id: u32) -> Vec<u8> {
    let mut frame = vec![1, 0, 0, 0, 1];
    frame.extend_from_slice(&id.to_be_bytes());
    frame.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    frame
}

#[test]
fn idle_connections_are_asked_less_often_while_they_answer() {
    let (mut bench, upstream) = idle();
    for interval_ms in [4_000, 5_000, 6_000, 6_000] {
        bench.advance_ms(interval_ms - 200);
        assert_eq!(pinged(&mut bench, upstream), None, "{interval_ms}");
        bench.advance_ms(300);
        let id = pinged(&mut bench, upstream).expect("a heartbeat is due");
        bench.receive(upstream, &pong(id));
        assert!(!bench.is_closed(upstream));
    }
    assert_eq!(bench.cluster.heartbeats.get(), 4);
    assert_eq!(bench.cluster.connections_idle.get(), 1);
}

#[test]
fn a_heartbeat_without_an_answer_ends_the_connection() {
    let (mut bench, upstream) = idle();
    bench.advance_ms(4_100);
    assert!(pinged(&mut bench, upstream).is_some());
    bench.advance_ms(400);
    assert!(!bench.is_closed(upstream));
    bench.advance_ms(200);
    assert!(bench.is_closed(upstream));
    assert_eq!(bench.cluster.heartbeats_missed.get(), 1);
    assert_eq!(bench.cluster.connections_active.get(), 0);
    assert_eq!(told(&bench), [], "whoever never answered one may know none");
}

#[test]
fn an_endpoint_that_answers_no_more_heartbeats_is_to_be_ejected() {
    let (mut bench, upstream) = idle();
    bench.advance_ms(4_100);
    let id = pinged(&mut bench, upstream).expect("a heartbeat is due");
    bench.receive(upstream, &pong(id));
    bench.advance_ms(5_100);
    assert!(pinged(&mut bench, upstream).is_some());
    bench.advance_ms(400);
    assert_eq!(told(&bench), []);
    bench.advance_ms(200);
    assert!(bench.is_closed(upstream));
    let (cluster, endpoint, kind) = ("origin".to_owned(), address(8000), RowKind::Heartbeats);
    assert_eq!(told(&bench), [Notice::FailuresInRow { cluster, endpoint, kind }]);
}

#[test]
fn a_connection_that_is_cut_in_its_silence_makes_the_next_one_less_silent() {
    let (mut bench, upstream) = idle();
    bench.advance_ms(3_000);
    bench.end(upstream, Err(IoError::Reset));
    let client = bench.client();
    bench.receive(client, &request(7, b"first"));
    let upstream = bench.connected();
    let (id, ..) = frames(&bench.flush(upstream))[0];
    bench.receive(upstream, &response(id, b"1"));
    bench.advance_ms(1_400);
    assert_eq!(pinged(&mut bench, upstream), None);
    bench.advance_ms(200);
    assert!(pinged(&mut bench, upstream).is_some(), "half of what it did not stand");
}

#[test]
fn heartbeats_alone_keep_a_client_and_begin_no_request() {
    let (mut bench, _) = idle();
    let client = bench.client();
    for id in 0..4 {
        bench.advance_ms(900);
        bench.receive(client, &heartbeat(id));
        assert_eq!(bench.flush(client).len(), 20);
    }
    assert!(!bench.is_closed(client));
}

#[test]
fn a_heartbeat_is_answered_before_a_connection_with_the_rest_of_a_call_that_nobody_answers_is_closed() {
    for is_replaced in [false, true] {
        let (mut bench, upstream) = idle();
        let client = bench.client();
        bench.receive(client, &request_of(ONE_WAY, 8, 0, &[b'x'; 300_000]));
        let waiting = bench.io.socket(upstream).sent.len();
        assert!(waiting > 300_000, "more than the connection is given room for");
        bench.receive(upstream, &heartbeat(9));
        if is_replaced {
            let mut next = bolt::snapshot_of("bolt", 2);
            next.version = 2;
            bench.apply(next);
        }
        let sent = bench.flush(upstream);
        let answered = if sent.len() > waiting { sent[waiting..].to_vec() } else { bench.flush(upstream) };
        assert_eq!(answered, pong(9), "{is_replaced}");
        bench.flush(upstream);
        assert_eq!(bench.is_closed(upstream), is_replaced);
        bench.assert_empty();
    }
}

#[test]
fn a_heartbeat_is_not_missed_while_a_long_frame_is_on_its_way_in_front_of_its_answer() {
    const PIECE_BYTES: usize = 1_000;
    let (mut bench, upstream) = idle();
    // Nobody waits for it any more.
    let stray = response(0x00ff_ff00, &[b'x'; 10 * PIECE_BYTES]);
    let (first, rest) = stray.split_at(PIECE_BYTES);
    bench.receive(upstream, first);
    bench.advance_ms(4_100);
    let id = pinged(&mut bench, upstream).expect("a heartbeat is due");
    for piece in rest.chunks(PIECE_BYTES) {
        bench.advance_ms(400);
        bench.receive(upstream, piece);
    }
    bench.receive(upstream, &pong(id));
    assert!(!bench.is_closed(upstream));
    assert_eq!(bench.cluster.heartbeats_missed.get(), 0);
    bench.advance_ms(5_100);
    pinged(&mut bench, upstream).expect("the next one is due");
    bench.advance_ms(600);
    assert!(bench.is_closed(upstream), "nothing comes any more");
    assert_eq!(bench.cluster.heartbeats_missed.get(), 1);
}
