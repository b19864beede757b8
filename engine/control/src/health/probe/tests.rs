//! Checks of real sockets.

use super::super::active::CheckResult;
use super::super::checks::{Checks, Due, Next};
use super::{Outcome, probe};
use sidering_dataplane::config::{CheckPace, Endpoint, HealthCheck, HttpProbe, Probe, TcpProbe};
use sidering_dataplane::io::Address;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use tokio::runtime::Builder;

/// One check of an endpoint that answers its first connection so.
fn check(
    kind: Probe,
    timeout_ms: u64,
    answer: impl FnOnce(TcpStream) -> Vec<u8> + Send + 'static,
) -> (Outcome, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let endpoint = thread::spawn(move || answer(listener.accept().unwrap().0));
    let outcome = outcome(kind, timeout_ms, address);
    (outcome, String::from_utf8(endpoint.join().unwrap()).unwrap())
}

fn outcome(kind: Probe, timeout_ms: u64, address: SocketAddr) -> Outcome {
    let pace = CheckPace::every(1000, 1, 1);
    let check = Arc::new(HealthCheck { probe: kind, timeout_ms, initial_jitter_ms: 0, pace });
    let mut checks = Checks::default();
    let endpoints = [Endpoint::new(Address::Ip(address))];
    checks.set_cluster("shop", Some(&check), &endpoints, &[], 0, &mut || 0);
    let Next::Check(due) = checks.next(0) else { panic!("a check is due") };
    run(&due)
}

fn run(due: &Due) -> Outcome {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(probe(due))
}

fn http() -> HttpProbe {
    HttpProbe {
        method: "GET".to_owned(),
        path: "/healthz?deep".to_owned(),
        host: None,
        expected: vec![(200, 200), (204, 206)],
        retriable: vec![(503, 503)],
    }
}

/// Reads a request's head and answers with these bytes; what was read.
fn answering(bytes: &'static str) -> impl FnOnce(TcpStream) -> Vec<u8> + Send + 'static {
    move |mut stream| {
        let mut head = vec![];
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        stream.write_all(bytes.as_bytes()).unwrap();
        head
    }
}

/// Waits until the other side has had enough.
fn silent(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = vec![];
    let _ = stream.read_to_end(&mut bytes);
    bytes
}

#[test]
fn what_is_asked_by_http() {
    let whole = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let (outcome, head) = check(Probe::Http(http()), 10_000, answering(whole));
    assert_eq!(outcome.result, CheckResult::Success);
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("get /healthz?deep http/1.1\r\n"), "{head}");
    for line in ["host: shop\r\n", "user-agent: sidering/hc\r\n", "connection: close\r\n"] {
        assert!(head.contains(line), "{head}");
    }
    let named = HttpProbe { host: Some("a.test:80".to_owned()), method: "HEAD".to_owned(), ..http() };
    let (outcome, head) = check(Probe::Http(named), 10_000, answering("HTTP/1.1 204 No\r\n\r\n"));
    assert_eq!(outcome.result, CheckResult::Success);
    assert!(head.to_ascii_lowercase().contains("host: a.test:80\r\n") && head.starts_with("HEAD "), "{head}");
}

#[test]
fn what_statuses_mean() {
    use CheckResult::{Network, Retriable, Success, Unexpected};
    for (answer, expected) in [
        ("HTTP/1.1 206 P\r\ncontent-length: 0\r\n\r\n", Success),
        ("HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Success),
        ("HTTP/1.0 200 OK\r\n\r\nuntil the end", Success),
        ("HTTP/1.1 203 N\r\ncontent-length: 0\r\n\r\n", Unexpected),
        ("HTTP/1.1 207 M\r\ncontent-length: 0\r\n\r\n", Unexpected),
        ("HTTP/1.1 500 E\r\ncontent-length: 0\r\n\r\n", Unexpected),
        ("HTTP/1.1 503 S\r\ncontent-length: 0\r\n\r\n", Retriable),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort", Network),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n", Network),
        ("SSH-2.0-OpenSSH\r\n", Network),
        ("", Network),
    ] {
        let (outcome, _) = check(Probe::Http(http()), 10_000, answering(answer));
        assert_eq!(outcome.result, expected, "{answer}: {}", outcome.reason);
    }
}

#[test]
fn no_answer_in_time() {
    for kind in [
        Probe::Http(http()),
        Probe::Tcp(TcpProbe { send: b"PING".to_vec(), receive: vec![b"PONG".to_vec()] }),
    ] {
        let (outcome, _) = check(kind, 50, silent);
        assert_eq!(outcome, Outcome { result: CheckResult::Network, reason: "timeout".into() });
    }
}

#[test]
fn nobody_listens() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for kind in [Probe::Http(http()), Probe::Tcp(TcpProbe::default())] {
        let outcome = outcome(kind, 10_000, address);
        assert_eq!(outcome.result, CheckResult::Network);
        assert!(outcome.reason.contains("refused"), "{}", outcome.reason);
    }
}

#[test]
fn connecting_is_enough_by_tcp() {
    let (outcome, said) = check(Probe::Tcp(TcpProbe::default()), 10_000, silent);
    assert_eq!((outcome.result, said.as_str()), (CheckResult::Success, ""));
}

#[test]
fn an_expected_answer_by_tcp() {
    let redis =
        || TcpProbe { send: b"PING\r\n\r\n".to_vec(), receive: vec![b"+PO".to_vec(), b"G\r\n".to_vec()] };
    for (answer, expected) in
        [("+PONG\r\n", CheckResult::Success), ("-ERR\r\n", CheckResult::Network), ("", CheckResult::Network)]
    {
        let (outcome, said) = check(Probe::Tcp(redis()), 10_000, answering(answer));
        assert_eq!((outcome.result, said.as_str()), (expected, "PING\r\n\r\n"), "{answer}");
    }
}

#[test]
fn a_heartbeat_must_be_answered_by_its_protocol() {
    // As wire-formats.md has them: an answer with the id that was asked for, one with another, a heartbeat of the endpoint's own in
    // front of the answer, and what is no frame.
    let answer = |id: [u8; 4]| [&[1, 0, 0, 0, 1], &id[..], &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
    let ask = |id: [u8; 4]| [&[1, 1, 0, 0, 1], &id[..], &[1, 255, 255, 255, 255], &[0; 8]].concat();
    type Speak = Box<dyn Fn([u8; 4]) -> Vec<u8> + Send>;
    let table: Vec<(Speak, CheckResult)> = vec![
        (Box::new(answer), CheckResult::Success),
        (Box::new(move |id| answer([id[0], id[1], id[2], id[3] ^ 1])), CheckResult::Network),
        (Box::new(move |id| [ask([0, 0, 0, 9]), answer(id)].concat()), CheckResult::Success),
        (Box::new(|_| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), CheckResult::Network),
        (Box::new(|_| vec![]), CheckResult::Network),
    ];
    for (at, (speak, expected)) in table.into_iter().enumerate() {
        let (outcome, _) = check(Probe::Heartbeat("bolt"), 10_000, move |mut stream| {
            let mut ping = [0; 22];
            stream.read_exact(&mut ping).unwrap();
            assert_eq!(ping[..4], [1, 1, 0, 0], "a heartbeat");
            stream.write_all(&speak(ping[5..9].try_into().unwrap())).unwrap();
            vec![]
        });
        assert_eq!(outcome.result, expected, "{at}: {}", outcome.reason);
    }
    let (outcome, _) = check(Probe::Heartbeat("dubbo"), 50, |stream| {
        silent(stream);
        vec![]
    });
    assert_eq!(outcome, Outcome { result: CheckResult::Network, reason: "timeout".into() });
}
