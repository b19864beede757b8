//! `sidering doctor`: what it tells is what the proxy then meets.

use crate::support::profile::{IO_URING, Profile};
use crate::support::proxy::binary;
use crate::support::{Config, Origin, Proxy, web};
use serde_json::Value;
use std::process::{Command, Output, Stdio};

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// What it tells machines, run by `command`.
fn told(mut command: Command) -> Value {
    let output = command.args(["doctor", "--json"]).stdout(Stdio::piped()).output().expect("it starts");
    let said = text(&output);
    assert_eq!(output.status.code(), Some(0), "some engine can run: {said}");
    // A launcher may have said something before.
    let start = said.find('{').unwrap_or_else(|| panic!("no JSON: {said}"));
    serde_json::from_str(&said[start..]).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// The fact of a name, in whichever section it stands.
#[track_caller]
fn fact<'a>(report: &'a Value, name: &str) -> &'a Value {
    let sections = report["sections"].as_array().expect("a list");
    let mut facts = sections.iter().flat_map(|section| section["facts"].as_array().expect("a list"));
    facts.find(|fact| fact["name"] == name).unwrap_or_else(|| panic!("nothing about {name}: {report}"))
}

#[test]
fn people_and_machines_are_told_the_same() {
    let report = told(Command::new(binary()));
    let people = text(&Command::new(binary()).arg("doctor").output().expect("it starts"));
    assert!(
        people.contains(&format!("engine auto runs on {}", report["engine"].as_str().unwrap())),
        "{people}"
    );
    for section in report["sections"].as_array().expect("a list") {
        assert!(people.contains(section["title"].as_str().unwrap()), "{people}");
        for fact in section["facts"].as_array().expect("a list") {
            let (name, meaning) = (fact["name"].as_str().unwrap(), fact["meaning"].as_str().unwrap());
            assert!(people.contains(name) && !meaning.is_empty(), "{name} in {people}");
        }
    }
}

#[test]
fn it_tells_everything_that_decides_how_the_proxy_runs() {
    let report = told(Command::new(binary()));
    for name in [
        "uring",
        "epoll",
        "kernel",
        "CPUs",
        "clock source",
        "seccomp",
        "kernel.io_uring_disabled",
        "TPROXY",
        "nofile",
        "memlock",
        "nproc",
        "cgroup memory.max",
        "net.core.somaxconn",
        "net.ipv4.ip_local_port_range",
        "fs.pipe-user-pages",
        "RESTRICTIONS",
        "multishot RECV",
        "RECV",
        "TIMEOUT_REMOVE",
    ] {
        assert_ne!(fact(&report, name)["value"], "", "{name}");
    }
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(fact(&report, "kernel")["value"], kernel.trim());
}

#[test]
fn under_a_filter_it_tells_that_auto_runs_on_epoll_why_and_what_to_do() {
    let profile = Profile::shipped("minimal.json");
    let report = told(profile.clone().without(&IO_URING).command(&binary()));
    assert_eq!(report["engine"], "epoll");
    let ring = fact(&report, "uring");
    assert_eq!(ring["grade"], "costs");
    let meaning = ring["meaning"].as_str().unwrap();
    assert!(
        meaning.contains("a seccomp filter is in force") && meaning.contains("configs/seccomp"),
        "{meaning}"
    );
    assert!(fact(&report, "seccomp")["value"].as_str().unwrap().starts_with("a filter"), "{report}");
    assert_eq!(fact(&report, "no new privileges")["value"], "yes");

    assert_eq!(told(profile.command(&binary()))["engine"], "uring", "the shipped profile allows the ring");
}

#[test]
fn a_low_limit_of_descriptors_is_told_in_connections() {
    let mut command = Command::new("prlimit");
    command.args(["--nofile=1064:1064"]).arg(binary());
    let report = told(command);
    let nofile = fact(&report, "nofile");
    assert_eq!((&nofile["value"], &nofile["grade"]), (&"1064, hard 1064".into(), &"costs".into()));
    assert!(nofile["meaning"].as_str().unwrap().contains(": 500 clients"), "{nofile}");
}

/// Runs a program with this many KiB of locked memory and without the capability that makes the limit void.
fn locking(kibibytes: u64) -> Command {
    let limit = format!("--memlock={0}:{0}", kibibytes * 1024);
    let mut command = Command::new("prlimit");
    command.arg(limit);
    if rustix::process::geteuid().is_root() {
        command.args(["setpriv", "--bounding-set=-ipc_lock"]);
    }
    command.arg(binary());
    command
}

/// Whether rings count as locked memory is up to the kernel. What the doctor says of it must be what then happens, also
/// just below the 220 KiB that a worker needs. (Just at it, rings of the process before may still count.)
#[test]
fn the_engine_it_names_is_the_one_that_then_runs() {
    let origin = Origin::start(|wire, _| web::serve(wire));
    let config = Config::http_to(&origin).set("engine: auto");
    for kibibytes in [0, 64, 216, 8192] {
        let told = told(locking(kibibytes));
        let proxy = Proxy::start_with(&config, |_| locking(kibibytes));
        let (_, info) = proxy.admin("/server_info");
        let info: Value = serde_json::from_str(&info).expect("it is JSON");
        assert_eq!(info["engine"], told["engine"], "{kibibytes} KiB: {}", proxy.said());
        let mut wire = proxy.connect("web");
        wire.get("/").unwrap();
        assert_eq!(wire.response().unwrap().status(), 200);
    }
}
