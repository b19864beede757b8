//! Table 4.1, upstream: servers that answer too much, too little or nonsense. The client must be able to tell, and nothing
//! of it may end up in the answer to somebody else.

use crate::support::access_log::flags_of;
use crate::support::web::reply;
use crate::support::{Config, End, Origin, Proxy, Wire, until};

/// An upstream that sends `answer` to the first request of each connection whose target is `/bad` and `good` to all others.
fn answering(answer: &'static [u8]) -> Origin {
    Origin::start(move |wire, _| {
        loop {
            let head = wire.head()?;
            wire.body(&head, |_| {})?;
            match head.target() {
                "/bad" => wire.send(answer)?,
                _ => reply(wire, 200, "good")?,
            }
        }
    })
}

fn proxy_before(answer: &'static [u8]) -> (Proxy, Origin) {
    let origin = answering(answer);
    (Proxy::start(&Config::http_to(&origin)), origin)
}

/// Another client's request is answered with what was meant for it.
#[track_caller]
fn assert_good(wire: &mut Wire) {
    wire.get("/good").unwrap();
    let answer = wire.response().unwrap();
    assert_eq!((answer.status(), answer.text().as_str()), (200, "good"));
}

#[test]
fn an_extra_response_is_never_taken_for_the_next_answer() {
    let (proxy, origin) = proxy_before(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    );
    let mut wire = proxy.connect("web");
    wire.get("/bad").unwrap();
    assert_eq!(wire.response().unwrap().text(), "ok");
    assert_good(&mut wire);
    assert_good(&mut proxy.connect("web"));
    assert_eq!(origin.accepted(), 2, "the connection with the extra response is not used again");
}

#[test]
fn an_extra_response_that_comes_late_ends_the_idle_connection() {
    let origin = Origin::start(|wire, number| {
        wire.head()?;
        reply(wire, 200, "first")?;
        if number == 0 {
            // Not asked for; the connection is in the pool by now or will be when this comes.
            reply(wire, 200, "evil")?;
        }
        wire.head()?;
        reply(wire, 200, "second")
    });
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    wire.get("/a").unwrap();
    assert_eq!(wire.response().unwrap().text(), "first");
    until("the proxy to drop the connection", || {
        let active = proxy.metrics().sum_where("sidering_cluster_upstream_cx_active", "\"api\"");
        (active == 0.0).then_some(())
    });
    wire.get("/b").unwrap();
    assert_eq!(wire.response().unwrap().text(), "first");
}

#[test]
fn a_flood_of_interim_responses_is_a_bad_gateway() {
    let origin = Origin::start(|wire, _| {
        wire.head()?;
        (0..10_000).try_for_each(|_| wire.send(b"HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n"))
    });
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    wire.get("/flood").unwrap();
    let mut interim = 0;
    let last = loop {
        let message = wire.message().unwrap();
        if message.status() != 103 {
            break message;
        }
        interim += 1;
    };
    assert_eq!(last.status(), 502, "after {interim} interim responses");
    assert!(interim <= 100, "{interim} got through");
    assert_eq!(flags_of(&proxy, "/flood"), "UPE");
}

#[test]
fn heads_that_are_too_big_or_none_are_a_bad_gateway() {
    let bomb: &'static [u8] =
        format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "b".repeat(200_000)).leak().as_bytes();
    let many: &'static [u8] = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(5000)).leak().as_bytes();
    let rows: [(&str, &'static [u8]); 12] = [
        ("a field of 200 KB", bomb),
        ("5000 fields", many),
        ("garbage", b"\x00\x01\x02\x03 garbage\r\n\r\n"),
        ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n"),
        (
            "both framings",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        ("different lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"),
        ("negative length", b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nab"),
        ("NUL in a value", b"HTTP/1.1 200 OK\r\na: \0\r\nContent-Length: 0\r\n\r\n"),
        ("folding", b"HTTP/1.1 200 OK\r\na: b\r\n c\r\nContent-Length: 0\r\n\r\n"),
        ("no colon", b"HTTP/1.1 200 OK\r\nabc\r\nContent-Length: 0\r\n\r\n"),
        ("status of two digits", b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
        ("101 nobody asked for", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
    ];
    let mut wrong = vec![];
    for (name, answer) in rows {
        let (proxy, origin) = proxy_before(answer);
        let mut wire = proxy.connect("web");
        wire.get("/bad").unwrap();
        match wire.response() {
            Ok(answer) if answer.status() == 502 => {}
            other => wrong.push(format!("{name}: {other:?}")),
        }
        if flags_of(&proxy, "/bad") != "UPE" {
            wrong.push(format!("{name}: flags {}", flags_of(&proxy, "/bad")));
        }
        drop((wire, origin));
        proxy.assert_home();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_body_on_an_answer_that_has_none_is_not_taken_for_the_next_answer() {
    for (method, answer) in [
        ("GET", &b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"[..]),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
    ] {
        let (proxy, _origin) = proxy_before(answer);
        let mut wire = proxy.connect("web");
        wire.send(format!("{method} /bad HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).unwrap();
        wire.head().unwrap();
        assert_good(&mut wire);
    }
}

/// An upstream that ends before its answer does, each way of framing it.
#[test]
fn an_answer_cut_short_does_not_look_whole() {
    for (name, answer) in [
        ("length", &b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"[..]),
        ("chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
        ("within a chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n30\r\nabc"),
        ("before the last line", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"),
    ] {
        let origin = Origin::start(move |wire, _| {
            wire.head()?;
            wire.send(answer)
        });
        let proxy = Proxy::start(&Config::http_to(&origin));
        let mut wire = proxy.connect("web");
        wire.get("/cut").unwrap();
        let head = wire.head().unwrap();
        assert_eq!(head.status(), 200, "{name}");
        let mut body = vec![];
        let outcome = wire.body(&head, |bytes| body.extend_from_slice(bytes));
        assert!(outcome.is_err(), "{name}: looks whole: {body:?}");
        assert_eq!(body, b"abc", "{name}: what came is passed on");
        assert!(flags_of(&proxy, "/cut").contains("UC"), "{name}: {}", flags_of(&proxy, "/cut"));
        drop((wire, origin));
        proxy.assert_home();
    }
}

#[test]
fn a_chunked_answer_cut_short_is_a_reset_to_a_client_of_http_1_0() {
    let origin = Origin::start(|wire, _| {
        wire.head()?;
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    });
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    wire.send(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let (_, end) = wire.rest().unwrap();
    assert_eq!(end, End::Reset, "a plain close would make the answer look whole");
}

#[test]
fn a_close_delimited_answer_that_is_reset_does_not_look_whole() {
    for version in ["1.1", "1.0"] {
        let origin = Origin::start(|wire, _| {
            wire.head()?;
            wire.send(b"HTTP/1.1 200 OK\r\n\r\nabc")?;
            // The client has it: only then the end comes.
            wire.fill()?;
            wire.try_clone()?.reset()
        });
        let proxy = Proxy::start(&Config::http_to(&origin));
        let mut wire = proxy.connect("web");
        wire.send(format!("POST / HTTP/{version}\r\nHost: a\r\nContent-Length: 2\r\n\r\n1").as_bytes())
            .unwrap();
        let head = wire.head().unwrap();
        while !String::from_utf8_lossy(wire.left_over()).contains("abc") {
            wire.fill().unwrap();
        }
        wire.send(b"2").unwrap();
        if version == "1.0" {
            assert_eq!(wire.rest().unwrap().1, End::Reset, "{version}");
        } else {
            assert!(wire.body(&head, |_| {}).is_err(), "{version}: looks whole");
        }
    }
}

#[test]
fn an_upstream_that_says_nothing_and_ends_is_a_503() {
    let origin = Origin::start(|wire, _| wire.head().map(|_| ()));
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    wire.get("/silent").unwrap();
    assert_eq!(wire.response().unwrap().status(), 503);
    assert_eq!(flags_of(&proxy, "/silent"), "UC");
}

#[test]
fn an_answer_before_the_request_is_whole_is_passed_on() {
    let origin = Origin::start(|wire, number| {
        wire.head()?;
        reply(wire, 403, "no need")?;
        if number == 0 { wire.rest().map(|_| ()) } else { Ok(()) }
    });
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    wire.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\nabc").unwrap();
    let answer = wire.response().unwrap();
    assert_eq!((answer.status(), answer.text().as_str()), (403, "no need"));
    drop(wire);
    drop(origin);
    proxy.assert_home();
}
