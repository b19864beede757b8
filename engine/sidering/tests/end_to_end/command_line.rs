//! The command line: what each command prints, and how it exits.

use crate::support::process::Process;
use crate::support::proxy::{address_said, binary};
use crate::support::{Config, Wire, until};
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

/// Ten mistakes, each on a line of its own; the comment tells the column of each.
const MISTAKES: &str = "\
wrokers: 1                                                # 1: unknown key
drain_timeout: 10 parsecs                                 # 16: no duration
listeners:
- name: web
  address: 127.0.0.1:99999                                # 12: no port
  protocol: htpt                                          # 13: no protocol
  limits: { max_connections: -1 }                         # 30: not a count
  virtual_hosts:
  - domains: [\"a b\"]                                      # 15: no domain
    routes:
    - match: { prefix: v1 }                               # 24: no path
      cluster: ap                                         # 16: no such cluster
- name: raw
  address: 127.0.0.1:0
  protocol: tcp
  cluster: api
  virtual_hosts: []                                       # 3: not of a tcp listener
clusters:
- name: api
  endpoints: [localhost:80]                               # 15: no address
";
const PLACES: [&str; 10] = ["1:1", "2:16", "5:12", "6:13", "7:30", "9:15", "11:24", "12:16", "17:3", "20:15"];

fn sidering(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).output().expect("it starts")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn file(folder: &TempDir, text: &str) -> PathBuf {
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn ten_mistakes_are_ten_errors_with_their_places() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, MISTAKES);
    for command in ["check", "run"] {
        let output = sidering(&[command, "-c", path.to_str().unwrap()]);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(2), "{command}: {said}");
        let errors: Vec<_> = said.lines().filter(|line| line.contains(": error:")).collect();
        assert_eq!(errors.len(), 10, "{command}: {said}");
        for (error, place) in errors.iter().zip(PLACES) {
            assert!(error.starts_with(&format!("{}:{place}: ", path.display())), "{place}: {error}\n{said}");
        }
        assert!(said.contains("did you mean `workers`") && said.contains("did you mean `api`"), "{said}");
    }
}

#[test]
fn check_tells_by_its_exit_code() {
    let folder = TempDir::new().unwrap();
    let good = Config::http_to("127.0.0.1:1").text(folder.path());
    let path = file(&folder, &good);
    let name = path.to_str().unwrap();
    assert_eq!(sidering(&["check", "-c", name]).status.code(), Some(0));
    std::fs::write(&path, good.replace("cluster: api", "cluster: apo")).unwrap();
    assert_eq!(sidering(&["check", "-c", name]).status.code(), Some(2));
    std::fs::write(&path, "listeners: [").unwrap();
    let output = sidering(&["check", "-c", name]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains(":1:"), "a place even for what is no YAML: {}", text(&output));
    for missing in ["check", "run"] {
        let output = sidering(&[missing, "-c", "/nonexistent/file.yaml"]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(text(&output).contains("/nonexistent/file.yaml"), "{}", text(&output));
    }
    for usage in [
        &["chekc"][..],
        &["check", "--nonsense"],
        &["run", "--workers", "many"],
        &["run", "--engine", "steam"],
    ] {
        assert_eq!(sidering(usage).status.code(), Some(2), "{usage:?}");
    }
}

#[test]
fn version_and_doctor_print() {
    let version = sidering(&["version"]);
    assert_eq!(version.status.code(), Some(0));
    assert!(text(&version).contains(env!("CARGO_PKG_VERSION")), "{}", text(&version));
    let doctor = sidering(&["doctor"]);
    assert_eq!(doctor.status.code(), Some(0), "{}", text(&doctor));
    assert!(text(&doctor).to_lowercase().contains("io_uring"), "{}", text(&doctor));
}

#[test]
fn a_port_that_is_taken_is_told_and_ends_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = TempDir::new().unwrap();
    let config = Config::http_to("127.0.0.1:1").text(folder.path());
    let web = "name: web, address: \"127.0.0.1:0\"";
    let config = config.replace(web, &format!("name: web, address: \"{address}\""));
    let path = file(&folder, &config);
    let mut process = Process::start(Command::new(binary()).args(["run", "-c", path.to_str().unwrap()]));
    let status = process.end_within(std::time::Duration::from_secs(10)).expect("it cannot listen");
    assert_eq!(status.code(), Some(1), "{}", process.lines().join("\n"));
    // Its end may be known before its last line has been read.
    until("the error", || process.lines().join("\n").contains(&address).then_some(()));
}

/// The default's ports are fixed. A network namespace of its own makes them free for certain.
#[test]
fn without_a_file_it_answers_on_port_10000() {
    let script = "ip link set lo up; \"$0\" run & id=$!; trap 'kill $id' EXIT; \
                  curl --retry 50 --retry-delay 0 --retry-connrefused --retry-max-time 15 -sSi \
                  http://127.0.0.1:10000/; curl -sS http://127.0.0.1:15000/ready";
    let mut command = Command::new("unshare");
    command.args(["--net", "--map-root-user", "/bin/sh", "-c", script]).arg(binary());
    let output = command.output().expect("unshare is there");
    let said = text(&output);
    assert!(said.contains("HTTP/1.1 200") && said.contains("LIVE"), "{said}");
}

#[test]
fn workers_can_be_told_on_the_command_line() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, &Config::http_to("127.0.0.1:1").text(folder.path()));
    let mut command = Command::new(binary());
    let process = Process::start(command.args(["run", "--workers", "2", "-c", path.to_str().unwrap()]));
    let address = crate::support::until("the admin address", || address_said(&process.lines(), "admin"));
    assert!(Wire::connect(address).is_ok());
    let tasks = std::fs::read_dir(format!("/proc/{}/task", process.id())).unwrap();
    let names = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap());
    let workers = names.filter(|name| name.starts_with("core-")).count();
    assert_eq!(workers, 2, "two threads that serve");
}
