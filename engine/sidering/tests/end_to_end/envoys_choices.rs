//! Ring hash and Maglev choose the endpoint that Envoy chooses, held against the Envoy that runs here.

use crate::support::Origin;
use crate::support::envoy::Envoy;
use crate::support::wire::Wire;
use sidering_dataplane::cluster::lb::{Maglev, RingHash, RingSizes, hash};
use sidering_dataplane::config::Endpoint;
use sidering_dataplane::io::Address;
use std::collections::BTreeSet;
use std::net::SocketAddr;

const RING_HASH: &str = r#""lb_policy": "RING_HASH""#;
const MAGLEV: &str = r#""lb_policy": "MAGLEV""#;
const KEYS: usize = 10_000;
const EQUAL: [u32; 7] = [1; 7];
const DIFFERENT: [u32; 7] = [1, 5, 2, 2, 128, 1, 9];

#[test]
fn ring_hash_of_equal_weights() {
    compare(RING_HASH, &EQUAL, ring_hash);
}

#[test]
fn ring_hash_of_different_weights() {
    compare(RING_HASH, &DIFFERENT, ring_hash);
}

/// A ring that is too small for whole numbers of places: remainders are carried on from endpoint to endpoint.
#[test]
fn ring_hash_on_a_small_ring() {
    let sizes = r#""ring_hash_lb_config": { "minimum_ring_size": 300, "maximum_ring_size": 300 }"#;
    compare(&format!("{RING_HASH}, {sizes}"), &DIFFERENT, |endpoints| {
        let ring = RingHash::new(endpoints, RingSizes { minimum: 300, maximum: 300 });
        move |hash| ring.pick(hash, 0)
    });
}

#[test]
fn maglev_of_equal_weights() {
    compare(MAGLEV, &EQUAL, maglev);
}

#[test]
fn maglev_of_different_weights() {
    compare(MAGLEV, &DIFFERENT, maglev);
}

fn ring_hash(endpoints: &[Endpoint]) -> impl Fn(u64) -> Option<usize> + use<> {
    let ring = RingHash::new(endpoints, RingSizes::default());
    move |hash| ring.pick(hash, 0)
}

fn maglev(endpoints: &[Endpoint]) -> impl Fn(u64) -> Option<usize> + use<> {
    let table = Maglev::new(endpoints);
    move |hash| table.pick(hash, 0)
}

/// Asks Envoy with every key, on one connection.
fn compare<P: Fn(u64) -> Option<usize>>(lb: &str, weights: &[u32], balancer: fn(&[Endpoint]) -> P) {
    let origins: Vec<Origin> = weights.iter().map(|_| origin()).collect();
    let addresses: Vec<SocketAddr> = origins.iter().map(Origin::address).collect();
    let weighted: Vec<(SocketAddr, u32)> = addresses.iter().copied().zip(weights.iter().copied()).collect();
    let endpoint = |(address, weight): &(SocketAddr, u32)| Endpoint {
        weight: *weight,
        ..Endpoint::new(Address::Ip(*address))
    };
    let endpoints: Vec<Endpoint> = weighted.iter().map(endpoint).collect();
    let pick = balancer(&endpoints);

    let envoy = Envoy::hashing(lb, &weighted);
    let mut wire = Wire::connect(envoy.address()).expect("Envoy listens");
    let mut chosen = BTreeSet::new();
    for number in 0..KEYS {
        let key = format!("user-{number}");
        let request = format!("GET / HTTP/1.1\r\nHost: test\r\nx-key: {key}\r\n\r\n");
        wire.send(request.as_bytes()).expect("Envoy keeps the connection");
        let answer = wire.response().expect("Envoy answers");
        assert_eq!(answer.status(), 200, "{key}: {answer:?}");
        let theirs = answer.head.value("x-endpoint").expect("Envoy names the endpoint").to_owned();
        let ours = pick(hash(key.as_bytes(), 0)).map(|index| addresses[index].to_string());
        assert_eq!(ours.as_ref(), Some(&theirs), "{key}");
        chosen.insert(theirs);
    }
    assert_eq!(chosen.len(), weights.len(), "every endpoint has a share of {KEYS} keys: {chosen:?}");
}

/// Answers everything.
fn origin() -> Origin {
    Origin::start(|wire, _| {
        loop {
            wire.head()?;
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        }
    })
}
