//! The access log: formats compiled from the configuration, and the thread that writes what the cores hand over. No
//! core waits for it.

mod destination;
mod escape;
mod format;
mod operator;
mod sink;
mod time_format;
mod writer;

pub use destination::AccessLogCounters;
pub(crate) use escape::json as escape_json;
pub use format::{Format, FormatError};
pub use sink::{CoreSink, QUEUE_BYTES};

use crate::clock::Clock;
use crate::config::AccessLogSettings;
use rtrb::Consumer;
use sidering_dataplane::config::Snapshot;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use writer::{Command, Writer};

/// The control thread's handle of the access log.
#[derive(Debug)]
pub struct AccessLog {
    clock: Clock,
    counters: Arc<AccessLogCounters>,
    path: Option<PathBuf>,
    thread: Thread,
}

/// ```text
/// Waiting ──the first configuration with an access log──▶ Running ──finish──▶ Finished
/// ```
#[derive(Debug)]
enum Thread {
    /// No configuration had an access log yet: there is no thread.
    Waiting(Vec<Consumer<u8>>),
    Running(Sender<Command>, JoinHandle<()>),
    Finished,
}

impl AccessLog {
    /// The log and each core's end of it.
    #[must_use]
    pub fn new(cores: usize, clock: Clock) -> (AccessLog, Vec<CoreSink>) {
        let (sinks, consumers) = (0..cores).map(|_| sink::queue(QUEUE_BYTES)).unzip();
        let counters = Arc::default();
        (AccessLog { clock, counters, path: None, thread: Thread::Waiting(consumers) }, sinks)
    }

    /// What the log thread counts.
    #[must_use]
    pub fn counters(&self) -> &AccessLogCounters {
        &self.counters
    }

    /// Opens what a configuration wants to write to, without writing to it yet: the part that can fail. `None` if
    /// nothing is to be opened.
    pub fn prepare(&mut self, settings: Option<&AccessLogSettings>) -> io::Result<Option<std::fs::File>> {
        if settings.is_some() {
            self.start()?;
        }
        match settings {
            Some(settings) if self.path.as_ref() != Some(&settings.path) => {
                destination::open(&settings.path).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// From now on records of `snapshot` may come. Call it before any core hears of the snapshot.
    pub fn apply(
        &mut self,
        settings: Option<&AccessLogSettings>,
        file: Option<std::fs::File>,
        snapshot: &Arc<Snapshot>,
    ) {
        if file.is_some() {
            self.path = settings.map(|settings| settings.path.clone());
        }
        let format = settings.map(|settings| settings.format.clone());
        self.send(Command::Expect { snapshot: Arc::clone(snapshot), format, file });
    }

    /// Opens the file anew, after somebody moved the old one away.
    pub fn reopen(&mut self) -> io::Result<()> {
        if let Some(path) = &self.path {
            let file = destination::open(path)?;
            self.send(Command::Use(file));
        }
        Ok(())
    }

    /// Writes out what the cores left behind. A destination that takes nothing is given up after `patience`. Call it
    /// after the cores ended.
    pub fn finish(&mut self, patience: Duration) {
        self.send(Command::Finish);
        if let Thread::Running(_, thread) = std::mem::replace(&mut self.thread, Thread::Finished) {
            let end = Instant::now() + patience;
            while !thread.is_finished() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    fn start(&mut self) -> io::Result<()> {
        if let Thread::Waiting(consumers) = &mut self.thread {
            let (sender, receiver) = channel();
            let writer =
                Writer::new(std::mem::take(consumers), receiver, Arc::clone(&self.counters), self.clock);
            let builder = std::thread::Builder::new().name("access-log".to_owned()).stack_size(256 * 1024);
            self.thread = Thread::Running(sender, builder.spawn(|| writer.run())?);
        }
        Ok(())
    }

    fn send(&self, command: Command) {
        if let Thread::Running(sender, thread) = &self.thread {
            // It only ends when told to; a command after that has no meaning any more.
            let _ = sender.send(command);
            thread.thread().unpark();
        }
    }
}

#[cfg(test)]
mod tests;
