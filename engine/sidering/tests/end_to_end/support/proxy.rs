//! The proxy as a process: started with a configuration on free ports, ready when it says where it listens.

use super::admin::{Metrics, get_admin};
use super::config::Config;
use super::process::Process;
use super::wait::{PATIENCE, until, within};
use super::wire::Wire;
use rustix::process::Signal;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;
use tempfile::TempDir;

/// What must be zero once no peer is there any more.
const HOME: [&str; 5] = [
    "sidering_slots_in_use",
    "sidering_receives_parked",
    "sidering_streams_active",
    "sidering_connections_active",
    "sidering_engine_connections",
];

pub(crate) struct Proxy {
    process: Process,
    folder: TempDir,
    listeners: Vec<String>,
}

impl Proxy {
    /// Starts the proxy and waits until it listens everywhere.
    pub(crate) fn start(config: &Config) -> Proxy {
        Proxy::start_with(config, |binary| Command::new(binary))
    }

    /// Starts the proxy and waits for its admin address only: the listeners open when it is warm.
    pub(crate) fn start_cold(config: &Config) -> Proxy {
        let mut proxy = Proxy::spawn(config, |binary| Command::new(binary));
        proxy.wait_for(&["admin"]);
        proxy
    }

    /// As `start`, with `command` making the command that runs the binary, for limits on it.
    pub(crate) fn start_with(config: &Config, command: impl FnOnce(&Path) -> Command) -> Proxy {
        let mut proxy = Proxy::spawn(config, command);
        proxy.wait_until_ready();
        proxy
    }

    fn spawn(config: &Config, command: impl FnOnce(&Path) -> Command) -> Proxy {
        let folder = TempDir::new().expect("a temporary folder");
        let file = folder.path().join("sidering.yaml");
        std::fs::write(&file, config.text(folder.path())).expect("the folder takes files");
        let mut command = command(&binary());
        command.arg("run").arg("-c").arg(&file);
        let process = Process::start(&mut command);
        let listeners = config.listeners().map(str::to_owned).collect();
        Proxy { process, folder, listeners }
    }

    /// Waits until it listens everywhere.
    #[track_caller]
    pub(crate) fn wait_until_ready(&mut self) {
        let names = self.listeners.clone();
        self.wait_for(&names.iter().map(String::as_str).chain(["admin"]).collect::<Vec<_>>());
    }

    #[track_caller]
    fn wait_for(&mut self, names: &[&str]) {
        for name in names {
            let ready = within(PATIENCE, || match self.process.ended() {
                Some(status) => Some(Err(status)),
                None => said(&self.process.lines(), name).map(Ok),
            });
            if !matches!(ready, Some(Ok(_))) {
                let text = self.process.lines().join("\n");
                panic!("the proxy does not listen on {name} ({ready:?}); it says:\n{text}");
            }
        }
    }

    /// The last address that the listener, or `admin`, was said to be on.
    fn find_address(&self, name: &str) -> Option<SocketAddr> {
        address_said(&self.process.lines(), name)
    }

    /// Where a listener is.
    #[track_caller]
    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        until(&format!("the address of {name}"), || self.find_address(name))
    }

    /// A new connection to a listener.
    #[track_caller]
    pub(crate) fn connect(&self, name: &str) -> Wire {
        Wire::connect(self.address(name)).expect("the proxy accepts")
    }

    /// The URL of a path on the listener `web`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address("web"))
    }

    /// The answer of the admin interface: status and body.
    pub(crate) fn admin(&self, path: &str) -> (u16, String) {
        get_admin(self.address("admin"), path)
    }

    pub(crate) fn metrics(&self) -> Metrics {
        let (status, text) = self.admin("/stats/prometheus");
        assert_eq!(status, 200, "{text}");
        Metrics::parse(&text)
    }

    /// Waits until everything is home: no slot lent, no connection, no stream.
    #[track_caller]
    pub(crate) fn assert_home(&self) {
        let mut last = String::new();
        let home = within(PATIENCE, || {
            let metrics = self.metrics();
            let away: Vec<_> = HOME.iter().map(|name| (*name, metrics.sum(name))).collect();
            last = format!("{away:?}");
            away.iter().all(|(_, value)| *value == 0.0).then_some(())
        });
        assert!(home.is_some(), "not everything came home: {last}");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    #[track_caller]
    pub(crate) fn assert_alive(&mut self) {
        let ended = self.process.ended();
        assert!(ended.is_none(), "the proxy ended: {ended:?}");
    }

    /// Waits for the proxy's end; `None` if it still runs after `patience`.
    pub(crate) fn end_within(&mut self, patience: Duration) -> Option<ExitStatus> {
        self.process.end_within(patience)
    }

    /// What the proxy said on standard error.
    pub(crate) fn said(&self) -> String {
        self.process.lines().join("\n")
    }

    /// Replaces the configuration file; whoever wants it read sends a signal.
    pub(crate) fn write_config(&self, text: &str) {
        let file = self.folder.path().join("sidering.yaml");
        let mut out = std::fs::File::create(file).expect("the folder takes files");
        out.write_all(text.as_bytes()).expect("the disk has room");
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn access_log_path(&self) -> PathBuf {
        self.folder.path().join("access.log")
    }

    /// Memory of its own, in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it runs");
        let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line for RssAnon");
        let kilobytes = line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kB");
        kilobytes * 1024
    }
}

/// The binary under test: the one that cargo has just built, or another one that the environment names.
pub(crate) fn binary() -> PathBuf {
    let built = || PathBuf::from(env!("CARGO_BIN_EXE_sidering"));
    std::env::var_os("SIDERING_BINARY").map_or_else(built, PathBuf::from)
}

/// The last address that a listener, or `admin`, was said to be on.
pub(crate) fn address_said(lines: &[String], name: &str) -> Option<SocketAddr> {
    said(lines, name)?.parse().ok()
}

/// The same as text: it may be a unix socket.
fn said(lines: &[String], name: &str) -> Option<String> {
    let of_listener = format!("listening name={name} address=");
    let wanted = if name == "admin" { "admin address=" } else { &of_listener };
    let behind = lines.iter().rev().find_map(|line| line.split_once(wanted))?.1;
    behind.split_whitespace().next().map(str::to_owned)
}
