//! The load generator against the origin, both as a user runs them, for a bounded number of requests.

use std::io::{BufRead, BufReader};
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
