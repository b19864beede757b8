//! The bench of a comparison: origins and load on one core, the proxies on the other.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::configs::{Setup, Task};
use super::peer::{Binaries, Peer};
use super::probe;
use crate::process::child::{self, Folder, Group, Start};
use crate::process::free_address;
use crate::process::tree::process_tree;

/// Load and origins run here.
const LOAD_CORE: usize = 0;
/// The proxy that is measured runs here, alone: the others idle meanwhile.
const PROXY_CORE: usize = 1;
/// A proxy that has not answered by then is reported as failed.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait between two tries to reach a proxy that is starting.
const TRY_EVERY: Duration = Duration::from_micros(100);

/// Everything that runs for the whole comparison.
pub(crate) struct Lab {
    // Dropped in this order: the origins before the folder with their logs.
    http_origin: Group,
    second_origin: Group,
    stream_origin: Group,
    call_origin: Group,
    http_address: SocketAddr,
    second_address: SocketAddr,
    stream_address: SocketAddr,
    call_address: SocketAddr,
    this_program: PathBuf,
    binaries: Binaries,
    folder: Folder,
}

/// A proxy that has answered.
pub(crate) struct Proxy {
    group: Group,
    pub(crate) address: SocketAddr,
    /// Ours, where counters are asked for.
    pub(crate) admin: Option<SocketAddr>,
    /// From the start of the process to its first proxied answer.
    pub(crate) started_in: Duration,
}

impl Lab {
    pub(crate) fn open(binaries: Binaries) -> anyhow::Result<Self> {
        child::stay_on(LOAD_CORE)?;
        child::adopt_orphans()?;
        let folder = Folder::create()?;
        let this_program = std::env::current_exe()?;
        let origin =
            |arguments: &[&str], log: &str| start_origin(&this_program, arguments, folder.path().join(log));
        let (http_origin, http_address) = origin(&["origin"], "http-origin.log")?;
        let (second_origin, second_address) = origin(&["origin"], "second-origin.log")?;
        let (stream_origin, stream_address) = origin(&["origin", "--tcp", "source"], "stream-origin.log")?;
        let (call_origin, call_address) = origin(&["origin", "--calls"], "call-origin.log")?;
        Ok(Self {
            http_origin,
            second_origin,
            stream_origin,
            call_origin,
            http_address,
            second_address,
            stream_address,
            call_address,
            this_program,
            binaries,
            folder,
        })
    }

    /// Starts a proxy and waits for its first right answer. What it wrote is in the error if it gives none.
    pub(crate) fn start_proxy(&self, peer: Peer, setup: Setup, connections: u32) -> anyhow::Result<Proxy> {
        self.start(peer, setup, connections, true)
    }

    /// The same without the guard against this process being killed, whose exec would be measured too.
    pub(crate) fn start_proxy_for_timing(&self, peer: Peer, setup: Setup) -> anyhow::Result<Proxy> {
        self.start(peer, setup, 1, false)
    }

    fn start(&self, peer: Peer, setup: Setup, connections: u32, guarded: bool) -> anyhow::Result<Proxy> {
        let address = free_address()?;
        let origin = match setup {
            Setup::Stream => self.stream_address,
            Setup::Calls(_) => self.call_address,
            Setup::Plain | Setup::Brain | Setup::Many { .. } => self.http_address,
        };
        let second_origin = self.second_address;
        let admin = matches!(setup, Setup::Calls(_)).then(free_address).transpose()?;
        let task = Task { listen: address, origin, second_origin, setup, admin, connections };
        let invocation = peer.invocation(&self.binaries, &task, self.folder.path());
        if !invocation.program.exists() {
            bail!("{} is not there", invocation.program.display());
        }
        if let Some((path, text)) = &invocation.config {
            fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let log = self.folder.path().join(format!("{}.log", peer.name()));
        let began = Instant::now();
        let group = Group::start(Start {
            program: &invocation.program,
            arguments: invocation.arguments,
            core: Some(PROXY_CORE),
            log: &log,
            pipe_output: false,
            pipe_input: false,
            guarded,
        })?;
        let mut proxy = Proxy { group, address, admin, started_in: Duration::ZERO };
        proxy.wait_until_ready(setup, began)?;
        Ok(proxy)
    }

    /// Starts our load generator with `arguments`.
    pub(crate) fn start_load(&self, arguments: &[String], pipe_input: bool) -> anyhow::Result<Group> {
        let log = self.folder.path().join("load.log");
        Group::start(Start {
            program: &self.this_program,
            arguments: ["load".to_owned()].iter().chain(arguments).map(Into::into).collect(),
            core: Some(LOAD_CORE),
            log: &log,
            pipe_output: true,
            pipe_input,
            guarded: true,
        })
    }

    /// Starts a tool that watches a proxy, beside the load.
    pub(crate) fn start_tool(&self, program: &Path, arguments: Vec<OsString>) -> anyhow::Result<Group> {
        let log = self.folder.path().join("tool.log");
        Group::start(Start {
            program,
            arguments,
            core: Some(LOAD_CORE),
            log: &log,
            pipe_output: false,
            pipe_input: false,
            guarded: true,
        })
    }

    /// The folder for files of this comparison, which goes away with it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Fails if an origin has ended: nothing measured after that means anything.
    pub(crate) fn check_origins(&mut self) -> anyhow::Result<()> {
        for origin in
            [&mut self.http_origin, &mut self.second_origin, &mut self.stream_origin, &mut self.call_origin]
        {
            if let Some(status) = origin.has_ended() {
                bail!("the origin ended with {status}; its log: {}", origin.log_end());
            }
        }
        Ok(())
    }
}

impl Proxy {
    /// The proxy's processes as they are now.
    pub(crate) fn processes(&self) -> Vec<u32> {
        process_tree(self.group.id())
    }

    /// What to tell about a proxy that went wrong.
    pub(crate) fn complaint(&mut self, what: &str) -> anyhow::Error {
        let state = match self.group.has_ended() {
            Some(status) => format!("it ended with {status}"),
            None => "it is still running".to_owned(),
        };
        let log = self.group.log_end();
        anyhow::anyhow!("{what}; {state}; it wrote: {}", if log.is_empty() { "nothing" } else { &log })
    }

    fn wait_until_ready(&mut self, setup: Setup, began: Instant) -> anyhow::Result<()> {
        loop {
            let probed = match setup {
                Setup::Stream => probe::receive(self.address),
                Setup::Calls(protocol) => probe::call(self.address, protocol),
                Setup::Plain | Setup::Brain | Setup::Many { .. } => probe::fetch(self.address, 100),
            };
            let Err(fault) = probed else {
                self.started_in = began.elapsed();
                return Ok(());
            };
            let wrong = matches!(fault, probe::ProbeFault::Wrong(_));
            if wrong || self.group.has_ended().is_some() || began.elapsed() > START_PATIENCE {
                return Err(self.complaint(&format!("on {}: {fault}", self.address)));
            }
            thread::sleep(TRY_EVERY);
        }
    }
}

fn start_origin(program: &Path, arguments: &[&str], log: PathBuf) -> anyhow::Result<(Group, SocketAddr)> {
    let mut group = Group::start(Start {
        program,
        arguments: arguments.iter().map(Into::into).collect(),
        core: Some(LOAD_CORE),
        log: &log,
        pipe_output: true,
        pipe_input: false,
        guarded: true,
    })?;
    let mut line = String::new();
    if let Some(output) = group.child().stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    let address = line.trim().strip_prefix("listening on ").and_then(|address| address.parse().ok());
    match address {
        Some(address) => Ok((group, address)),
        None => bail!("the origin did not start; its log: {}", group.log_end()),
    }
}
