//! Calls and answers that were not through when their connection, its configuration or the proxy was: what the simulator found.

mod bolt;
mod support;

use bolt::{ONE_WAY, REQUEST, frames, number, request, request_of, response, snapshot_of, two_calls};
use sidering_dataplane::io::Completion;
use support::{Bench, cluster_mut};

/// An answer of bolt's second version with a checksum, whose value is not looked at.
fn checked(id: u32, content: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 2, 0, 0, 2, 1];
    frame.extend_from_slice(&id.to_be_bytes());
    frame.extend_from_slice(&[1, 1, 0, 0, 0, 0, 0, 0]);
    frame.extend_from_slice(&(content.len() as u32).to_be_bytes());
    frame.extend_from_slice(content);
    frame
}

/// CRC-32 as zip files have it.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    let step = |sum: u32, _| if sum & 1 == 1 { 0xedb8_8320 ^ (sum >> 1) } else { sum >> 1 };
    let sum = bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), step));
    (!sum).to_be_bytes()
}

#[test]
fn the_checksum_of_an_answer_follows_however_many_turns_it_takes() {
    let mut bench = Bench::new(snapshot_of("bolt", 1));
    let client = bench.client();
    bench.receive(client, &request(7, b"a call"));
    let upstream = bench.connected();
    let (id, ..) = frames(&bench.flush(upstream))[0];
    let mut answer = checked(id, &[b'x'; 9000]);
    answer.extend_from_slice(&checksum(&answer));
    let mut expected = checked(7, &[b'x'; 9000]);
    expected.extend_from_slice(&checksum(&expected));
    let mut told = vec![];
    for piece in answer.chunks(3000) {
        bench.receive(upstream, piece);
        told.extend(bench.flush(client));
    }
    assert_eq!(told.len(), expected.len(), "without its checksum the answer is not whole");
    assert!(told == expected);
    bench.assert_empty();
}

#[test]
fn a_call_that_is_not_whole_at_a_reload_goes_where_it_was_to_go() {
    let mut bench = Bench::new(snapshot_of("bolt", 1));
    let client = bench.client();
    let call = request(7, b"in two pieces");
    let (first, rest) = call.split_at(call.len() - 4);
    bench.receive(client, first);
    let mut changed = snapshot_of("bolt", 1);
    changed.version += 1;
    // Another cluster of the same name takes its place.
    cluster_mut(&mut changed, 0).connect_timeout_ms += 1;
    bench.apply(changed);
    bench.receive(client, rest);
    let upstream = bench.connected();
    let sent = frames(&bench.flush(upstream));
    assert_eq!(sent[0].2, b"in two pieces");
    bench.receive(upstream, &response(sent[0].0, b"an answer"));
    assert_eq!(frames(&bench.flush(client)), [(7, 0, b"an answer".to_vec())]);
    bench.assert_empty();
}

#[test]
fn the_last_answer_reaches_a_client_that_sends_nothing_more() {
    let mut bench = Bench::new(snapshot_of("bolt", 1));
    let client = bench.client();
    bench.receive(client, &request(7, b"the last call"));
    let upstream = bench.connected();
    let (id, ..) = frames(&bench.flush(upstream))[0];
    bench.receive(upstream, &response(id, b"an answer"));
    // It is queued, and not sent.
    bench.end(client, Ok(()));
    assert!(!bench.is_closed(client), "the answer is dropped with its connection");
    assert_eq!(frames(&bench.flush(client)), [(7, 0, b"an answer".to_vec())]);
    assert!(bench.is_closed(client));
    bench.assert_empty();
}

#[test]
fn a_connection_with_a_one_way_call_to_send_is_not_closed_to_make_room() {
    let mut snapshot = snapshot_of("bolt", 2);
    cluster_mut(&mut snapshot, 0).pool.max_connections = 1;
    let mut bench = Bench::new(snapshot);
    let client = bench.client();
    bench.receive(client, &request_of(ONE_WAY, 7, 0, b"fire and forget"));
    let upstream = bench.connected();
    // The next one is for the other endpoint, and there is room for one connection.
    bench.receive(client, &request(8, b"a call"));
    assert!(!bench.is_closed(upstream), "what nobody answers is lost");
    let sent = bench.flush(upstream);
    assert!(number(&sent[..2]) == 0x0102 && sent.ends_with(b"fire and forget"));
    let is_served = bench.is_closed(upstream) || !bench.flush(upstream).is_empty();
    assert!(is_served, "now it makes room, or takes what has waited for it");
}

#[test]
fn an_upstream_that_stops_within_a_frame_is_given_up_with_the_next_call_in_vain() {
    let mut bench = Bench::new(snapshot_of("bolt", 1));
    let client = bench.client();
    bench.receive(client, &request_of(REQUEST, 1, 50, b"first"));
    let upstream = bench.connected();
    let first = frames(&bench.flush(upstream))[0].0;
    // The frame has begun behind the call, and may yet go on.
    bench.advance_ms(10);
    bench.receive(upstream, &response(first, b"1")[..5]);
    bench.advance_ms(50);
    assert_eq!(told(&mut bench, client), [(1, 7)]);
    bench.receive(client, &request_of(REQUEST, 2, 50, b"second"));
    bench.flush(upstream);
    bench.advance_ms(10);
    bench.receive(upstream, &response(first, b"1")[5..8]);
    bench.advance_ms(50);
    assert_eq!(told(&mut bench, client), [(2, 7)]);
    assert!(!bench.is_closed(upstream));
    // Now nothing comes.
    bench.advance_ms(1);
    bench.receive(
        client,
        &[request_of(REQUEST, 3, 50, b"third"), request_of(REQUEST, 4, 500, b"fourth")].concat(),
    );
    bench.flush(upstream);
    bench.advance_ms(60);
    assert!(bench.is_closed(upstream));
    assert_eq!(
        told(&mut bench, client),
        [(3, 7), (4, 4)],
        "one was too slow, the other one is told of the end"
    );
    bench.assert_empty();
}

/// Ids and statuses of what the client got.
fn told(bench: &mut Bench, client: sidering_dataplane::io::ConnId) -> Vec<(u32, u16)> {
    frames(&bench.flush(client)).iter().map(|(id, status, _)| (*id, *status)).collect()
}

#[test]
fn an_answer_that_ends_where_no_more_of_it_would_be_held_is_whole() {
    const HELD_BYTES: usize = 64 * 1024;
    for length in [HELD_BYTES - 1, HELD_BYTES, HELD_BYTES + 1] {
        let (mut bench, client, [one, two], [first, second]) = two_calls(snapshot_of("bolt", 2), 0);
        let in_front = response(first, &[b'f'; 10_000]);
        bench.receive(one, &in_front[..5_000]);
        bench.receive(two, &response(second, &vec![b'h'; length]));
        let mut got = bench.flush(client);
        bench.receive(one, &in_front[5_000..]);
        got.extend(bench.flush(client));
        let answers: Vec<_> = frames(&got).iter().map(|(id, _, content)| (*id, content.len())).collect();
        assert_eq!(answers, [(1, 10_000), (2, length)]);
        bench.assert_empty();
    }
}

#[test]
fn a_call_of_which_only_the_checksum_is_missing_is_not_whole() {
    const TIMEOUT_MS: i32 = 100;
    let mut call = vec![2, 2];
    call.extend_from_slice(&request_of(REQUEST, 7, TIMEOUT_MS, b"")[1..]);
    // The second version has a byte of switches behind its codec's.
    call.insert(11, 1);
    call.extend_from_slice(&checksum(&call));
    let (front, rest) = call.split_at(call.len() - 4);
    let mut bench = Bench::new(snapshot_of("bolt", 1));
    let client = bench.client();
    bench.receive(client, front);
    bench.advance_ms(80);
    bench.receive(client, rest);
    let upstream = bench.connected();
    assert_eq!(bench.flush(upstream).len(), call.len());
    bench.advance_ms(80);
    assert_eq!(bench.flush(client), [], "its time began with its last byte");
    bench.advance_ms(30);
    assert_eq!(bench.flush(client)[0], 2, "an answer of the second version");
    assert_eq!(bench.cluster.request_timeouts.get(), 1);
    bench.assert_empty();
}

#[test]
fn a_client_that_is_slow_to_take_its_last_answer_is_not_idle() {
    let mut bench = Bench::new(snapshot_of("bolt", 1));
    let client = bench.client();
    bench.receive(client, &request(7, b"a call"));
    let upstream = bench.connected();
    let (id, ..) = frames(&bench.flush(upstream))[0];
    bench.receive(upstream, &response(id, &[b'x'; 30_000]));
    bench.advance_ms(50_000);
    bench.io.socket(client).unreported -= 10_000;
    bench.complete(Completion::Sent { conn: client, bytes: 10_000 });
    bench.advance_ms(59_000);
    assert!(!bench.is_closed(client), "its answer is cut");
    bench.advance_ms(2_000);
    assert!(bench.is_closed(client), "it takes nothing any more");
}
