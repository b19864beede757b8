//! Calls over bolt: each gets its own answer, whichever way it comes about.

use super::bolt::{self, call};
use super::calls_to;
use crate::support::access_log::records;
use crate::support::{Origin, Proxy, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const SERVICE: &str = "com.alipay.test.TestService:1.0";

#[test]
fn a_call_is_answered_and_told_of() {
    let origin = Origin::start(|wire, _| bolt::echo(wire));
    let proxy = Proxy::start(&calls_to("bolt", &origin));
    let mut wire = proxy.connect("calls");
    let asked = call(7, SERVICE, "hello", b"world").with("x-user", "1");
    wire.send(&asked.bytes()).unwrap();
    assert_eq!(bolt::read(&mut wire).unwrap(), asked.answer(bolt::SUCCESS, b"world"));
    let record = until("its record", || records(&proxy).into_iter().next());
    assert_eq!(
        (&record["method"], &record["authority"], &record["protocol"], &record["response_code"]),
        (&"hello".into(), &SERVICE.into(), &"bolt".into(), &200.into()),
        "{record}"
    );
    drop(wire);
    drop(origin);
    proxy.assert_home();
}

#[test]
fn a_thousand_pipelined_calls_are_answered_out_of_order_each_with_its_own() {
    let turned = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&turned);
    let origin = Origin::start(move |wire, _| {
        let mut held = vec![];
        loop {
            held.push(bolt::read(wire)?);
            // All that came in one piece is answered from its end.
            if wire.left_over().is_empty() {
                counter.fetch_add(held.len() - 1, Ordering::SeqCst);
                for frame in held.drain(..).rev() {
                    wire.send(&frame.answer(bolt::SUCCESS, &frame.content).bytes())?;
                }
            }
        }
    });
    let proxy = Proxy::start(&calls_to("bolt", &origin));
    let mut wire = proxy.connect("calls");
    let content = |id: u32| id.to_string().repeat(id as usize % 50 + 1).into_bytes();
    let calls: Vec<u8> = (0..1000).flat_map(|id| call(id, SERVICE, "hello", &content(id)).bytes()).collect();
    wire.send(&calls).unwrap();
    let mut answered = vec![false; 1000];
    for _ in 0..1000 {
        let answer = bolt::read(&mut wire).unwrap();
        assert_eq!((answer.status, &answer.content), (bolt::SUCCESS, &content(answer.id)));
        assert!(!std::mem::replace(&mut answered[answer.id as usize], true), "{} came twice", answer.id);
    }
    assert!(turned.load(Ordering::SeqCst) > 100, "the origin had nothing to turn round");
    let metrics = proxy.metrics();
    assert_eq!(metrics.sum_where("sidering_cluster_upstream_rq_total", "\"api\""), 1000.0);
    assert!(origin.accepted() < 20, "{} connections", origin.accepted());
}
