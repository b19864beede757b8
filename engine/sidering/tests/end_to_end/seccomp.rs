//! Under seccomp: with the shipped profiles the proxy runs on the ring and does everything; under a runtime's default,
//! which forbids io_uring, it runs on epoll and says why.

use crate::support::pattern::{self, Checker};
use crate::support::process::Process;
use crate::support::profile::{IO_URING, Profile, become_the_program_if_asked};
use crate::support::proxy::binary;
use crate::support::{Config, Origin, Proxy, Wire, access_log, until, web};
use rustix::process::Signal;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;

const DEFAULT: &str = "runtime-default-io-uring.json";
const MINIMAL: &str = "minimal.json";
/// Enough for the kernel to relay it.
const LARGE: u64 = 8 * 1024 * 1024;
const END: Duration = Duration::from_secs(20);

/// What the runtimes apply where nobody says anything: the shipped one without its three calls.
fn runtime_default() -> Profile {
    Profile::shipped(DEFAULT).without(&IO_URING)
}

/// HTTP and TCP to the same upstream, which speaks HTTP on both.
fn both_to(origin: &Origin, engine: &str) -> Config {
    let config = Config::http_to(origin).tcp("raw", "").set(&format!("engine: {engine}"));
    config.set("drain_timeout: 15s")
}

fn start(config: &Config, profile: &Profile) -> Proxy {
    Proxy::start_with(config, |binary| profile.command(binary))
}

/// The engine in use, and why that one.
fn engine(proxy: &Proxy) -> (String, String) {
    let (_, text) = proxy.admin("/server_info");
    let info: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let told = |key: &str| info[key].as_str().unwrap_or_default().to_owned();
    (told("engine"), told("engine_reason"))
}

/// The line, the metric and the page agree on the engine.
#[track_caller]
fn assert_engine(proxy: &Proxy, expected: &str) {
    let said = proxy.said();
    assert!(said.contains(&format!("engine={expected} (")), "{said}");
    assert_eq!(engine(proxy).0, expected);
    let metric = proxy.metrics().sum_where("sidering_engine", &format!("\"{expected}\""));
    assert!((metric - 1.0).abs() < f64::EPSILON, "{metric}");
}

#[track_caller]
fn assert_download(wire: &mut Wire, path: &str, length: u64) {
    wire.get(path).unwrap();
    let head = wire.head().unwrap();
    let mut checker = Checker::default();
    wire.body(&head, |bytes| checker.feed(bytes)).unwrap();
    assert_eq!((head.status(), checker.verdict(length)), (200, Ok(())), "{path}");
}

#[track_caller]
fn assert_upload(wire: &mut Wire, length: u64) {
    let head = format!("PUT /check/{length} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n");
    wire.send(head.as_bytes()).unwrap();
    pattern::write(&mut wire.stream(), length).unwrap();
    let answer = wire.response().unwrap();
    assert_eq!((answer.status(), answer.text().as_str()), (200, "equal\n"));
}

/// Everything a proxy does in its life, once: whatever call the profile lacks is missed somewhere here.
fn live_a_whole_life(config: &Config, profile: &Profile, expected: &str) {
    let origin = Origin::start(|wire, _| web::serve(wire));
    let config = config.clone().cluster("api", &origin, "");
    let mut proxy = start(&config, profile);
    assert_engine(&proxy, expected);
    let mut wire = proxy.connect("web");
    for length in [0, 1, 2049, 16_385, 65_537, LARGE] {
        assert_download(&mut wire, &format!("/sized/{length}"), length);
        assert_download(&mut wire, &format!("/chunked/{length}"), length);
        assert_upload(&mut wire, length);
    }
    let mut closing = proxy.connect("web");
    assert_download(&mut closing, "/close/300000", 300_000);
    let mut raw = proxy.connect("raw");
    assert_download(&mut raw, &format!("/sized/{LARGE}"), LARGE);
    wire.send(b"nonsense\r\n\r\n").unwrap();
    assert_eq!(wire.response().unwrap().status(), 400);
    for page in ["/ready", "/stats", "/listeners", "/clusters", "/config_dump"] {
        assert_eq!(proxy.admin(page).0, 200, "{page}");
    }
    reload_and_reopen(&proxy, &config);
    proxy.signal(Signal::TERM);
    drop((raw, closing, wire));
    let status = proxy.end_within(END).expect("it drains and ends");
    assert_eq!(status.code(), Some(0), "{}", proxy.said());
}

/// Another route by SIGHUP, another file of the access log by SIGUSR1.
fn reload_and_reopen(proxy: &Proxy, config: &Config) {
    let moved = proxy.folder().join("moved.log");
    access_log::record_of(proxy, "/sized/2049");
    std::fs::rename(proxy.access_log_path(), &moved).unwrap();
    proxy.signal(Signal::USR1);
    let text = config.text(proxy.folder()).replace("match: {}", "match: { prefix: /sized }");
    proxy.write_config(&text);
    proxy.signal(Signal::HUP);
    until("the new routes to be in force", || {
        let mut wire = proxy.connect("web");
        wire.get("/elsewhere").unwrap();
        (wire.response().unwrap().status() == 404).then_some(())
    });
    let mut wire = proxy.connect("web");
    assert_download(&mut wire, "/sized/7", 7);
    access_log::record_of(proxy, "/sized/7");
}

/// A configuration with every kind of listener, but for the cluster.
fn whole(engine: &str) -> Config {
    let routes = "{ match: {}, cluster: api }";
    Config::new()
        .http("web", "", routes)
        .tcp("raw", "")
        .set(&format!("engine: {engine}"))
        .set("drain_timeout: 15s")
}

/// Also the way on which all others start the proxy, see `Profile::command`.
#[test]
fn a_profile_is_in_force_in_what_is_started_under_it() {
    become_the_program_if_asked();
    let mut command = runtime_default().command(Path::new("/bin/cat"));
    let output = command.arg("/proc/self/status").stdout(Stdio::piped()).output().unwrap();
    let status = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(status.contains("Seccomp:\t2\n") && status.contains("NoNewPrivs:\t1\n"), "{status}");
}

#[test]
fn under_the_shipped_profiles_the_proxy_runs_on_the_ring_and_does_everything() {
    for name in [DEFAULT, MINIMAL] {
        live_a_whole_life(&whole("auto"), &Profile::shipped(name), "uring");
    }
}

#[test]
fn under_the_shipped_profiles_epoll_does_everything_too() {
    for name in [DEFAULT, MINIMAL] {
        live_a_whole_life(&whole("epoll"), &Profile::shipped(name), "epoll");
    }
}

#[test]
fn where_a_filter_forbids_io_uring_the_proxy_runs_on_epoll_and_says_why() {
    let minimal = Profile::shipped(MINIMAL);
    for (profile, errno) in [
        (runtime_default(), "operation not permitted"),
        (minimal.clone().without(&IO_URING), "operation not permitted"),
        (minimal.with(&IO_URING, "SCMP_ACT_ERRNO", 38), "function not implemented"),
    ] {
        let origin = Origin::start(|wire, _| web::serve(wire));
        let proxy = start(&both_to(&origin, "auto"), &profile);
        assert_engine(&proxy, "epoll");
        let why = format!("io_uring_setup: {errno} (a seccomp filter is in force)");
        assert!(proxy.said().contains(&why), "{}", proxy.said());
        assert!(engine(&proxy).1.contains(&why), "{:?}", engine(&proxy));
        let metric = proxy.metrics().sum_where("sidering_engine_info", &why);
        assert!((metric - 1.0).abs() < f64::EPSILON, "{why}: {metric}");
        assert_download(&mut proxy.connect("web"), "/sized/300000", 300_000);
        assert_download(&mut proxy.connect("raw"), "/sized/300000", 300_000);
    }
}

#[test]
fn where_the_ring_is_asked_for_and_forbidden_it_ends_with_advice() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("sidering.yaml");
    std::fs::write(&file, Config::http_to("127.0.0.1:1").text(folder.path())).unwrap();
    let mut command = runtime_default().command(&binary());
    let mut process = Process::start(command.args(["run", "--engine", "uring", "-c"]).arg(&file));
    let status = process.end_within(END).expect("it does not run");
    assert_eq!(status.code(), Some(1), "{}", process.lines().join("\n"));
    for part in ["a seccomp filter is in force", "io_uring_register", "configs/seccomp", "sidering doctor"] {
        until(part, || process.lines().join("\n").contains(part).then_some(()));
    }
}

/// A filter that kills leaves no way to ask, so `auto` ends by SIGSYS; `epoll` must not ask.
#[test]
fn where_a_filter_kills_whoever_asks_epoll_does_not_ask() {
    let profile = Profile::shipped(MINIMAL).with(&IO_URING, "SCMP_ACT_KILL_PROCESS", 0);
    let origin = Origin::start(|wire, _| web::serve(wire));
    let proxy = start(&both_to(&origin, "epoll"), &profile);
    assert_engine(&proxy, "epoll");
    assert_download(&mut proxy.connect("web"), "/sized/300000", 300_000);

    let folder = TempDir::new().unwrap();
    let file = folder.path().join("sidering.yaml");
    std::fs::write(&file, both_to(&origin, "auto").text(folder.path())).unwrap();
    let mut process = Process::start(profile.command(&binary()).args(["run", "-c"]).arg(&file));
    let status = process.end_within(END).expect("the kernel ends it");
    assert_eq!(status.signal(), Some(Signal::SYS.as_raw()), "{}", process.lines().join("\n"));
}

#[test]
fn the_minimal_profile_allows_neither_processes_nor_what_a_proxy_has_no_use_for() {
    let (minimal, default) = (Profile::shipped(MINIMAL).allowed(), Profile::shipped(DEFAULT).allowed());
    assert!(minimal.is_subset(&default), "{:?}", minimal.difference(&default));
    assert!(minimal.len() * 2 < default.len(), "{} of {}", minimal.len(), default.len());
    for name in
        ["fork", "vfork", "ptrace", "process_vm_readv", "mount", "memfd_create", "chmod", "kill", "bpf"]
    {
        assert!(!minimal.contains(name), "{name}");
    }
    // A thread is allowed, a process is not: what executes another program first forks, or ends being the proxy.
    let mut command = Profile::shipped(MINIMAL).command(Path::new("/bin/sh"));
    let output = command.args(["-c", "/bin/true; echo alive"]).stdout(Stdio::piped()).output().unwrap();
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said += &String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("fork") && !said.contains("alive"), "{said}");
}
