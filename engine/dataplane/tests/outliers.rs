//! What a core tells of how its attempts went: failures in a row at once, all else by counting.

mod support;

use sidering_dataplane::config::{ClusterIndex, HealthFlags, OutlierDetection, Snapshot};
use sidering_dataplane::io::IoError;
use sidering_dataplane::message::{HealthChange, HealthUpdate, Message};
use sidering_dataplane::observe::counters::Counter;
use sidering_dataplane::observe::notice::{Notice, RowKind};
use std::sync::Arc;
use support::{Bench, address, http, tcp};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

fn watched(mut snapshot: Snapshot, split_local_origin: bool) -> Snapshot {
    let detection = OutlierDetection {
        consecutive_5xx: 3,
        consecutive_gateway_failure: 2,
        consecutive_local_origin_failure: 2,
        split_local_origin,
        ..OutlierDetection::default()
    };
    for cluster in &mut snapshot.clusters {
        Arc::make_mut(cluster).outlier_detection = Some(Arc::new(detection.clone()));
    }
    snapshot
}

/// One exchange with the only endpoint, which answers with this status.
fn exchange(bench: &mut Bench, status: u16) {
    let client = bench.client();
    let before = bench.io.connects.len();
    bench.receive(client, GET);
    let upstream =
        if bench.io.connects.len() > before { bench.connected() } else { bench.io.connects[before - 1] };
    bench.receive(upstream, format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").as_bytes());
    assert!(bench.flush_text(client).starts_with(&format!("HTTP/1.1 {status} ")));
}

/// The kinds of rows that were told since the last call.
fn told(bench: &Bench) -> Vec<RowKind> {
    let notices = std::mem::take(&mut bench.notices.borrow_mut().told);
    let kind = |notice| {
        let Notice::FailuresInRow { cluster, endpoint, kind } = notice;
        assert_eq!((cluster.as_str(), endpoint), ("origin", address(8000)));
        kind
    };
    notices.into_iter().map(kind).collect()
}

/// All and failed results, and all and failed events of local origin.
fn counted(bench: &Bench) -> [u64; 4] {
    let endpoint = bench.endpoint(8000);
    [&endpoint.results, &endpoint.results_failed, &endpoint.local_origin, &endpoint.local_origin_failed]
        .map(Counter::get)
}

#[test]
fn a_row_of_bad_answers_is_told_when_it_is_long_enough() {
    let mut bench = Bench::new(watched(http(1), false));
    for status in [500, 500, 200, 500, 500] {
        exchange(&mut bench, status);
    }
    assert_eq!(told(&bench), []);
    exchange(&mut bench, 500);
    assert_eq!(told(&bench), [RowKind::ServerErrors]);
    exchange(&mut bench, 503);
    exchange(&mut bench, 502);
    assert_eq!(told(&bench), [RowKind::GatewayFailures]);
    assert_eq!(counted(&bench), [8, 7, 0, 0]);
    bench.assert_empty();
}

#[test]
fn a_cluster_without_detection_counts_nothing() {
    let mut bench = Bench::new(http(1));
    (0..20).for_each(|_| exchange(&mut bench, 503));
    assert_eq!((told(&bench), counted(&bench)), (vec![], [0; 4]));
}

#[test]
fn connects_resets_and_timeouts_are_failures_too() {
    for split in [false, true] {
        let mut bench = Bench::new(watched(http(1), split));
        let client = bench.client();
        bench.receive(client, GET);
        bench.connect_failed(IoError::Refused);
        assert!(bench.flush_text(client).starts_with("HTTP/1.1 503 "));
        assert_eq!(told(&bench), []);
        let client = bench.client();
        bench.receive(client, GET);
        let upstream = bench.connected();
        bench.end(upstream, Err(IoError::Reset));
        assert!(bench.flush_text(client).starts_with("HTTP/1.1 503 "));
        let expected = if split { RowKind::LocalOriginFailures } else { RowKind::GatewayFailures };
        assert_eq!(told(&bench), [expected]);
        let client = bench.client();
        bench.receive(client, GET);
        bench.connected();
        bench.advance_ms(5_000);
        assert!(bench.flush_text(client).starts_with("HTTP/1.1 504 "));
        let expected = if split { [0, 0, 3, 3] } else { [3, 3, 0, 0] };
        assert_eq!(counted(&bench), expected);
        bench.assert_empty();
    }
}

/// The client goes away while it waits: that is nobody's failure but its own.
#[test]
fn what_a_client_gives_up_says_nothing() {
    let mut bench = Bench::new(watched(http(1), false));
    let client = bench.client();
    bench.receive(client, GET);
    bench.connected();
    bench.end(client, Err(IoError::Reset));
    assert_eq!(counted(&bench), [0; 4]);
    bench.assert_empty();
}

#[test]
fn a_tunnel_counts_once_when_it_begins() {
    let mut bench = Bench::new(watched(tcp(), false));
    let client = bench.client();
    let upstream = bench.connected();
    assert_eq!(counted(&bench), [1, 0, 0, 0]);
    bench.end(upstream, Err(IoError::Reset));
    bench.end(client, Err(IoError::Reset));
    assert_eq!(counted(&bench), [1, 0, 0, 0]);
}

#[test]
fn the_end_of_an_ejection_ends_the_row() {
    let mut bench = Bench::new(watched(http(1), false));
    let tell = |bench: &mut Bench, set, clear| {
        let changes = [HealthChange { address: address(8000), set, clear }].into();
        bench.message(Message::Health(HealthUpdate { cluster: ClusterIndex(0), changes }));
    };
    let ejected = HealthFlags::FAILED_OUTLIER_CHECK;
    exchange(&mut bench, 500);
    exchange(&mut bench, 500);
    tell(&mut bench, ejected, HealthFlags::default());
    tell(&mut bench, HealthFlags::default(), ejected);
    exchange(&mut bench, 500);
    exchange(&mut bench, 500);
    assert_eq!(told(&bench), []);
    // Another flag is no ejection.
    tell(&mut bench, HealthFlags::FAILED_ACTIVE_CHECK, HealthFlags::default());
    tell(&mut bench, HealthFlags::default(), HealthFlags::FAILED_ACTIVE_CHECK);
    exchange(&mut bench, 500);
    assert_eq!(told(&bench), [RowKind::ServerErrors]);
}

#[test]
fn a_notice_that_finds_no_room_is_counted_and_told_by_the_next_row() {
    let mut bench = Bench::new(watched(http(1), false));
    bench.notices.borrow_mut().room = 0;
    (0..3).for_each(|_| exchange(&mut bench, 500));
    assert_eq!((told(&bench), bench.counters.notices_dropped.get()), (vec![], 1));
    bench.notices.borrow_mut().room = 1;
    (0..3).for_each(|_| exchange(&mut bench, 500));
    assert_eq!(told(&bench), [RowKind::ServerErrors]);
    assert_eq!(bench.counters.notices_dropped.get(), 1);
}
