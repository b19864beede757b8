//! An origin process: nginx, so that nobody here wrote it, as one process that answers who it is and which request it got.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::process::Signal;

use crate::process::child::{Group, Start};
use crate::process::free_address;

pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    index: u16,
    config: PathBuf,
    log: PathBuf,
    /// None while it is dead.
    process: Option<Group>,
}

impl Origin {
    pub(crate) fn start(index: u16, folder: &Path) -> anyhow::Result<Self> {
        let address = free_address()?;
        let config = folder.join(format!("origin-{index}.conf"));
        let log = folder.join(format!("origin-{index}.log"));
        fs::write(&config, nginx_config(address, folder, index))
            .with_context(|| format!("cannot write {}", config.display()))?;
        let mut origin = Self { address, index, config, log, process: None };
        origin.restart()?;
        Ok(origin)
    }

    pub(crate) fn index(&self) -> u16 {
        self.index
    }

    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        let arguments = ["-c".into(), self.config.clone().into_os_string()];
        self.process = Some(Group::start(Start {
            program: Path::new("nginx"),
            arguments: arguments.into(),
            core: None,
            log: &self.log,
            pipe_output: false,
            pipe_input: false,
            guarded: true,
        })?);
        Ok(())
    }

    /// Ends it at once: the kernel resets or closes its connections, whatever they were doing.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// It accepts connections, for the kernel does that, and does nothing else.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }
}

fn nginx_config(address: SocketAddr, folder: &Path, index: u16) -> String {
    let folder = folder.display();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/origin-{index}.pid;\nerror_log {folder}/origin-{index}.error.log;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n  access_log off;\n  keepalive_requests 100000000;\n  default_type text/plain;\n\
         server {{\n    listen {address};\n    location / {{ return 200 \"{index} $arg_id\"; }}\n  }}\n}}\n"
    )
}
