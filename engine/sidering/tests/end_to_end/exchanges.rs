//! One exchange after the other: keep-alive, pipelining, answers without a body, interim answers, trailers, HTTP/1.0.

use crate::support::web::{self, reply};
use crate::support::{Config, End, Origin, Proxy, pattern};

#[test]
fn a_connection_serves_many_requests_over_one_upstream_connection() {
    let origin = Origin::start(|wire, _| web::serve(wire));
    let proxy = Proxy::start(&Config::http_to(&origin));
    for _ in 0..3 {
        let mut wire = proxy.connect("web");
        for _ in 0..20 {
            wire.get("/").unwrap();
            assert_eq!(wire.response().unwrap().text(), "hello\n");
        }
    }
    assert_eq!(origin.accepted(), 1);
    let metrics = proxy.metrics();
    assert_eq!(metrics.sum_where("sidering_cluster_upstream_cx_total", "\"api\""), 1.0);
    assert_eq!(metrics.sum_where("sidering_cluster_upstream_rq_total", "\"api\""), 60.0);
}

#[test]
fn fifty_requests_in_one_write_are_answered_in_their_order() {
    let origin = Origin::start(|wire, _| {
        loop {
            let head = wire.head()?;
            wire.body(&head, |_| {})?;
            reply(wire, 200, head.target())?;
        }
    });
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    let requests: String = (0..50)
        .map(|number| match number % 3 {
            0 => format!("GET /{number} HTTP/1.1\r\nHost: test\r\n\r\n"),
            1 => format!("POST /{number} HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc"),
            _ => format!(
                "POST /{number} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            ),
        })
        .collect();
    wire.send(requests.as_bytes()).unwrap();
    for number in 0..50 {
        assert_eq!(wire.response().unwrap().text(), format!("/{number}"));
    }
}

#[test]
fn a_client_that_ends_its_side_behind_a_pipeline_gets_all_answers() {
    let origin = Origin::start(|wire, _| web::serve(wire));
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    wire.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n".repeat(10).as_bytes()).unwrap();
    wire.finish().unwrap();
    for _ in 0..10 {
        assert_eq!(wire.response().unwrap().text(), "hello\n");
    }
    assert_eq!(wire.assert_ended(), End::Closed);
}

#[test]
fn answers_without_a_body() {
    let origin = Origin::start(|wire, _| {
        loop {
            let head = wire.head()?;
            let answer: &[u8] = match head.target() {
                "/204" => b"HTTP/1.1 204 No Content\r\n\r\n",
                "/304" => b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\nETag: \"a\"\r\n\r\n",
                "/empty" => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                _ => b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nX-A: b\r\n\r\n",
            };
            wire.send(answer)?;
        }
    });
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    for (method, path, status, length) in [
        ("HEAD", "/head", 200, Some(5000)),
        ("GET", "/204", 204, None),
        ("GET", "/304", 304, Some(1234)),
        ("HEAD", "/304", 304, Some(1234)),
        ("GET", "/empty", 200, Some(0)),
        ("HEAD", "/head", 200, Some(5000)),
    ] {
        wire.send(format!("{method} {path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).unwrap();
        let head = wire.head().unwrap();
        assert_eq!((head.status(), head.length()), (status, length), "{method} {path}: {head:?}");
        assert!(wire.left_over().is_empty(), "{method} {path} has no body");
    }
    assert_eq!(origin.accepted(), 1, "none of them costs the connection");
}

#[test]
fn the_client_is_told_to_continue_before_it_sends_its_body() {
    let origin = Origin::start(|wire, _| web::serve(wire));
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    for chunked in [false, true] {
        let framing = if chunked { "Transfer-Encoding: chunked" } else { "Content-Length: 5000" };
        let head =
            format!("PUT /check/5000 HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\n{framing}\r\n\r\n");
        wire.send(head.as_bytes()).unwrap();
        // Nothing of the body was sent: only the upstream can have said this.
        assert_eq!(wire.head().unwrap().status(), 100);
        if chunked {
            web::send_chunks(&mut wire, 5000).unwrap();
        } else {
            wire.send(&pattern::bytes(5000)).unwrap();
        }
        assert_eq!(wire.response().unwrap().text(), "equal\n");
    }
}

#[test]
fn an_upstream_that_refuses_the_body_is_heard_before_it_is_sent() {
    let origin = Origin::start(|wire, _| {
        wire.head()?;
        reply(wire, 413, "too large")?;
        wire.rest().map(|_| ())
    });
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    wire.send(b"PUT / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 9000000\r\n\r\n")
        .unwrap();
    let answer = wire.response().unwrap();
    assert_eq!((answer.status(), answer.text().as_str()), (413, "too large"));
}

#[test]
fn interim_answers_pass_in_their_order() {
    let origin = Origin::start(|wire, _| {
        wire.head()?;
        wire.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")?;
        wire.send(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n")?;
        reply(wire, 200, "at last")
    });
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    wire.get("/").unwrap();
    let seen: Vec<_> = (0..3).map(|_| wire.head().unwrap()).collect();
    let told: Vec<_> = seen.iter().map(|head| (head.status(), head.value("link"))).collect();
    assert_eq!(told, [(103, Some("</a>")), (102, None), (103, Some("</b>"))]);
    assert_eq!(wire.message().unwrap().text(), "at last");
}

#[test]
fn trailers_pass_both_ways() {
    let origin = Origin::recording(|wire, _| {
        let head = wire.head()?;
        let trailers = wire.body(&head, |_| {})?;
        let text = trailers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<String>();
        let answer =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n2\r\nhi\r\n0\r\n";
        wire.send(format!("{answer}{text}x-more: 2\r\n\r\n").as_bytes())
    });
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    wire.send(
        b"POST / HTTP/1.1\r\nHost: test\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n\
          3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n",
    )
    .unwrap();
    let answer = wire.response().unwrap();
    assert_eq!(answer.text(), "hi");
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(answer.trailers, [pair("x-sum", "1"), pair("x-more", "2")]);
}

#[test]
fn a_client_of_http_1_0_gets_no_chunks_and_its_connection_ends() {
    let origin = Origin::start(|wire, _| web::serve(wire));
    let proxy = Proxy::start(&Config::http_to(&origin));
    for path in ["/sized/5000", "/chunked/5000", "/close/5000"] {
        let mut wire = proxy.connect("web");
        wire.send(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
        let head = wire.head().unwrap();
        assert_eq!(head.status(), 200, "{path}");
        assert_eq!(head.value("transfer-encoding"), None, "{path}");
        let (rest, end) = wire.rest().unwrap();
        assert_eq!(end, End::Closed, "{path}");
        assert_eq!(rest, pattern::bytes(5000), "{path}");
    }
}

#[test]
fn a_client_of_http_1_0_may_keep_its_connection() {
    let origin = Origin::start(|wire, _| web::serve(wire));
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    for _ in 0..3 {
        wire.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").unwrap();
        let answer = wire.response().unwrap();
        assert_eq!(answer.head.value("connection"), Some("keep-alive"));
        assert_eq!(answer.text(), "hello\n");
    }
}

#[test]
fn an_upstream_of_http_1_0_is_understood() {
    let origin = Origin::start(|wire, _| {
        wire.head()?;
        wire.send(b"HTTP/1.0 200 OK\r\nServer: old\r\n\r\nuntil I close")
    });
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    for _ in 0..3 {
        wire.get("/").unwrap();
        let answer = wire.response().unwrap();
        assert!(answer.head.start.starts_with("HTTP/1.1 200"), "{answer:?}");
        assert_eq!(answer.text(), "until I close");
    }
    assert_eq!(origin.accepted(), 3);
}

#[test]
fn a_client_that_says_close_is_closed_behind_its_answer() {
    let origin = Origin::start(|wire, _| web::serve(wire));
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    wire.send(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
    let answer = wire.response().unwrap();
    assert_eq!(answer.head.value("connection"), Some("close"));
    assert_eq!(wire.assert_ended(), End::Closed);
}

#[test]
fn requests_behind_large_bodies_are_answered_too() {
    let origin = Origin::start(|wire, _| web::serve(wire));
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    let length = 2_000_000;
    let mut requests = vec![];
    for _ in 0..3 {
        let head = format!("PUT /check/{length} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        requests.extend_from_slice(head.as_bytes());
        requests.extend_from_slice(&pattern::bytes(length));
        requests.extend_from_slice(format!("GET /sized/{length} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    }
    let mut out = wire.try_clone().unwrap();
    let sender = std::thread::spawn(move || out.send(&requests));
    for _ in 0..3 {
        assert_eq!(wire.response().unwrap().text(), "equal\n");
        let head = wire.head().unwrap();
        let mut checker = pattern::Checker::default();
        wire.body(&head, |bytes| checker.feed(bytes)).unwrap();
        assert_eq!(checker.verdict(length), Ok(()));
    }
    sender.join().unwrap().unwrap();
    drop((wire, origin));
    proxy.assert_home();
}
