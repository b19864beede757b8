//! Reads what concerns the process and not the traffic: workers, engine, admin, access log.

use super::problem::Problems;
use super::section::{Section, address, choice, inside, integer, scalar, text};
use super::tree::{Tree, Value};
use crate::access_log::Format;
use sidering_dataplane::io::Address;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// More cores than any machine has.
pub const MOST_WORKERS: u64 = 1024;

/// Methods of calls that are counted apart, unless told otherwise; about 1 KiB of each on each core that carries them.
const RPC_METHODS: u32 = 1_000;
const MOST_RPC_METHODS: u64 = 100_000;

/// The settings of the process. Only `access_log` follows a reload; the rest is fixed at the start.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub workers: u32,
    /// Whether `workers` is the number of CPUs this process may use.
    pub workers_auto: bool,
    pub engine: EngineChoice,
    /// `None`: no admin interface.
    pub admin: Option<Address>,
    pub access_log: Option<AccessLogSettings>,
    /// Methods of calls with counters of their own; 0: they are not counted.
    pub max_rpc_methods: u32,
}

/// Which engine drives the cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineChoice {
    /// The best one that the system allows.
    Auto,
    /// io_uring, or nothing.
    Uring,
    /// epoll, also where there is an io_uring.
    Epoll,
}

impl EngineChoice {
    /// All of them, by the names the configuration writes.
    pub const NAMED: [(&str, EngineChoice); 3] =
        [("auto", EngineChoice::Auto), ("uring", EngineChoice::Uring), ("epoll", EngineChoice::Epoll)];

    /// As the configuration writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            EngineChoice::Auto => "auto",
            EngineChoice::Uring => "uring",
            EngineChoice::Epoll => "epoll",
        }
    }
}

/// Where the access log goes and what its lines look like.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessLogSettings {
    pub path: PathBuf,
    pub format: Format,
}

/// What the command line says over the file.
#[derive(Debug, Clone, Copy, Default)]
pub struct Overrides {
    pub workers: Option<u32>,
    pub engine: Option<EngineChoice>,
}

/// The CPUs this process may use: those of its affinity mask, and no more than its cgroup's quota.
#[must_use]
pub fn usable_cpus() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| count.get() as u32)
}

pub(super) fn read(root: &mut Section<'_>, overrides: &Overrides) -> Settings {
    let problems = root.problems;
    let configured = root.find("workers").and_then(|tree| workers(tree, problems));
    let chosen = overrides.workers.or(configured);
    let engine = root.choice("engine", &EngineChoice::NAMED, &[]);
    let admin = match root.find("admin") {
        None => Some(default_admin()),
        Some(tree) if matches!(tree.value, Value::Null) || scalar(tree) == Some("off") => None,
        Some(tree) => admin(tree, problems),
    };
    let access_log = root.find("access_log").and_then(|tree| access_log(tree, problems));
    Settings {
        workers: chosen.unwrap_or_else(usable_cpus),
        workers_auto: chosen.is_none(),
        engine: overrides.engine.or(engine).unwrap_or(EngineChoice::Auto),
        admin,
        access_log,
        max_rpc_methods: root.find("rpc_metrics").map_or(RPC_METHODS, |tree| max_rpc_methods(tree, problems)),
    }
}

fn max_rpc_methods(tree: &Tree, problems: &Problems) -> u32 {
    let mut section = Section::open("`rpc_metrics`", tree, problems);
    let most = section.integer("max_methods", 0..=MOST_RPC_METHODS, u64::from(RPC_METHODS)) as u32;
    section.finish();
    most
}

fn default_admin() -> Address {
    Address::Ip(SocketAddr::from((Ipv4Addr::LOCALHOST, 15_000)))
}

/// `None` is auto.
fn workers(tree: &Tree, problems: &Problems) -> Option<u32> {
    if scalar(tree).is_some_and(|given| given.starts_with(|first: char| first.is_ascii_digit())) {
        return integer(tree, 1..=MOST_WORKERS, problems).map(|count| count as u32);
    }
    choice(tree, &[("auto", ())], &[], problems);
    None
}

fn admin(tree: &Tree, problems: &Problems) -> Option<Address> {
    let mut section = Section::open("`admin`", tree, problems);
    let address = section.find("address").map_or(Some(default_admin()), |tree| address(tree, problems));
    section.finish();
    address
}

fn access_log(tree: &Tree, problems: &Problems) -> Option<AccessLogSettings> {
    let mut section = Section::open("`access_log`", tree, problems);
    let path = section.find("path").map_or(Some("/dev/stdout"), |tree| {
        text(tree, "a path of a file, or /dev/stdout", problems).filter(|path| {
            if path.is_empty() {
                problems.error(tree.place, "an empty path", "a path of a file, or /dev/stdout");
            }
            !path.is_empty()
        })
    });
    let format =
        section.find("format").map_or_else(|| Format::parse("text").ok(), |tree| format(tree, problems));
    section.finish();
    Some(AccessLogSettings { path: PathBuf::from(path?), format: format? })
}

fn format(tree: &Tree, problems: &Problems) -> Option<Format> {
    let given = text(tree, "text, json, or a string of %...% operators", problems)?;
    match Format::parse(given) {
        Ok(format) => Some(format),
        Err(error) => {
            problems.error(inside(tree, given, error.offset, error.width), error.message, error.expected);
            None
        }
    }
}
