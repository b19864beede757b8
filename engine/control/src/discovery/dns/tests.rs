//! Names followed against a name server of the test's own, answer by answer.

use super::*;
use crate::cores::Event;
use crate::discovery::resolver::LookupFamily;
use crate::discovery::schedule::RefreshOptions;
use crate::discovery::test_name_server::NameServer;
use crate::discovery::{Discovery, EndpointSource, Target};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RecordType;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::LocalSet;

/// A cluster whose names are followed.
struct Followed {
    server: NameServer,
    tasks: LocalSet,
    runtime: Runtime,
    events: Receiver<Event>,
}

fn target(host: &str, port: u16, is_logical: bool) -> Target {
    let template = Endpoint::new(Address::Ip(([0, 0, 0, 0], 0).into()));
    Target {
        host: host.to_owned(),
        port,
        template: Endpoint { weight: 3, hostname: Some(host.into()), is_logical, ..template },
    }
}

impl Followed {
    /// All names are asked for again every millisecond. The zone is set first.
    fn start(is_logical: bool, hosts: &[&str], zone: impl Fn(&NameServer)) -> Followed {
        let server = NameServer::start();
        zone(&server);
        let refresh = RefreshOptions { refresh_ms: 1, min_refresh_ms: 1, ..Default::default() };
        let source = DnsSource {
            is_logical,
            targets: hosts.iter().map(|host| target(host, 80, is_logical)).collect(),
            family: LookupFamily::V4Only,
            refresh,
            servers: vec![server.address],
        };
        let discovery = Discovery { cluster: "api".to_owned(), source: EndpointSource::Dns(source.clone()) };
        let (sender, events) = channel(1);
        let report = Report::new(Arc::new(discovery), sender);
        let resolver = Resolver::new(&source.servers, source.family).map(Rc::new);
        let tasks = LocalSet::new();
        tasks.spawn_local(follow(source, resolver, report));
        let runtime = Builder::new_current_thread().enable_io().enable_time().build().unwrap();
        Followed { server, tasks, runtime, events }
    }

    fn next(&mut self) -> (Result<Vec<String>, String>, bool) {
        let event = self.tasks.block_on(&self.runtime, self.events.recv());
        let Some(Event::Found(found)) = event else { panic!("{event:?}") };
        let show = |endpoint: &Endpoint| {
            assert_eq!((endpoint.weight, endpoint.hostname.is_some()), (3, true));
            endpoint.address.to_string()
        };
        let outcome = match found.outcome {
            Outcome::Endpoints(endpoints) => Ok(endpoints.iter().map(show).collect()),
            Outcome::Failed(reason) => Err(reason),
        };
        (outcome, found.is_complete)
    }

    /// Waits until this is what the names mean.
    fn until(&mut self, expected: &[&str]) {
        while self.next().0.as_deref() != Ok(&expected.iter().map(ToString::to_string).collect::<Vec<_>>()) {}
    }

    fn set(&self, name: &str, addresses: &[&str]) {
        set(&self.server, name, addresses);
    }
}

fn set(server: &NameServer, name: &str, addresses: &[&str]) {
    let records: Vec<_> = addresses.iter().map(|address| (*address, 9)).collect();
    server.set(name, RecordType::A, Ok(&records));
}

#[test]
fn all_addresses_of_strict_names_are_endpoints_in_a_steady_order() {
    let mut followed = Followed::start(false, &["a.test", "b.test", "192.0.2.9"], |server| {
        set(server, "a.test.", &["192.0.2.2", "192.0.2.1"]);
        set(server, "b.test.", &["192.0.2.3", "192.0.2.2"]);
    });
    let all = ["192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80", "192.0.2.9:80"];
    followed.until(&all);
    followed.set("a.test.", &["192.0.2.1", "192.0.2.2"]);
    for _ in 0..8 {
        assert_eq!(followed.next().0.unwrap(), all, "another order is no change");
    }
    followed.set("b.test.", &[]);
    followed.until(&["192.0.2.1:80", "192.0.2.2:80", "192.0.2.9:80"]);
}

#[test]
fn it_is_complete_when_every_name_was_tried_once() {
    let mut followed = Followed::start(false, &["a.test", "bad.test"], |server| {
        set(server, "a.test.", &["192.0.2.1"]);
        server.set("bad.test.", RecordType::A, Err(ResponseCode::ServFail));
    });
    let mut kinds = [false; 2];
    loop {
        let (outcome, is_complete) = followed.next();
        kinds[usize::from(outcome.is_err())] = true;
        assert_eq!(is_complete, kinds == [true; 2], "{outcome:?}");
        if is_complete {
            break;
        }
    }
    followed.until(&["192.0.2.1:80"]);
}

#[test]
fn a_strict_name_that_means_nothing_has_no_endpoints_and_one_that_cannot_be_resolved_keeps_them() {
    let mut followed = Followed::start(false, &["a.test"], |server| set(server, "a.test.", &["192.0.2.1"]));
    followed.until(&["192.0.2.1:80"]);
    followed.server.set("a.test.", RecordType::A, Err(ResponseCode::ServFail));
    let reason = loop {
        if let (Err(reason), _) = followed.next() {
            break reason;
        }
    };
    assert!(reason.contains("`a.test` cannot be resolved"), "{reason}");
    followed.server.set("a.test.", RecordType::A, Err(ResponseCode::NXDomain));
    followed.until(&[]);
    followed.set("a.test.", &["192.0.2.7"]);
    followed.until(&["192.0.2.7:80"]);
}

#[test]
fn a_logical_name_has_its_first_address_and_keeps_its_last() {
    let mut followed =
        Followed::start(true, &["a.test"], |server| set(server, "a.test.", &["192.0.2.2", "192.0.2.1"]));
    followed.until(&["192.0.2.2:80"]);
    followed.set("a.test.", &["192.0.2.1", "192.0.2.2"]);
    followed.until(&["192.0.2.1:80"]);
    followed.server.set("a.test.", RecordType::A, Err(ResponseCode::NXDomain));
    for _ in 0..8 {
        assert_eq!(followed.next().0.unwrap(), ["192.0.2.1:80"]);
    }
    followed.set("a.test.", &["192.0.2.4"]);
    followed.until(&["192.0.2.4:80"]);
}

#[test]
fn the_addresses_of_a_logical_name_are_tried_with_families_in_turn() {
    let parse = |addresses: &[&str]| {
        addresses.iter().map(|address| address.parse().unwrap()).collect::<Vec<IpAddr>>()
    };
    for (given, expected) in [
        (&[][..], &[][..]),
        (&["1.1.1.1"], &["1.1.1.1"]),
        (&["1.1.1.1", "1.1.1.2", "::1", "::2"], &["1.1.1.1", "::1", "1.1.1.2", "::2"]),
        (&["::1", "::2", "::3", "1.1.1.1"], &["::1", "1.1.1.1", "::2", "::3"]),
    ] {
        assert_eq!(in_turn(&parse(given)), parse(expected));
    }
    for (count, kept) in
        [(MOST_TURNS - 1, MOST_TURNS - 1), (MOST_TURNS, MOST_TURNS), (MOST_TURNS + 1, MOST_TURNS)]
    {
        let addresses: Vec<_> = (0..count as u8).map(|last| IpAddr::from([127, 0, 0, last])).collect();
        assert_eq!(in_turn(&addresses).len(), kept);
    }
}
