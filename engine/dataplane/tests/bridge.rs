//! Requests of HTTP that become calls of bolt: whichever way they and their answers are cut, and whatever ends between.

use sidering_codecs::bridge::{BridgedMethod, BridgedService, JavaType};
use sidering_dataplane::config::*;
use sidering_dataplane::io::{ConnId, IoError};
use support::{Bench, cluster, http, limits, route};

mod bolt;
mod support;

use bolt::{frames, response};

const REQUEST: &[u8] =
    b"POST /m HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n[7]";

fn snapshot(change: impl FnOnce(&mut Forward)) -> Snapshot {
    let mut snapshot = http(1);
    let types = vec![JavaType::parse("int").unwrap()];
    let rule = BridgeRule {
        service: BridgedService {
            service: "com.example.Echo".to_owned(),
            methods: vec![BridgedMethod { name: "m".to_owned(), types, is_one_way: false }],
            ..BridgedService::default()
        },
        method: None,
        max_request_bytes: 1000,
        max_response_bytes: 1000,
    };
    let mut forward = Forward { timeout_ms: 5_000, bridge: Some(Box::new(rule)), ..Forward::default() };
    change(&mut forward);
    let ListenerKind::Http(listener) = &mut snapshot.listeners[0].kind else { panic!("HTTP") };
    let routes = vec![route("/", RouteAction::Forward(forward))];
    let host = VirtualHost { domains: vec!["*".into()], routes, ..VirtualHost::default() };
    listener.routes = sidering_dataplane::route::RouteTable::compile(vec![host]).into();
    snapshot.listeners[0].limits = limits();
    snapshot.clusters = vec![cluster(1, "bolt").into()];
    snapshot
}

/// An answer with this value.
fn answer(id: u32, value: &[u8]) -> Vec<u8> {
    let content = b"O\xbecom.alipay.sofa.rpc.core.response.SofaResponse\x91\x0bappResponseo\x90";
    response(id, &[content, value].concat())
}

/// The ids of the calls that have come.
fn ids(bench: &mut Bench, upstream: ConnId) -> Vec<u32> {
    let sent = frames(&bench.flush(upstream));
    sent.iter().for_each(|(_, _, content)| assert_eq!(content.last(), Some(&0x97), "the argument"));
    sent.into_iter().map(|(id, ..)| id).collect()
}

fn asked(change: impl FnOnce(&mut Forward)) -> (Bench, ConnId, ConnId, u32) {
    let (mut bench, client, upstream) = Bench::asked(snapshot(change), REQUEST);
    let ids = ids(&mut bench, upstream);
    assert_eq!(ids.len(), 1);
    (bench, client, upstream, ids[0])
}

#[track_caller]
fn assert_answered(bench: &mut Bench, client: ConnId, status: u16, body: &str) {
    let said = bench.flush_text(client);
    assert!(said.starts_with(&format!("HTTP/1.1 {status} ")) && said.ends_with(body), "{said}");
}

#[test]
fn wherever_a_request_is_cut() {
    for at in 1..REQUEST.len() {
        let mut bench = Bench::new(snapshot(|_| {}));
        let client = bench.client();
        bench.receive(client, &REQUEST[..at]);
        bench.receive(client, &REQUEST[at..]);
        let upstream = bench.connected();
        let id = ids(&mut bench, upstream)[0];
        bench.receive(upstream, &answer(id, b"\x97"));
        assert_answered(&mut bench, client, 200, "\r\n\r\n7");
        bench.assert_empty();
    }
}

#[test]
fn wherever_an_answer_is_cut() {
    let whole = answer(0, b"\x02ok").len();
    for at in 1..whole {
        let (mut bench, client, upstream, id) = asked(|_| {});
        let bytes = answer(id, b"\x02ok");
        bench.receive(upstream, &bytes[..at]);
        assert_eq!(bench.flush_text(client), "", "nothing before it is whole");
        bench.receive(upstream, &bytes[at..]);
        assert_answered(&mut bench, client, 200, "\"ok\"");
        bench.assert_empty();
        // Both connections go on.
        bench.receive(client, REQUEST);
        let id = ids(&mut bench, upstream)[0];
        bench.receive(upstream, &answer(id, b"N"));
        assert_answered(&mut bench, client, 200, "null");
    }
}

#[test]
fn wherever_an_upstream_ends() {
    let whole = answer(0, b"\x02ok").len();
    for at in 0..whole {
        let (mut bench, client, upstream, id) = asked(|_| {});
        if at > 0 {
            bench.receive(upstream, &answer(id, b"\x02ok")[..at]);
        }
        bench.end(upstream, if at % 2 == 0 { Ok(()) } else { Err(IoError::Reset) });
        assert_answered(&mut bench, client, 503, "\"}}");
        bench.assert_empty();
    }
}

#[test]
fn an_answer_that_breaks_off_is_asked_for_again() {
    let retry = RetryPolicy { on: RetryOn::RESET, attempts: 1, ..RetryPolicy::default() };
    let (mut bench, client, upstream, id) = asked(|forward| forward.retry = Some(Box::new(retry)));
    bench.receive(upstream, &answer(id, b"\x02ok")[..40]);
    bench.end(upstream, Err(IoError::Reset));
    bench.advance_ms(1_000);
    let upstream = bench.connected();
    let id = ids(&mut bench, upstream)[0];
    bench.receive(upstream, &answer(id, b"\x02ok"));
    assert_answered(&mut bench, client, 200, "\"ok\"");
    bench.assert_empty();
}

#[test]
fn an_answer_that_comes_too_late_harms_nobody() {
    let (mut bench, client, upstream, id) = asked(|_| {});
    bench.receive(upstream, &answer(id, b"\x02ok")[..40]);
    bench.advance_ms(5_001);
    assert_answered(&mut bench, client, 504, "{\"error\":{\"message\":\"response timeout\"}}");
    bench.assert_empty();
    bench.receive(client, REQUEST);
    let late = ids(&mut bench, upstream)[0];
    bench.receive(upstream, &[&answer(id, b"\x02ok")[40..], &answer(late, b"\x97")].concat());
    assert_answered(&mut bench, client, 200, "\r\n\r\n7");
    bench.assert_empty();
}

#[test]
fn a_client_that_leaves_takes_its_call_along() {
    for at in [REQUEST.len() - 1, REQUEST.len()] {
        let mut bench = Bench::new(snapshot(|_| {}));
        let client = bench.client();
        bench.receive(client, &REQUEST[..at]);
        bench.end(client, Err(IoError::Reset));
        bench.assert_empty();
    }
    let (mut bench, client, upstream, id) = asked(|_| {});
    bench.end(client, Err(IoError::Reset));
    bench.assert_empty();
    bench.receive(upstream, &answer(id, b"N"));
    assert!(!bench.is_closed(upstream), "others may use it");
    // Half of a request, and the end.
    let client = bench.client();
    bench.receive(client, &REQUEST[..REQUEST.len() - 1]);
    bench.end(client, Ok(()));
    bench.assert_empty();
}

#[test]
fn an_exception_is_no_failure_of_its_endpoint() {
    let (mut bench, client, upstream, id) = asked(|_| {});
    let exception = b"O\xa3java.lang.Exception\x92\x0ddetailMessage\x0astackTraceo\x91\x03badN";
    bench.receive(upstream, &answer(id, exception));
    assert_answered(
        &mut bench,
        client,
        500,
        "{\"error\":{\"class\":\"java.lang.Exception\",\"message\":\"bad\"}}",
    );
    assert_eq!((bench.cluster.responses[1].get(), bench.cluster.responses[4].get()), (1, 0));
    assert_eq!((bench.listener.responses[1].get(), bench.listener.responses[4].get()), (0, 1));
}

#[test]
fn an_answer_that_is_none_leaves_its_connection_as_it_is() {
    let (mut bench, client, upstream, id) = asked(|_| {});
    bench.receive(upstream, &response(id, b"N"));
    assert_answered(
        &mut bench,
        client,
        502,
        "{\"error\":{\"message\":\"malformed answer to bridged call\"}}",
    );
    bench.assert_empty();
    assert!(!bench.is_closed(upstream));
    // One that is longer than it may be, told by its head alone.
    bench.receive(client, REQUEST);
    let id = ids(&mut bench, upstream)[0];
    let long = response(id, &[b'x'; 2000]);
    bench.receive(upstream, &long[..100]);
    assert_answered(&mut bench, client, 502, "more than 1000 bytes\"}}");
    bench.receive(upstream, &long[100..]);
    bench.assert_empty();
    assert!(!bench.is_closed(upstream));
}
