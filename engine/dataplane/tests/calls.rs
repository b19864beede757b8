//! Connections that carry many calls at a time: bolt on both sides of the worker.

use sidering_dataplane::config::*;
use sidering_dataplane::io::{ConnId, IoError};
use sidering_dataplane::message::Message;
use support::{Bench, cluster_mut};

mod bolt;
mod support;

use bolt::{ONE_WAY, REQUEST, frames, heartbeat, number, request, request_of, response, two_calls};

fn snapshot(endpoints: u16) -> Snapshot {
    bolt::snapshot_of("bolt", endpoints)
}

/// A worker with a client whose first call has an upstream connection, and what it was called there.
fn begun() -> (Bench, ConnId, ConnId, u32) {
    let mut bench = Bench::new(snapshot(1));
    let client = bench.client();
    bench.receive(client, &request(7, b"first"));
    let upstream = bench.connected();
    let sent = frames(&bench.flush(upstream));
    assert_eq!(sent.len(), 1);
    (bench, client, upstream, sent[0].0)
}

#[test]
fn answers_out_of_order_find_their_calls() {
    let (mut bench, client, upstream, first) = begun();
    let mut more = request(8, b"second");
    more.extend_from_slice(&request(7, b"third, with an id that is under way"));
    bench.receive(client, &more);
    let sent = frames(&bench.flush(upstream));
    assert_eq!(sent.len(), 2);
    assert_ne!(sent[0].0, sent[1].0);
    bench.receive(upstream, &[response(sent[1].0, b"3"), response(sent[0].0, b"2")].concat());
    bench.receive(upstream, &response(first, b"1"));
    let answers = frames(&bench.flush(client));
    assert_eq!(answers, [(7, 0, b"3".to_vec()), (8, 0, b"2".to_vec()), (7, 0, b"1".to_vec())]);
    bench.assert_empty();
    assert_eq!(bench.cluster.connections_total.get(), 1);
    assert_eq!(bench.cluster.connections_idle.get(), 1);
}

#[test]
fn calls_that_wait_for_the_first_connection_share_it() {
    let mut bench = Bench::new(snapshot(1));
    let (one, two) = (bench.client(), bench.client());
    bench.receive(one, &[request(1, b"a"), request(2, b"b")].concat());
    bench.receive(two, &request(1, b"c"));
    assert_eq!(bench.io.connects.len(), 1);
    let upstream = bench.connected();
    let sent = frames(&bench.flush(upstream));
    let contents: Vec<&[u8]> = sent.iter().map(|(_, _, content)| content.as_slice()).collect();
    assert_eq!(contents, [b"a", b"b", b"c"]);
    let all: Vec<u8> = sent.iter().flat_map(|(id, _, content)| response(*id, content)).collect();
    bench.receive(upstream, &all);
    assert_eq!(frames(&bench.flush(one)), [(1, 0, b"a".to_vec()), (2, 0, b"b".to_vec())]);
    assert_eq!(frames(&bench.flush(two)), [(1, 0, b"c".to_vec())]);
    bench.assert_empty();
}

#[test]
fn every_cut_of_a_call_and_its_answer_passes() {
    for cut in 1..request(7, b"first").len() {
        let mut bench = Bench::new(snapshot(1));
        let client = bench.client();
        let whole = request(7, b"first");
        bench.receive(client, &whole[..cut]);
        bench.receive(client, &whole[cut..]);
        let upstream = bench.connected();
        let sent = frames(&bench.flush(upstream));
        assert_eq!(sent[0].2, b"first", "{cut}");
        let answer = response(sent[0].0, b"an answer with some content");
        let cut = cut.min(answer.len() - 1);
        bench.receive(upstream, &answer[..cut]);
        bench.receive(upstream, &answer[cut..]);
        assert_eq!(frames(&bench.flush(client)), [(7, 0, b"an answer with some content".to_vec())], "{cut}");
        bench.assert_empty();
    }
}

#[test]
fn a_short_request_that_stops_within_keeps_no_connection_from_others() {
    let (mut bench, client, upstream, first) = begun();
    let slow = bench.client();
    let whole = request(1, &[b'x'; 1000]);
    bench.receive(slow, &whole[..500]);
    bench.receive(client, &request(8, b"second"));
    assert_eq!(frames(&bench.flush(upstream)).len(), 1);
    bench.advance_ms(2_100);
    let answers = frames(&bench.flush(slow));
    assert_eq!(answers.len(), 1, "408 in the protocol's terms");
    assert!(!bench.is_closed(upstream));
    bench.receive(upstream, &response(first, b"1"));
    assert_eq!(frames(&bench.flush(client)), [(7, 0, b"1".to_vec())]);
    // What still comes of the request that was answered is dropped, and the next one is read.
    bench.receive(slow, &[&whole[500..], &request(2, b"y")].concat());
    let sent = frames(&bench.flush(upstream));
    assert_eq!(sent[0].2, b"y");
}

#[test]
fn a_long_request_has_a_connection_for_itself() {
    let (mut bench, client, upstream, _) = begun();
    let long = request(1, &vec![b'x'; 100_000]);
    let other = bench.client();
    bench.receive(other, &long[..50_000]);
    assert_eq!(bench.io.connects.len(), 2);
    let own = bench.connected();
    assert_ne!(own, upstream);
    let mut sent = bench.flush(own);
    bench.receive(client, &request(8, b"second"));
    assert_eq!(frames(&bench.flush(upstream)).len(), 1, "the other one is taken");
    bench.receive(other, &long[50_000..]);
    sent.extend(bench.flush(own));
    let told = frames(&sent);
    assert_eq!((told.len(), told[0].2.len()), (1, 100_000));
    bench.receive(own, &response(told[0].0, b"ok"));
    assert_eq!(frames(&bench.flush(other)), [(1, 0, b"ok".to_vec())]);
}

#[test]
fn an_upstream_that_goes_fails_exactly_its_own_calls() {
    let (mut bench, client, upstream, _) = begun();
    bench.receive(client, &request(8, b"second"));
    bench.flush(upstream);
    bench.end(upstream, Err(IoError::Reset));
    let answers = frames(&bench.flush(client));
    assert_eq!(answers.iter().map(|(id, ..)| *id).collect::<Vec<_>>(), [7, 8]);
    assert!(answers.iter().all(|(_, status, _)| *status != 0));
    assert!(!bench.is_closed(client));
    bench.assert_empty();
    bench.receive(client, &request(9, b"third"));
    let upstream = bench.connected();
    assert_eq!(frames(&bench.flush(upstream)).len(), 1);
}

#[test]
fn a_client_that_goes_gives_up_its_calls_and_no_others() {
    let (mut bench, client, upstream, first) = begun();
    let other = bench.client();
    bench.receive(other, &request(1, b"other"));
    let sent = frames(&bench.flush(upstream));
    bench.end(client, Ok(()));
    assert!(!bench.is_closed(client), "it only sends nothing more");
    bench.end(client, Err(IoError::Reset));
    assert!(!bench.is_closed(upstream));
    bench.receive(upstream, &[response(first, b"late"), response(sent[0].0, b"o")].concat());
    assert_eq!(frames(&bench.flush(other)), [(1, 0, b"o".to_vec())]);
    assert_eq!(bench.cluster.stray_answers.get(), 1);
    bench.assert_empty();
}

#[test]
fn the_frames_own_timeout_holds_and_a_late_answer_is_dropped() {
    let (mut bench, client, upstream, first) = begun();
    bench.receive(client, &request_of(REQUEST, 8, 50, b"hurry"));
    let sent = frames(&bench.flush(upstream));
    bench.advance_ms(60);
    let answers = frames(&bench.flush(client));
    assert_eq!((answers.len(), answers[0].0, answers[0].1), (1, 8, 7), "bolt's status for a timeout");
    bench.receive(upstream, &[response(sent[0].0, b"late"), response(first, b"1")].concat());
    assert_eq!(frames(&bench.flush(client)), [(7, 0, b"1".to_vec())]);
    assert_eq!(bench.cluster.stray_answers.get(), 1);
    bench.assert_empty();
}

#[test]
fn one_way_calls_end_when_they_are_sent() {
    let (mut bench, client, upstream, first) = begun();
    bench.receive(client, &request_of(ONE_WAY, 8, 0, b"fire and forget"));
    assert_eq!(frames(&bench.flush(upstream))[0].2, b"fire and forget");
    bench.receive(upstream, &response(first, b"1"));
    assert_eq!(frames(&bench.flush(client)), [(7, 0, b"1".to_vec())]);
    bench.assert_empty();
}

/// A framed Thrift message without fields in the strict binary protocol: its type is 1 for a call, 2 for its answer, 4 for a
/// call without one.
fn thrift(kind: u8, sequence: u8) -> Vec<u8> {
    vec![0, 0, 0, 14, 0x80, 1, 0, kind, 0, 0, 0, 1, b'm', 0, 0, 0, sequence, 0]
}

#[test]
fn one_way_calls_end_where_a_connection_has_one_call_at_a_time() {
    let mut bench = Bench::new(bolt::snapshot_of("thrift", 1));
    let client = bench.client();
    bench.receive(client, &[thrift(4, 1), thrift(4, 2), thrift(1, 3)].concat());
    let upstream = bench.connected();
    let sent = bench.flush(upstream);
    assert_eq!(sent, [thrift(4, 1), thrift(4, 2), thrift(1, 3)].concat());
    bench.receive(upstream, &thrift(2, 3));
    assert_eq!(bench.flush(client), thrift(2, 3));
    bench.assert_empty();
    assert_eq!(bench.cluster.connections_total.get(), 1);
}

#[test]
fn calls_follow_one_way_calls_at_once() {
    let (mut bench, client, upstream, first) = begun();
    let calls: Vec<u8> = (8..20)
        .flat_map(|id| request_of(if id % 3 == 0 { REQUEST } else { ONE_WAY }, id, 0, &id.to_be_bytes()))
        .collect();
    bench.receive(client, &calls);
    let sent = frames(&bench.flush(upstream));
    assert_eq!(sent.len(), 12);
    let answers = sent.iter().filter(|(_, _, content)| content[3] % 3 == 0);
    let answers: Vec<u8> = answers.flat_map(|(id, _, content)| response(*id, content)).collect();
    bench.receive(upstream, &[answers, response(first, b"1")].concat());
    let got: Vec<u32> = frames(&bench.flush(client)).iter().map(|(id, ..)| *id).collect();
    assert_eq!(got, [9, 12, 15, 18, 7]);
    bench.assert_empty();
}

#[test]
fn a_drain_waits_for_no_call_behind_heartbeats() {
    let mut bench = Bench::new(snapshot(1));
    let client = bench.client();
    bench.receive(client, &heartbeat(1));
    bench.flush(client);
    bench.message(Message::Drain);
    assert!(bench.io.socket(client).shut || bench.is_closed(client), "nothing is under way");
}

/// A client that has got a part of a long answer and takes no more of it, another one that waits behind it, and the name of
/// that one's call.
fn held_up() -> (Bench, [ConnId; 2], ConnId, u32) {
    let mut bench = Bench::new(snapshot(1));
    let (deaf, other) = (bench.client(), bench.client());
    bench.receive(deaf, &request(1, b"a"));
    let upstream = bench.connected();
    let first = frames(&bench.flush(upstream))[0].0;
    bench.receive(other, &request(2, b"b"));
    let second = frames(&bench.flush(upstream))[0].0;
    let long = response(first, &vec![b'l'; 4_000_000]);
    let mut at = 0;
    while bench.io.socket(upstream).receiving {
        bench.receive(upstream, &long[at..at + 10_000]);
        at += 10_000;
    }
    bench.paused(upstream);
    assert!(at < 2_000_000, "{at} bytes are held");
    (bench, [deaf, other], upstream, second)
}

/// What is left of the long answer, and the one behind it.
fn send_rest(bench: &mut Bench, upstream: ConnId, second: u32) {
    let sent = bench.cluster.received_bytes.get() as usize;
    let long = response(0, &vec![b'l'; 4_000_000]);
    bench.receive(upstream, &[&long[sent..], &response(second, b"2")].concat());
}

#[test]
fn the_end_of_an_answer_that_comes_after_a_pause_stops_nobody() {
    let mut bench = Bench::new(snapshot(1));
    let (slow, other) = (bench.client(), bench.client());
    bench.receive(slow, &request(1, b"a"));
    let upstream = bench.connected();
    let first = frames(&bench.flush(upstream))[0].0;
    bench.receive(other, &request(2, b"b"));
    let second = frames(&bench.flush(upstream))[0].0;
    let long = response(first, &vec![b'l'; 4_000_000]);
    let mut at = 0;
    while bench.io.socket(upstream).receiving {
        bench.receive(upstream, &long[at..at + 10_000]);
        at += 10_000;
    }
    // What had been received before the pause was asked for.
    bench.receive(upstream, &long[at..]);
    assert!(bench.io.socket(upstream).receiving, "nobody else waits for the slow client");
    bench.receive(upstream, &response(second, b"2"));
    assert_eq!(frames(&bench.flush(other)), [(2, 0, b"2".to_vec())]);
    let mut got = Vec::new();
    while got.len() < long.len() {
        got.extend(bench.flush(slow));
    }
    assert_eq!(frames(&got)[0].2.len(), 4_000_000);
    bench.assert_empty();
}

#[test]
fn a_client_that_goes_within_its_answer_stops_nobody_else() {
    let (mut bench, [deaf, other], upstream, second) = held_up();
    bench.end(deaf, Err(IoError::Reset));
    assert!(bench.io.socket(upstream).receiving, "nobody is in the way any more");
    send_rest(&mut bench, upstream, second);
    assert_eq!(frames(&bench.flush(other)), [(2, 0, b"2".to_vec())]);
    bench.assert_empty();
}

#[test]
fn a_client_that_holds_up_others_is_cut_off_in_time() {
    let (mut bench, [deaf, other], upstream, second) = held_up();
    bench.advance_ms(999);
    assert!(!bench.is_closed(deaf));
    bench.advance_ms(1);
    assert!(bench.is_closed(deaf));
    assert!(bench.io.socket(upstream).receiving);
    send_rest(&mut bench, upstream, second);
    assert_eq!(frames(&bench.flush(other)), [(2, 0, b"2".to_vec())]);
    bench.assert_empty();
}

#[test]
fn a_client_that_holds_up_itself_alone_has_its_time() {
    let (mut bench, [deaf, other], upstream, _) = held_up();
    bench.end(other, Err(IoError::Reset));
    bench.advance_ms(1_500);
    assert!(!bench.is_closed(deaf) && !bench.is_closed(upstream));
}

#[test]
fn heartbeats_are_answered_here() {
    let (mut bench, client, upstream, _) = begun();
    bench.receive(client, &heartbeat(99));
    let pong = bench.flush(client);
    assert_eq!((pong[1], number(&pong[5..9])), (0, 99));
    assert!(bench.flush(upstream).is_empty());
    bench.receive(upstream, &heartbeat(5));
    let pong = bench.flush(upstream);
    assert_eq!((pong[1], number(&pong[5..9])), (0, 5));
}

#[test]
fn an_answer_waits_while_another_one_is_under_way() {
    let (mut bench, client, [one, two], [first, second]) = two_calls(snapshot(2), 0);
    let long = response(first, &[b'l'; 10_000]);
    bench.receive(one, &long[..5_000]);
    bench.receive(two, &response(second, b"short"));
    let mut got = bench.flush(client);
    assert!(got.len() < 5_100);
    bench.receive(one, &long[5_000..]);
    got.extend(bench.flush(client));
    let answers = frames(&got);
    assert_eq!(
        answers.iter().map(|(id, _, content)| (*id, content.len())).collect::<Vec<_>>(),
        [(1, 10_000), (2, 5)]
    );
    bench.assert_empty();
}

/// A client whose first call has got half of its answer from the one upstream, and whose second one, which is given this
/// time, has got nothing from the other: the upstreams, the rest of the answer, and the name of the second call.
fn behind_a_half_of(snapshot: Snapshot, timeout_ms: i32) -> (Bench, ConnId, [ConnId; 2], Vec<u8>, u32) {
    let (mut bench, client, [one, two], [first, second]) = two_calls(snapshot, timeout_ms);
    let long = response(first, &[b'l'; 10_000]);
    bench.receive(one, &long[..5_000]);
    (bench, client, [one, two], long[5_000..].to_vec(), second)
}

#[test]
fn a_call_that_times_out_behind_the_answer_to_another_does_so_once() {
    let (mut bench, client, [one, two], rest, second) = behind_a_half_of(snapshot(2), 50);
    bench.advance_ms(60);
    assert_eq!(bench.cluster.request_timeouts.get(), 1);
    assert_eq!(bench.cluster.requests_active.get(), 1, "nothing is waited for any more");
    for _ in 0..20 {
        bench.advance_ms(1);
    }
    let mut got = bench.flush(client);
    // What comes too late is nobody's.
    bench.receive(two, &response(second, b"late"));
    assert_eq!(bench.cluster.stray_answers.get(), 1);
    bench.receive(one, &rest);
    got.extend(bench.flush(client));
    let answers: Vec<_> =
        frames(&got).iter().map(|(id, status, content)| (*id, *status, content.len())).collect();
    assert_eq!(
        (answers[0], answers[1].0, answers[1].1),
        ((1, 0, 10_000), 2, 7),
        "bolt's status for a timeout"
    );
    assert_eq!(answers.len(), 2);
    assert_eq!(bench.cluster.request_timeouts.get(), 1);
    assert!(!bench.is_closed(client));
    bench.assert_empty();
}

/// Calls that are given up after a second without a sign of life.
fn impatient(endpoints: u16) -> Snapshot {
    let mut snapshot = snapshot(endpoints);
    snapshot.listeners[0].limits.stream_idle_timeout_ms = 1_000;
    cluster_mut(&mut snapshot, 0).pool.max_connections = 10;
    snapshot
}

#[test]
fn what_waits_for_its_turn_is_not_idle_while_the_answer_in_front_goes_on() {
    let (mut bench, client, [one, _], rest, _) = behind_a_half_of(impatient(3), 0);
    bench.receive(client, &request(3, b"c"));
    let three = bench.connected();
    let third = frames(&bench.flush(three))[0].0;
    bench.receive(three, &response(third, b"whole"));
    let mut got = bench.flush(client);
    for part in rest[..4_900].chunks(700) {
        bench.advance_ms(500);
        bench.receive(one, part);
        got.extend(bench.flush(client));
        assert!(!bench.is_closed(client));
    }
    assert_eq!(bench.listener.timeouts.get(), 1, "the second got no answer, and is told so once");
    bench.receive(one, &rest[4_900..]);
    got.extend(bench.flush(client));
    let answers: Vec<_> = frames(&got).iter().map(|(id, status, _)| (*id, *status)).collect();
    assert_eq!(answers, [(1, 0), (3, 0), (2, 7)]);
    bench.assert_empty();
}

#[test]
fn a_client_that_takes_nothing_keeps_no_reply_for_longer_than_it_may_be_idle() {
    let mut bench = Bench::new(impatient(1));
    let client = bench.client();
    bench.receive(client, &[request(1, b"a"), request_of(REQUEST, 2, 50, b"b")].concat());
    let upstream = bench.connected();
    let first = frames(&bench.flush(upstream))[0].0;
    bench.receive(upstream, &response(first, &vec![b'l'; 400_000]));
    bench.advance_ms(60);
    assert_eq!(bench.cluster.request_timeouts.get(), 1);
    bench.advance_ms(900);
    assert!(!bench.is_closed(client));
    bench.advance_ms(200);
    assert!(bench.is_closed(client), "its answers wait for nothing else");
    assert_eq!((bench.cluster.request_timeouts.get(), bench.listener.timeouts.get()), (1, 1));
    bench.assert_empty();
}

#[test]
fn an_answer_that_waits_beyond_its_bound_pauses_its_upstream() {
    let (mut bench, client, [one, two], [first, second]) = two_calls(snapshot(2), 0);
    let (long, longer) = (response(first, &[b'l'; 10_000]), response(second, &vec![b'm'; 100_000]));
    bench.receive(one, &long[..5_000]);
    bench.receive(two, &longer[..60_000]);
    assert!(bench.io.socket(two).receiving);
    bench.receive(two, &longer[60_000..70_000]);
    assert!(!bench.io.socket(two).receiving);
    bench.paused(two);
    let mut got = bench.flush(client);
    bench.receive(one, &long[5_000..]);
    got.extend(bench.flush(client));
    assert!(bench.io.socket(two).receiving, "it goes on once it has its turn");
    bench.receive(two, &longer[70_000..]);
    got.extend(bench.flush(client));
    let answers = frames(&got);
    assert_eq!(
        answers.iter().map(|(id, _, content)| (*id, content.len())).collect::<Vec<_>>(),
        [(1, 10_000), (2, 100_000)]
    );
    bench.assert_empty();
}

#[test]
fn answers_that_wait_for_a_client_that_goes_are_dropped() {
    let (mut bench, client, [one, two], [first, second]) = two_calls(snapshot(2), 0);
    let (long, other) = (response(first, &[b'l'; 10_000]), response(second, &[b'm'; 30_000]));
    bench.receive(one, &long[..5_000]);
    bench.receive(two, &other[..20_000]);
    bench.end(client, Err(IoError::Reset));
    bench.receive(one, &long[5_000..]);
    bench.receive(two, &other[20_000..]);
    assert!(bench.io.socket(one).receiving && bench.io.socket(two).receiving);
    bench.assert_empty();
}

#[test]
fn an_upstream_that_goes_within_an_answer_ends_the_connection_that_it_was_for() {
    let (mut bench, client, upstream, first) = begun();
    bench.receive(client, &request(8, b"second"));
    bench.flush(upstream);
    let answer = response(first, &[b'l'; 10_000]);
    bench.receive(upstream, &answer[..5_000]);
    bench.end(upstream, Err(IoError::Reset));
    assert!(bench.is_closed(client), "a cut answer must not look like a whole one");
    bench.assert_empty();
}

#[test]
fn what_is_no_frame_ends_the_connection_and_nothing_else() {
    let (mut bench, client, upstream, first) = begun();
    let other = bench.client();
    bench.receive(other, b"GET / HTTP/1.1\r\n\r\n");
    assert!(bench.io.socket(other).shut || bench.is_closed(other));
    bench.receive(upstream, &response(first, b"1"));
    assert_eq!(frames(&bench.flush(client)), [(7, 0, b"1".to_vec())]);
}

#[test]
fn draining_answers_what_is_under_way() {
    let (mut bench, client, upstream, first) = begun();
    bench.message(Message::Drain);
    bench.receive(upstream, &response(first, b"1"));
    assert_eq!(frames(&bench.flush(client)).last(), Some(&(7, 0, b"1".to_vec())));
    assert!(bench.io.socket(client).shut || bench.is_closed(client));
    bench.assert_empty();
}

#[test]
fn a_client_that_takes_no_answers_stops_being_read_and_stops_nobody_else() {
    let mut bench = Bench::new(snapshot(1));
    let (greedy, other) = (bench.client(), bench.client());
    bench.receive(greedy, &request(0, b""));
    let upstream = bench.connected();
    let mut calls = frames(&bench.flush(upstream));
    for id in 1..200 {
        if !bench.io.socket(greedy).receiving {
            break;
        }
        bench.receive(greedy, &request(id, b""));
        calls.extend(frames(&bench.flush(upstream)));
        for (id, ..) in calls.drain(..) {
            bench.receive(upstream, &response(id, &vec![b'x'; 8_000]));
        }
    }
    assert!(!bench.io.socket(greedy).receiving, "it is not read any more");
    assert!(bench.io.socket(upstream).receiving, "others are");
    bench.receive(other, &request(1, b"other"));
    let (id, ..) = frames(&bench.flush(upstream)).pop().unwrap();
    bench.receive(upstream, &response(id, b"o"));
    assert_eq!(frames(&bench.flush(other)), [(1, 0, b"o".to_vec())]);
    bench.paused(greedy);
    let mut answered = 0;
    while !bench.io.socket(greedy).sent.is_empty() {
        answered += frames(&bench.flush(greedy)).len();
    }
    assert!(answered > 30, "{answered}");
    assert!(bench.io.socket(greedy).receiving);
    bench.assert_empty();
}
