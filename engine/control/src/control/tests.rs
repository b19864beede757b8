//! Control with cores that only write down what they are told.

use super::*;
use crate::config::show_address;
use crate::test_cores::{start, take};
use std::fs::write;
use std::net::TcpListener;

fn file(listeners: &[(&str, &str)]) -> String {
    let lines: String = listeners
        .iter()
        .map(|(name, address)| {
            format!("- {{ name: {name}, address: '{address}', protocol: tcp, cluster: c }}\n")
        })
        .collect();
    format!("listeners:\n{lines}clusters: [{{ name: c, endpoints: [127.0.0.1:1] }}]\n")
}

fn ended(core: usize) -> Event {
    Event::CoreEnded { core, result: Ok(()) }
}

/// An address that was free a moment ago.
fn free() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn sockets_come_before_the_configuration_that_has_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    write(&path, file(&[("a", "127.0.0.1:0"), ("b", "127.0.0.1:0")])).unwrap();
    let (_control, orders) = start(&path).unwrap();
    let (short, update) = take(&orders);
    assert_eq!(
        short,
        ["0: listen 0", "1: listen 0", "0: listen 1", "1: listen 1", "0: apply 1", "1: apply 1"]
    );
    let snapshot = update.unwrap().snapshot;
    let addresses: Vec<_> =
        snapshot.listeners.iter().map(|listener| show_address(&listener.address)).collect();
    assert!(addresses.iter().all(|address| !address.ends_with(":0")), "{addresses:?}");
}

#[test]
fn a_reload_keeps_what_stays_opens_what_is_new_and_leaves_out_what_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    let (one, two) = (free(), free());
    write(&path, file(&[("a", &one), ("any", "127.0.0.1:0")])).unwrap();
    let (mut control, orders) = start(&path).unwrap();
    let before = take(&orders).1.unwrap();
    before.listeners[1].connections_total.add(7);

    write(&path, file(&[("new", &two), ("any", "127.0.0.1:0"), ("renamed", &one)])).unwrap();
    assert_eq!(control.handle(Event::Signal(Signal::HangUp)), Next::GoOn);
    let (short, update) = take(&orders);
    assert_eq!(short, ["0: listen 2", "1: listen 2", "0: apply 2", "1: apply 2"]);
    let after = update.unwrap();
    let ids: Vec<_> = after.snapshot.listeners.iter().map(|listener| listener.id.0).collect();
    assert_eq!(ids, [2, 1, 0]);
    assert_eq!(after.snapshot.listeners[1].address, before.snapshot.listeners[1].address);
    assert_eq!(after.listeners[1].connections_total.get(), 7);

    write(&path, file(&[("any", "127.0.0.1:0")])).unwrap();
    control.handle(Event::Signal(Signal::HangUp));
    let (short, update) = take(&orders);
    assert_eq!(short, ["0: apply 3", "1: apply 3"]);
    assert_eq!(update.unwrap().snapshot.listeners.len(), 1);
    assert_eq!((control.facts().reloads, control.facts().reload_failures), (2, 0));
}

#[test]
fn a_reload_happens_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    write(&path, file(&[("a", "127.0.0.1:0")])).unwrap();
    let (mut control, orders) = start(&path).unwrap();
    take(&orders);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (taken, fresh) = (taken.local_addr().unwrap().to_string(), (free(), taken));
    let bad = [
        "nonsense: [".to_owned(),
        file(&[("a", "127.0.0.1:0"), ("b", &fresh.0), ("c", &taken)]),
        format!("access_log: {{ path: /nowhere/x.log }}\n{}", file(&[("a", "127.0.0.1:0"), ("b", &fresh.0)])),
    ];
    for text in &bad {
        write(&path, text).unwrap();
        control.handle(Event::Signal(Signal::HangUp));
        assert!(take(&orders).0.is_empty(), "{text}");
        // What was opened for it is closed again.
        TcpListener::bind(&fresh.0).unwrap();
    }
    std::fs::remove_file(&path).unwrap();
    control.handle(Event::Signal(Signal::HangUp));
    assert_eq!((control.snapshot.version, control.facts().reload_failures), (1, 4));
}

#[test]
fn settings_of_the_process_stay_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    write(&path, file(&[("a", "127.0.0.1:0")])).unwrap();
    let (mut control, _orders) = start(&path).unwrap();
    control.setup.overrides.workers = None;
    write(&path, format!("admin: null\nworkers: 5\n{}", file(&[("a", "127.0.0.1:0")]))).unwrap();
    assert_eq!(control.reload(), Reload::Applied);
    assert!(control.settings.admin.is_some());
    assert_eq!(control.settings.workers, 2);
    // The share of each of the two cores, not of five.
    assert_eq!(control.snapshot.listeners[0].limits.max_connections, 25_000);
}

#[test]
fn the_first_configuration_tells_all_that_cannot_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    let (one, two) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let (one, two) = (one.local_addr().unwrap(), (two.local_addr().unwrap(), one, two));
    write(&path, file(&[("a", &one.to_string()), ("b", &two.0.to_string())])).unwrap();
    let errors = start(&path).err().unwrap();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].contains("listener `a`") && errors[0].contains(&one.to_string()), "{errors:?}");
}

#[test]
fn term_drains_and_leaves_and_a_second_one_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    write(&path, format!("drain_timeout: 3s\n{}", file(&[("a", "127.0.0.1:0")]))).unwrap();
    let begin = || {
        let (control, orders) = start(&path).unwrap();
        take(&orders);
        (control, orders)
    };
    let (mut control, orders) = begin();
    let watch = Next::WatchDrain(Duration::from_secs(5));
    assert_eq!(control.handle(Event::Signal(Signal::Terminate)), watch);
    assert_eq!(take(&orders).0, ["0: drain", "1: drain"]);
    assert_eq!(control.reload(), Reload::Refused, "a draining process takes no new configuration");
    assert_eq!([ended(0), ended(1)].map(|event| control.handle(event)), [Next::GoOn, Next::Leave(0)]);

    let (mut control, orders) = begin();
    control.handle(Event::Signal(Signal::Terminate));
    assert_eq!(control.handle(Event::Signal(Signal::Terminate)), Next::Leave(0));
    assert_eq!(take(&orders).0[2..], ["0: stop", "1: stop"]);

    let (mut control, orders) = begin();
    assert_eq!(control.handle(Event::Signal(Signal::Interrupt)), Next::Leave(0));
    assert_eq!(take(&orders).0, ["0: stop", "1: stop"]);
}

#[test]
fn what_goes_wrong_ends_in_an_error_code() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    write(&path, file(&[("a", "127.0.0.1:0")])).unwrap();
    let (mut control, orders) = start(&path).unwrap();
    take(&orders);
    let failed = Event::CoreEnded { core: 1, result: Err("out of luck".to_owned()) };
    assert_eq!(control.handle(failed), Next::Leave(1));
    assert_eq!(take(&orders).0, ["0: stop", "1: stop"]);

    let (mut control, orders) = start(&path).unwrap();
    take(&orders);
    assert_eq!(control.handle(Event::DrainOverdue), Next::GoOn);
    control.handle(Event::Signal(Signal::Terminate));
    assert_eq!(control.handle(Event::DrainOverdue), Next::Leave(1));
}
