//! Where lines go: a file or one of the standard streams. It loses lines rather than wait for a full disk, and counts
//! what it lost.

use crate::log;
use sidering_dataplane::observe::counters::Counter;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the log thread counts.
#[derive(Debug, Default)]
pub struct AccessLogCounters {
    pub lines_written: Counter,
    /// Lines that could not be written.
    pub lines_lost: Counter,
    pub write_failures: Counter,
}

/// Lines are gathered up to this size before they are written.
const BUFFER_BYTES: usize = 64 * 1024;
/// The same trouble is told again after this long.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(60);
/// A destination that says "not now" is asked again for this long.
const PATIENCE: Duration = Duration::from_secs(1);

/// Opens what `access_log.path` names.
pub(super) fn open(path: &Path) -> io::Result<File> {
    // The streams are duplicated and not opened by their path, which sockets and closed-off terminals refuse.
    match path.to_str() {
        Some("/dev/stdout") => Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?)),
        Some("/dev/stderr") => Ok(File::from(io::stderr().as_fd().try_clone_to_owned()?)),
        _ => OpenOptions::new().append(true).create(true).open(path),
    }
}

/// An open destination and the lines on their way to it.
pub(super) struct Destination {
    /// `None` until the first one is opened.
    pub(super) file: Option<File>,
    pub(super) buffer: Vec<u8>,
    /// Lines in `buffer`.
    lines: u64,
    counters: Arc<AccessLogCounters>,
    complained: Option<Instant>,
}

impl Destination {
    pub(super) fn new(counters: Arc<AccessLogCounters>) -> Destination {
        Destination { file: None, buffer: vec![], lines: 0, counters, complained: None }
    }

    /// Tells that a line was appended to the buffer.
    pub(super) fn line_added(&mut self) {
        self.lines += 1;
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush();
        }
    }

    /// Writes what is in the buffer, or loses it.
    pub(super) fn flush(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let written = match &mut self.file {
            Some(file) => write_fully(file, &self.buffer),
            None => Err(io::Error::from(ErrorKind::NotFound)),
        };
        match written {
            Ok(()) => self.counters.lines_written.add(self.lines),
            Err(error) => self.complain(&error),
        }
        self.buffer.clear();
        self.lines = 0;
    }

    fn complain(&mut self, error: &io::Error) {
        self.counters.lines_lost.add(self.lines);
        self.counters.write_failures.add(1);
        if self.complained.is_none_or(|last| last.elapsed() >= COMPLAINT_PAUSE) {
            self.complained = Some(Instant::now());
            let lost = self.counters.lines_lost.get();
            log::error(format_args!(
                "access log cannot be written: {error}; {lost} lines lost so far, traffic goes on"
            ));
        }
    }
}

fn write_fully(file: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    let mut waited = Duration::ZERO;
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Somebody made the stream non-blocking, and its reader is behind.
            Err(error) if error.kind() == ErrorKind::WouldBlock && waited < PATIENCE => {
                let pause = Duration::from_millis(5);
                std::thread::sleep(pause);
                waited += pause;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
