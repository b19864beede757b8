//! The log thread: takes records off all cores' queues, writes them out, sleeps in between. It sees no configuration
//! but the formats that it is sent.

use super::destination::{AccessLogCounters, Destination};
use super::format::Format;
use crate::clock::Clock;
use rtrb::Consumer;
use sidering_dataplane::config::Snapshot;
use sidering_dataplane::observe::access_log::AccessRecord;
use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

/// What the log thread may be told.
pub(super) enum Command {
    /// Records of this snapshot will come. No format: it has no access log. A file: write there from now on.
    Expect { snapshot: Arc<Snapshot>, format: Option<Format>, file: Option<File> },
    /// Write here from now on.
    Use(File),
    /// Write what there is and end.
    Finish,
}

/// Snapshots remembered for records that come late (a stream keeps the one it began with). Records of older ones are
/// written without names.
const EPOCHS: usize = 16;
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// A snapshot, and how its records are written.
struct Epoch {
    snapshot: Arc<Snapshot>,
    format: Option<Format>,
}

/// The reading end of a core's queue.
struct Queue {
    consumer: Consumer<u8>,
    /// Bytes that were there before the commands at hand were read: whatever announced their records has been obeyed.
    ready: usize,
}

pub(super) struct Writer {
    queues: Vec<Queue>,
    commands: Receiver<Command>,
    epochs: VecDeque<Epoch>,
    destination: Destination,
    clock: Clock,
    /// Records as they came out of a queue.
    scratch: Vec<u8>,
}

impl Writer {
    pub(super) fn new(
        consumers: Vec<Consumer<u8>>,
        commands: Receiver<Command>,
        counters: Arc<AccessLogCounters>,
        clock: Clock,
    ) -> Writer {
        let destination = Destination::new(counters);
        let queues = consumers.into_iter().map(|consumer| Queue { consumer, ready: 0 }).collect();
        Writer { queues, commands, epochs: VecDeque::new(), destination, clock, scratch: vec![] }
    }

    /// Until [`Command::Finish`].
    pub(super) fn run(mut self) {
        let mut pause = SHORTEST_PAUSE;
        let mut finishing = false;
        loop {
            for queue in &mut self.queues {
                queue.ready = queue.consumer.slots();
            }
            let last_round = finishing;
            finishing |= self.obey();
            let found = self.drain();
            self.destination.flush();
            if last_round && !found {
                return;
            }
            if !finishing {
                pause = if found { SHORTEST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
                std::thread::park_timeout(pause);
            }
        }
    }

    /// Carries out the commands at hand; whether the end was among them.
    fn obey(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Expect { snapshot, format, file }) => {
                    if let Some(file) = file {
                        self.switch_to(file);
                    }
                    if self.epochs.len() == EPOCHS {
                        self.epochs.pop_back();
                    }
                    self.epochs.push_front(Epoch { snapshot, format });
                }
                Ok(Command::Use(file)) => self.switch_to(file),
                Ok(Command::Finish) | Err(TryRecvError::Disconnected) => return true,
                Err(TryRecvError::Empty) => return false,
            }
        }
    }

    /// Lines that are ready go to the old file; records that still wait in a queue go to the new one.
    fn switch_to(&mut self, file: File) {
        self.destination.flush();
        self.destination.file = Some(file);
    }

    /// Formats the records that are ready; whether there were any.
    fn drain(&mut self) -> bool {
        let origin_unix_micros = self.clock.origin_unix_micros();
        let mut found = false;
        for Queue { consumer, ready } in &mut self.queues {
            let Ok(chunk) = consumer.read_chunk(std::mem::take(ready)) else { continue };
            if chunk.is_empty() {
                continue;
            }
            found = true;
            // Records are put in whole, so what is at hand begins and ends with one; it may wrap around in the middle.
            let (front, back) = chunk.as_slices();
            self.scratch.clear();
            self.scratch.extend_from_slice(front);
            self.scratch.extend_from_slice(back);
            chunk.commit_all();
            let mut rest = self.scratch.as_slice();
            while let Some((record, behind)) = AccessRecord::decode(rest) {
                rest = behind;
                write(&record, &self.epochs, origin_unix_micros, &mut self.destination);
            }
        }
        found
    }
}

fn write(
    record: &AccessRecord<'_>,
    epochs: &VecDeque<Epoch>,
    origin_unix_micros: u64,
    destination: &mut Destination,
) {
    let known = epochs.iter().find(|epoch| epoch.snapshot.version == record.snapshot_version);
    let Some(epoch) = known.or(epochs.front()) else { return };
    let Some(format) = &epoch.format else { return };
    let mut record = *record;
    if known.is_none() {
        // What it carries is in the order of a format that is gone.
        record.captured = &[];
    }
    let snapshot = known.map(|epoch| &*epoch.snapshot);
    format.write(&record, snapshot, origin_unix_micros, &mut destination.buffer);
    destination.line_added();
}
