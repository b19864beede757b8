//! TCP listeners: bytes both ways, each direction ending for itself, and every way of failing.

use crate::support::pattern::{self, Checker};
use crate::support::{Config, End, Origin, Proxy, Wire, access_log, let_pass, turns, until};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};

const LARGE: u64 = 100 * 1024 * 1024;

/// Sends back what comes, and ends when the client has ended.
fn echo() -> Origin {
    Origin::start(|wire, _| {
        let mut out = wire.try_clone()?;
        let mut piece = vec![0; 64 * 1024];
        loop {
            let length = wire.stream().read(&mut piece)?;
            if length == 0 {
                return out.finish();
            }
            out.send(&piece[..length])?;
        }
    })
}

/// Reads until the end and compares with the pattern.
#[track_caller]
fn assert_pattern(wire: &mut Wire, length: u64) {
    let mut checker = Checker::default();
    let mut piece = vec![0; 64 * 1024];
    loop {
        match wire.stream().read(&mut piece).unwrap() {
            0 => break,
            length => checker.feed(&piece[..length]),
        }
    }
    assert_eq!(checker.verdict(length), Ok(()));
}

#[test]
fn bytes_pass_both_ways_unchanged() {
    let _turn = turns::heavy();
    let origin = echo();
    let proxy = Proxy::start(&Config::tcp_to(&origin));
    for length in [0, 1, 2048, 16_384, 65_537, 1024 * 1024, LARGE] {
        let mut wire = proxy.connect("raw");
        let mut out = wire.try_clone().unwrap();
        let sender = std::thread::spawn(move || {
            pattern::write(&mut out.stream(), length).unwrap();
            out.finish().unwrap();
        });
        assert_pattern(&mut wire, length);
        sender.join().unwrap();
    }
    drop(origin);
    proxy.assert_home();
}

#[test]
fn a_client_that_ends_its_side_still_gets_everything() {
    // Answers only after the client's end.
    let origin = Origin::start(|wire, _| {
        let (question, _) = wire.rest()?;
        wire.send(&question.repeat(100))
    });
    let proxy = Proxy::start(&Config::tcp_to(&origin));
    let mut wire = proxy.connect("raw");
    wire.send(b"question").unwrap();
    wire.finish().unwrap();
    let (answer, end) = wire.rest().unwrap();
    assert_eq!((answer, end), (b"question".repeat(100), End::Closed));
}

#[test]
fn an_upstream_that_ends_its_side_still_gets_everything() {
    let origin = Origin::recording(|wire, _| {
        wire.send(b"greeting")?;
        wire.finish()?;
        wire.rest().map(|_| ())
    });
    let proxy = Proxy::start(&Config::tcp_to(&origin));
    let mut wire = proxy.connect("raw");
    let (greeting, end) = wire.rest().unwrap();
    assert_eq!((greeting.as_slice(), end), (&b"greeting"[..], End::Closed));
    wire.send(b"and still I speak").unwrap();
    wire.finish().unwrap();
    until("the upstream to have it", || (origin.seen_text() == "and still I speak").then_some(()));
    until("both to be over", || (origin.ended() == 1).then_some(()));
    proxy.assert_home();
}

#[test]
fn a_connection_without_traffic_is_closed_on_both_sides() {
    let origin = Origin::start(|wire, _| wire.rest().map(|_| ()));
    let config = Config::new().tcp("raw", "limits: { idle_timeout: 700ms }").cluster("api", &origin, "");
    let proxy = Proxy::start(&config);
    let mut wire = proxy.connect("raw");
    let (rest, _) = wire.rest().unwrap();
    assert!(rest.is_empty());
    until("the upstream's side to end", || (origin.ended() == 1).then_some(()));
    proxy.assert_home();
}

#[test]
fn traffic_in_one_direction_keeps_a_connection_open() {
    let origin = Origin::start(|wire, _| {
        for _ in 0..10 {
            let_pass(std::time::Duration::from_millis(200));
            wire.send(b".")?;
        }
        Ok(())
    });
    let config = Config::new().tcp("raw", "limits: { idle_timeout: 1s }").cluster("api", &origin, "");
    let proxy = Proxy::start(&config);
    let (dots, end) = proxy.connect("raw").rest().unwrap();
    assert_eq!((dots.len(), end), (10, End::Closed));
}

#[test]
fn a_client_of_an_upstream_that_is_not_there_is_closed() {
    let nobody = crate::failures::refused_address();
    let proxy = Proxy::start(&Config::tcp_to(nobody));
    // The end may be there before the kernel has told the client that it is connected.
    match Wire::connect(proxy.address("raw")).and_then(|mut wire| wire.rest()) {
        Ok((rest, _)) => assert!(rest.is_empty()),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    let record = until("its record", || access_log::records(&proxy).pop());
    assert_eq!(access_log::flags(&record), "UF", "{record}");
    proxy.assert_home();
}

#[test]
fn a_reset_passes_on_in_both_directions() {
    let origin = Origin::start(|wire, _| match wire.rest()?.1 {
        End::Reset => Ok(()),
        // Without a reset this connection, and with it the test, lasts.
        End::Closed => {
            std::thread::park_timeout(std::time::Duration::from_secs(60));
            Ok(())
        }
    });
    let proxy = Proxy::start(&Config::tcp_to(&origin));
    let mut wire = proxy.connect("raw");
    wire.send(b"a").unwrap();
    until("the upstream to be reached", || (origin.accepted() == 1).then_some(()));
    wire.reset().unwrap();
    until("the upstream to be reset", || (origin.ended() == 1).then_some(()));

    let origin = Origin::start(|wire, _| {
        wire.fill()?;
        wire.try_clone()?.reset()
    });
    let proxy = Proxy::start(&Config::tcp_to(&origin));
    let mut wire = proxy.connect("raw");
    wire.send(b"a").unwrap();
    assert_eq!(wire.rest().unwrap().1, End::Reset);
    proxy.assert_home();
}

#[test]
fn an_upstream_on_a_unix_socket() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("upstream.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut all = vec![];
            if stream.read_to_end(&mut all).is_ok() {
                let _ = stream.write_all(&all);
            }
        }
    });
    let length = 3 * 1024 * 1024;
    let proxy = Proxy::start(&Config::tcp_to(format!("unix:{}", path.display())));
    let mut wire = proxy.connect("raw");
    pattern::write(&mut wire.stream(), length).unwrap();
    wire.finish().unwrap();
    assert_pattern(&mut wire, length);
}

#[test]
fn a_listener_on_a_unix_socket() {
    let origin = echo();
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("listener.sock");
    let proxy = Proxy::start(&Config::tcp_to(&origin).listen_on(&format!("unix:{}", path.display())));
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(&pattern::bytes(300_000)).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut checker = Checker::default();
    let mut piece = vec![0; 64 * 1024];
    while let length @ 1.. = stream.read(&mut piece).unwrap() {
        checker.feed(&piece[..length]);
    }
    assert_eq!(checker.verdict(300_000), Ok(()));
    proxy.assert_home();
}

#[test]
fn a_listener_on_ipv6() {
    let origin = echo();
    let proxy = Proxy::start(&Config::tcp_to(&origin).listen_on("[::1]:0"));
    assert!(proxy.address("raw").is_ipv6());
    let mut wire = proxy.connect("raw");
    wire.send(b"six").unwrap();
    wire.finish().unwrap();
    assert_eq!(wire.rest().unwrap().0, b"six");
}

#[test]
fn an_http_upstream_on_a_unix_socket() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("upstream.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut piece = [0; 4096];
            while stream.read(&mut piece).is_ok_and(|length| length > 0) {
                if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nunix").is_err() {
                    break;
                }
            }
        }
    });
    let proxy = Proxy::start(&Config::http_to(format!("unix:{}", path.display())));
    let mut wire = proxy.connect("web");
    for _ in 0..3 {
        wire.get("/").unwrap();
        assert_eq!(wire.response().unwrap().text(), "unix");
    }
}

#[test]
fn connections_over_the_limit_are_closed_at_once() {
    let origin = echo();
    let config = Config::new().tcp("raw", "limits: { max_connections: 2 }").cluster("api", &origin, "");
    let proxy = Proxy::start(&config);
    let mut kept: Vec<_> = (0..2).map(|_| proxy.connect("raw")).collect();
    for wire in &mut kept {
        wire.send(b"a").unwrap();
        wire.fill().unwrap();
    }
    let mut third = proxy.connect("raw");
    assert!(third.rest().unwrap().0.is_empty());
    for wire in &mut kept {
        wire.send(b"b").unwrap();
        wire.fill().unwrap();
        assert_eq!(wire.left_over(), b"ab", "those within the limit go on");
    }
    drop(kept.pop());
    until("a place to come free", || {
        let mut wire = proxy.connect("raw");
        wire.send(b"c").ok()?;
        (wire.fill().ok()? > 0).then_some(())
    });
}
