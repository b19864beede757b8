//! Children that never outlive this process: each leads a process group, which is killed when it is dropped, when a
//! signal ends this process, and, through the kernel's parent-death signal, when this process is killed outright.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::{io, thread};

use anyhow::Context;
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Groups that are alive now, and the folder to remove at the end.
struct ToCleanUp {
    groups: BTreeSet<i32>,
    folder: Option<PathBuf>,
}

static TO_CLEAN_UP: Mutex<ToCleanUp> = Mutex::new(ToCleanUp { groups: BTreeSet::new(), folder: None });

/// How a child is started.
pub(crate) struct Start<'a> {
    pub(crate) program: &'a Path,
    pub(crate) arguments: Vec<OsString>,
    /// Where it may run; None: wherever this process may.
    pub(crate) core: Option<usize>,
    /// Standard error, and standard output unless it is piped, go to this file.
    pub(crate) log: &'a Path,
    pub(crate) pipe_output: bool,
    pub(crate) pipe_input: bool,
    /// Ask for the parent-death signal. It takes one more exec, which a measurement of start-up must not contain.
    pub(crate) guarded: bool,
}

/// A running child and its group.
pub(crate) struct Group {
    child: Child,
    log: PathBuf,
}

/// A folder for configurations and logs that is removed at the end.
pub(crate) struct Folder {
    path: PathBuf,
}

/// Makes the children of children that ended ours, so that they too can be waited for.
pub(crate) fn adopt_orphans() -> anyhow::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Ends every group and exits when the user or the system asks this process to end.
pub(crate) fn clean_up_on_signals() -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            // The lock is kept until the exit, so that no other thread starts a child behind our back.
            let to_clean_up = TO_CLEAN_UP.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            for &group in &to_clean_up.groups {
                kill_group(group);
            }
            // Waiting for all of them leaves no zombies; it fails when there are no more children.
            while rustix::process::wait(WaitOptions::empty()).is_ok() {}
            if let Some(folder) = &to_clean_up.folder {
                let _ = fs::remove_dir_all(folder);
            }
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

impl Group {
    pub(crate) fn start(start: Start<'_>) -> anyhow::Result<Self> {
        let name = start.program.display().to_string();
        let log = File::create(start.log)
            .with_context(|| format!("cannot write the log {}", start.log.display()))?;
        let mut command = if start.guarded {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "TERM", "--"]).arg(start.program);
            command
        } else {
            Command::new(start.program)
        };
        command
            .args(&start.arguments)
            .process_group(0)
            .stdin(if start.pipe_input { Stdio::piped() } else { Stdio::null() })
            .stdout(if start.pipe_output { Stdio::piped() } else { log.try_clone()?.into() })
            .stderr(log);
        let mut to_clean_up = TO_CLEAN_UP.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let child = match start.core {
            Some(core) => spawn_on(core, &mut command),
            None => command.spawn(),
        };
        let child = child
            .with_context(|| format!("cannot start {name}; scripts/peers installs the other proxies"))?;
        to_clean_up.groups.insert(group_of(&child));
        Ok(Self { child, log: start.log.to_owned() })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Stops the whole group or lets it go on.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(group) = Pid::from_raw(group_of(&self.child)) {
            // The group may be gone already.
            let _ = kill_process_group(group, signal);
        }
    }

    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The end of what the child wrote to its log.
    pub(crate) fn log_end(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let begin = log.len().saturating_sub(2000);
        String::from_utf8_lossy(&log[begin..]).trim().to_owned()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        kill_group(group_of(&self.child));
        // Killed processes end; waiting for all of them frees their ports and leaves no zombie.
        let _ = self.child.wait();
        if let Some(group) = Pid::from_raw(group_of(&self.child)) {
            while rustix::process::waitpgid(group, WaitOptions::empty()).is_ok() {}
        }
        let mut to_clean_up = TO_CLEAN_UP.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        to_clean_up.groups.remove(&group_of(&self.child));
    }
}

impl Folder {
    pub(crate) fn create() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("sidering-perf-{}", std::process::id()));
        fs::create_dir_all(&path)
            .with_context(|| format!("cannot create {}; set TMPDIR to a writable folder", path.display()))?;
        let mut to_clean_up = TO_CLEAN_UP.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        to_clean_up.folder = Some(path.clone());
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Starts the child with this thread on `core`, since children inherit where their parent may run; then this thread
/// goes back. It is what taskset does, without its exec.
fn spawn_on(core: usize, command: &mut Command) -> io::Result<Child> {
    let before = sched_getaffinity(None)?;
    sched_setaffinity(None, &only(core))?;
    let child = command.spawn();
    sched_setaffinity(None, &before)?;
    child
}

/// Keeps this thread, and children that ask for no core, on `core`.
pub(crate) fn stay_on(core: usize) -> anyhow::Result<()> {
    sched_setaffinity(None, &only(core))
        .with_context(|| format!("cannot run on core {core}; the comparison needs cores 0 and 1"))
}

fn only(core: usize) -> CpuSet {
    let mut cores = CpuSet::new();
    cores.set(core);
    cores
}

fn group_of(child: &Child) -> i32 {
    // Process ids are positive and far below the limit of i32.
    child.id().cast_signed()
}

fn kill_group(group: i32) {
    if let Some(group) = Pid::from_raw(group) {
        // The group may be gone already.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_group_takes_its_descendants_along() {
        let folder = Folder::create().expect("the temporary folder is writable");
        let log = folder.path().join("log");
        let mut group = Group::start(Start {
            program: Path::new("/bin/sh"),
            arguments: vec!["-c".into(), "sleep 60 & wait".into()],
            core: Some(0),
            log: &log,
            pipe_output: false,
            pipe_input: false,
            guarded: true,
        })
        .expect("a shell starts");
        let id = group.id();
        let descendants = loop {
            let tree = crate::process::tree::process_tree(id);
            if tree.len() > 1 {
                break tree;
            }
            assert!(group.has_ended().is_none());
        };
        drop(group);
        for process in descendants {
            let command_line = format!("/proc/{process}/cmdline");
            // A zombie that init has not yet reaped has no command line any more.
            while fs::read(&command_line).is_ok_and(|line| !line.is_empty()) {
                thread::yield_now();
            }
        }
    }
}
