//! The load generator against the origin, both as a user runs them, for a bounded number of requests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sidering-perf");

struct Origin {
    process: Child,
    address: String,
}

impl Origin {
    fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(PROGRAM)
            .arg("origin")
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program that was just built starts");
        let output = process.stdout.take().expect("its output is piped");
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("it says where it listens");
        let address = line.trim().strip_prefix("listening on ").expect("an address follows").to_owned();
        Self { process, address }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn load(arguments: &[&str]) -> Value {
    let output = Command::new(PROGRAM)
        .args(["load", "--json"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program that was just built starts");
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

fn error_count(report: &Value, kind: &str) -> u64 {
    report["errors"][kind].as_u64().expect("errors are counted by kind")
}

#[test]
fn every_request_is_answered_rightly() {
    let origin = Origin::start(&[]);
    let url = format!("http://{}/bytes/70000", origin.address);
    let report = load(&[&url, "--requests", "300", "--connections", "4", "--expect-bytes", "70000"]);
    assert_eq!(
        (report["requests"].as_u64(), report["bytes"].as_u64()),
        (Some(300), Some(21_000_000)),
        "{report}"
    );
    let new = load(&[&url, "--requests", "50", "--new-connection-per-request", "--source-addresses", "3"]);
    assert_eq!(new["requests"], 50, "{new}");
    let posted = load(&[
        &format!("http://{}/echo", origin.address),
        "--requests",
        "20",
        "--method",
        "POST",
        "--body-bytes",
        "100000",
        "--expect-bytes",
        "7",
    ]);
    assert_eq!(posted["requests"], 20, "{posted}");
}

#[test]
fn every_call_is_answered_rightly_whatever_is_in_flight() {
    let origin = Origin::start(&["--calls"]);
    for protocol in ["bolt", "dubbo"] {
        let url = format!("{protocol}://{}", origin.address);
        for (body_bytes, calls) in [("0", "5"), ("100", "20000"), ("300000", "300")] {
            let report = load(&[
                &url,
                "--requests",
                calls,
                "--connections",
                "3",
                "--depth",
                "8",
                "--body-bytes",
                body_bytes,
            ]);
            assert_eq!(report["requests"].to_string(), calls, "{report}");
            let kinds = ["connect", "read", "status", "short", "wrong", "stray", "lost"];
            assert!(kinds.iter().all(|kind| error_count(&report, kind) == 0), "{report}");
        }
    }
}

/// Answers the first two calls of a connection as it is told to, and ends it; `answers` are numbers of calls.
fn answer_calls_with(answers: &'static [usize]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    std::thread::spawn(move || {
        let (mut conn, _) = listener.accept().expect("the load generator connects");
        let mut head = [0; 22];
        let mut ids = Vec::new();
        for _ in 0..2 {
            conn.read_exact(&mut head).expect("a call comes");
            ids.push([head[5], head[6], head[7], head[8]]);
            let length = |at| usize::from(head[at]) << 8 | usize::from(head[at + 1]);
            let mut rest = vec![0; length(14) + length(16)];
            conn.read_exact(&mut rest).expect("the call goes on");
        }
        for &answer in answers {
            let mut frame =
                b"\x01\x00\x00\x02\x01\x00\x00\x00\x00\x01\x00\x00\x00\x2e\x00\x00\x00\x00\x00\x00".to_vec();
            frame[5..9].copy_from_slice(&ids[answer]);
            frame.extend_from_slice(b"com.alipay.sofa.rpc.core.response.SofaResponse");
            conn.write_all(&frame).expect("it takes answers");
        }
        // So that nothing is thrown away because something was not read.
        conn.shutdown(std::net::Shutdown::Write).expect("it is connected");
        let _ = conn.read_to_end(&mut Vec::new());
    });
    address
}

#[test]
fn calls_that_are_lost_or_answered_twice_are_counted() {
    let counts = |answers: &'static [usize]| {
        let url = format!("bolt://{}", answer_calls_with(answers));
        let report = load(&[&url, "--requests", "2", "--connections", "1", "--depth", "2"]);
        ["lost", "stray"].map(|kind| error_count(&report, kind))
    };
    assert_eq!(counts(&[1, 0]), [0, 0]);
    assert_eq!(counts(&[1]), [1, 0]);
    assert_eq!(counts(&[1, 1]), [1, 1]);
    assert_eq!(counts(&[]), [2, 0]);
}

#[test]
fn wrong_answers_are_counted_as_what_they_are() {
    let origin = Origin::start(&[]);
    let url = format!("http://{}/bytes/10", origin.address);
    let short = load(&[&url, "--requests", "10", "--expect-bytes", "11"]);
    assert_eq!((short["requests"].as_u64(), error_count(&short, "short")), (Some(0), 10), "{short}");
    let missing = load(&[&format!("http://{}/nothing", origin.address), "--requests", "10"]);
    assert_eq!((missing["requests"].as_u64(), error_count(&missing, "status")), (Some(0), 10), "{missing}");
    // Not the origin's own port: it stays in LISTEN for a while after a process with a ring has ended.
    let unused = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = unused.local_addr().expect("it is bound");
    drop(unused);
    let refused = load(&[&format!("http://{address}/"), "--requests", "10"]);
    assert_eq!(error_count(&refused, "connect"), 10, "{refused}");
}

#[test]
fn an_open_loop_keeps_its_rate_and_a_slow_answer_its_latency() {
    let origin = Origin::start(&["--delay-ms", "5"]);
    let url = format!("http://{}/", origin.address);
    let report = load(&[&url, "--rate", "200", "--duration", "1", "--warmup", "0.1", "--connections", "8"]);
    let requests = report["requests"].as_u64().expect("a number");
    // Those of the warm-up may be answered late, in the window. Without a rate there would be over a thousand.
    assert!((100..=221).contains(&requests), "{report}");
    assert!(report["p50_us"].as_f64().expect("a number") >= 5000.0, "{report}");
}

#[test]
fn a_plain_stream_flows_both_ways() {
    for (mode, flow) in [("source", "receive"), ("sink", "send")] {
        let origin = Origin::start(&["--tcp", mode]);
        let url = format!("tcp://{}", origin.address);
        let report =
            load(&[&url, "--flow", flow, "--duration", "0.2", "--warmup", "0.1", "--connections", "2"]);
        assert!(report["bytes"].as_u64() > Some(1_000_000), "{report}");
        assert_eq!(error_count(&report, "read"), 0, "{report}");
    }
}

#[test]
fn idle_connections_are_held_and_counted() {
    let origin = Origin::start(&[]);
    let report = load(&[&format!("http://{}/", origin.address), "--hold", "200"]);
    assert_eq!(report["requests"], 200, "{report}");
}
