//! How many calls a connection carries, and what becomes of those beyond.

use sidering_dataplane::config::*;
use support::{Bench, cluster_mut};

mod bolt;
mod support;

use bolt::{frames, request, response};

fn snapshot(endpoints: u16) -> Snapshot {
    bolt::snapshot_of("bolt", endpoints)
}

#[test]
fn connections_carry_as_many_calls_as_they_may() {
    for (calls, most_calls, most_connections, expected) in [
        (1, 2, 2, vec![1]),
        (2, 2, 2, vec![2]),
        // One more than the first may carry.
        (3, 2, 2, vec![1, 2]),
        (4, 2, 2, vec![2, 2]),
        // More than all of them: whoever has the fewest takes it.
        (5, 2, 2, vec![2, 3]),
        (4, 2, 3, vec![2, 2]),
        (5, 2, 3, vec![1, 2, 2]),
        (7, 2, 3, vec![2, 2, 3]),
        (3, 1, 1, vec![3]),
    ] {
        let mut snapshot = snapshot(1);
        let cluster = cluster_mut(&mut snapshot, 0);
        cluster.pool.max_connections = 10;
        cluster.shared = SharedLimits {
            max_calls_per_connection: most_calls,
            max_connections_per_endpoint: most_connections,
        };
        let mut bench = Bench::new(snapshot);
        let client = bench.client();
        let mut upstreams = vec![];
        for id in 0..calls {
            bench.receive(client, &request(id, b""));
            if bench.io.connects.len() > upstreams.len() {
                upstreams.push(bench.connected());
            }
        }
        let mut carried: Vec<_> = upstreams.iter().map(|id| frames(&bench.flush(*id)).len()).collect();
        carried.sort_unstable();
        assert_eq!(carried, expected, "{calls} calls, {most_calls} on each of {most_connections}");
    }
}

#[test]
fn a_connection_that_can_name_no_more_calls_gets_none() {
    const MOST: u32 = 4095;
    for (calls, expected) in [(MOST - 1, vec![4094]), (MOST, vec![4095]), (MOST + 1, vec![1, 4095])] {
        let mut snapshot = snapshot(1);
        let cluster = cluster_mut(&mut snapshot, 0);
        cluster.pool.max_connections = 10;
        cluster.shared = SharedLimits { max_calls_per_connection: 10_000, max_connections_per_endpoint: 1 };
        let mut bench = Bench::new(snapshot);
        let client = bench.client();
        bench.receive(client, &request(0, b""));
        let first = bench.connected();
        let mut sent = frames(&bench.flush(first)).len();
        let mut carried = vec![];
        for id in 1..calls {
            bench.receive(client, &request(id, b""));
            if bench.io.connects.len() > 1 + carried.len() {
                let another = bench.connected();
                carried.push(frames(&bench.flush(another)).len());
            }
            sent += frames(&bench.flush(first)).len();
        }
        carried.push(sent);
        assert_eq!(carried, expected, "{calls} calls");
    }
}

#[test]
fn a_call_that_no_connection_can_name_waits_for_another_to_end() {
    let mut snapshot = snapshot(1);
    let cluster = cluster_mut(&mut snapshot, 0);
    cluster.pool.max_connections = 1;
    cluster.shared = SharedLimits { max_calls_per_connection: 10_000, max_connections_per_endpoint: 1 };
    let mut bench = Bench::new(snapshot);
    let client = bench.client();
    bench.receive(client, &request(0, b""));
    let upstream = bench.connected();
    let first = frames(&bench.flush(upstream))[0].0;
    for id in 1..4096 {
        bench.receive(client, &request(id, b""));
    }
    assert_eq!(frames(&bench.flush(upstream)).len(), 4094);
    assert_eq!((bench.io.connects.len(), bench.cluster.requests_pending.get()), (1, 1));
    bench.receive(upstream, &response(first, b"1"));
    assert_eq!(frames(&bench.flush(upstream)).len(), 1, "the last one");
    assert_eq!(bench.cluster.requests_pending.get(), 0);
    assert_eq!(frames(&bench.flush(client)), [(0, 0, b"1".to_vec())]);
}
