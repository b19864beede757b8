//! A child process whose standard error is gathered, and which does not outlive its test.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::wait::within;

pub(crate) struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts the command; what it writes to standard error is kept line by line.
    pub(crate) fn start(command: &mut Command) -> Process {
        let started = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = started.unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let lines = Arc::new(Mutex::new(vec![]));
        let (sink, stderr) = (Arc::clone(&lines), child.stderr.take().expect("it is piped"));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines() {
                let Ok(line) = line else { return };
                sink.lock().expect("no thread panics with it").push(line);
            }
        });
        Process { child, lines }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What came on standard error up to now.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no thread panics with it").clone()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.child.id() as i32).expect("a child has an id");
        kill_process(id, signal).expect("the process is there");
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    /// Waits for its end; `None` if it still runs after `patience`.
    pub(crate) fn end_within(&mut self, patience: Duration) -> Option<ExitStatus> {
        within(patience, || self.ended())
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "the test's own output is where a failure is explained")]
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- standard error of process {}:\n{}", self.child.id(), self.lines().join("\n"));
        }
    }
}
