//! The proxies that are compared: which binary, which arguments, which configuration.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::configs::{self, Task};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Peer {
    Ours,
    /// The same binary once more: its ratio to itself is the noise.
    OursAgain,
    /// The same binary on its epoll engine.
    OursEpoll,
    /// The same binary on its ring with a listener of `protocol: tcp`, which does not look at the bytes.
    OursTcp,
    Nginx,
    Haproxy,
    Envoy,
    /// A byte-blind relay on our ring: what the kernel's work alone costs.
    Floor,
}

/// Where the binaries are.
#[derive(Args, Clone)]
pub(crate) struct Binaries {
    /// The folder with our binaries.
    #[arg(long, default_value = "target/release")]
    binaries: PathBuf,
    #[arg(long, default_value = "/usr/sbin/nginx")]
    nginx: PathBuf,
    #[arg(long, default_value = "/usr/sbin/haproxy")]
    haproxy: PathBuf,
    #[arg(long, default_value = "target/peers/envoy")]
    envoy: PathBuf,
}

/// How one proxy is started.
pub(crate) struct Invocation {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// A file to write first.
    pub(crate) config: Option<(PathBuf, String)>,
}

impl Peer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::OursAgain => "ours-again",
            Self::OursEpoll => "ours-epoll",
            Self::OursTcp => "ours-tcp",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
            Self::Floor => "floor",
        }
    }

    fn program(self, binaries: &Binaries) -> PathBuf {
        match self {
            Self::Ours | Self::OursAgain | Self::OursEpoll | Self::OursTcp => {
                binaries.binaries.join("sidering")
            }
            Self::Floor => binaries.binaries.join("sidering-floor"),
            Self::Nginx => binaries.nginx.clone(),
            Self::Haproxy => binaries.haproxy.clone(),
            Self::Envoy => binaries.envoy.clone(),
        }
    }

    /// The command and configuration for `task`; what is written goes into `folder`.
    pub(crate) fn invocation(self, binaries: &Binaries, task: &Task, folder: &Path) -> Invocation {
        let program = self.program(binaries);
        let file = |ending: &str| folder.join(format!("{}.{ending}", self.name()));
        let (path, text, arguments): (PathBuf, String, Vec<OsString>) = match self {
            Self::Floor => {
                let arguments = vec![task.listen.to_string().into(), task.origin.to_string().into()];
                return Invocation { program, arguments, config: None };
            }
            Self::Ours | Self::OursAgain | Self::OursEpoll | Self::OursTcp => {
                let path = file("yaml");
                // Named, so that a machine without io_uring fails rather than compares epoll with itself.
                let engine = if self == Self::OursEpoll { "epoll" } else { "uring" };
                let flags = ["run", "--workers", "1", "--engine", engine, "-c"];
                let arguments = flags.into_iter().map(OsString::from).chain([path.clone().into()]).collect();
                let text = if self == Self::OursTcp { configs::relay(task) } else { configs::ours(task) };
                (path, text, arguments)
            }
            Self::Nginx => {
                let path = file("conf");
                let arguments = vec!["-c".into(), path.clone().into()];
                (path, configs::nginx(task, folder), arguments)
            }
            Self::Haproxy => {
                let path = file("cfg");
                let arguments = vec!["-db".into(), "-f".into(), path.clone().into()];
                (path, configs::haproxy(task), arguments)
            }
            Self::Envoy => {
                let path = file("yaml");
                let flags = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c"];
                let arguments = flags.into_iter().map(OsString::from).chain([path.clone().into()]).collect();
                (path, configs::envoy(task), arguments)
            }
        };
        Invocation { program, arguments, config: Some((path, text)) }
    }
}
