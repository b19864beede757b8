//! Pipes for relays: drawn while bytes are between two sockets, shared by all relays of a core. Bounded.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::pipe::fcntl_setpipe_size;

/// What a pipe should hold. The system's own 64 KiB serve, too, at more calls per byte.
const PIPE_BYTES: usize = 1024 * 1024;

/// Empty pipes kept for reuse.
const IDLE_MAX: usize = 16;

/// An empty pipe, or one whose content its holder accounts for.
pub struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Pipe {
    /// Where bytes come out.
    pub fn reader(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    /// Where bytes go in.
    pub fn writer(&self) -> BorrowedFd<'_> {
        self.writer.as_fd()
    }
}

/// Why no pipe could be had.
pub enum NoPipe {
    /// All are in use: one will come back.
    AllInUse,
    /// The system refused, and none is in use that could come back.
    Refused(io::Error),
}

/// The pipes of one core.
pub struct PipePool {
    idle: Vec<Pipe>,
    in_use: u32,
    limit: u32,
    resizes_refused: u64,
}

impl PipePool {
    /// No pipe yet, and at most `limit` in use at a time.
    pub fn new(limit: u32) -> PipePool {
        PipePool { idle: Vec::new(), in_use: 0, limit, resizes_refused: 0 }
    }

    /// Pipes that keep the system's size because it refused a larger one (`fs.pipe-user-pages-soft`).
    pub fn resizes_refused(&self) -> u64 {
        self.resizes_refused
    }

    /// Pipes in use and idle ones.
    pub fn open(&self) -> usize {
        self.in_use as usize + self.idle.len()
    }

    /// An empty pipe.
    ///
    /// # Errors
    /// [`NoPipe`].
    pub fn take(&mut self) -> Result<Pipe, NoPipe> {
        if self.in_use >= self.limit {
            return Err(NoPipe::AllInUse);
        }
        let pipe = match self.idle.pop() {
            Some(pipe) => pipe,
            None => match self.make() {
                Ok(pipe) => pipe,
                Err(_) if self.in_use > 0 => return Err(NoPipe::AllInUse),
                Err(error) => return Err(NoPipe::Refused(error)),
            },
        };
        self.in_use += 1;
        Ok(pipe)
    }

    fn make(&mut self) -> io::Result<Pipe> {
        let (reader, writer) = io::pipe()?;
        let pipe = Pipe { reader: reader.into(), writer: writer.into() };
        if fcntl_setpipe_size(pipe.writer(), PIPE_BYTES).is_err() {
            self.resizes_refused += 1;
        }
        Ok(pipe)
    }

    /// Takes an empty pipe back.
    pub fn give_back(&mut self, pipe: Pipe) {
        self.in_use -= 1;
        if self.idle.len() < IDLE_MAX {
            self.idle.push(pipe);
        }
    }

    /// Takes back a pipe that is not empty: it is closed with what it holds.
    pub fn discard(&mut self, pipe: Pipe) {
        self.in_use -= 1;
        drop(pipe);
    }
}
