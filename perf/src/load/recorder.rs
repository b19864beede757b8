//! What one run has counted so far, and whether it is in its measured window.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::{LoadOptions, sample};
use crate::call;
use crate::http::answer::{Answer, AnswerFault};
use crate::process::cpu::CpuTime;

/// The longest latency told apart from longer ones.
const MAX_LATENCY_NS: u64 = 60_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;
/// Bodies from this size on are received in large pieces.
const BULKY_BYTES: u64 = 32 * 1024;

/// How a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection.
    Connect,
    /// The connection broke, or what came is no HTTP/1.
    Read,
    /// A complete answer of another status than expected.
    Status,
    /// A body of another size than announced or expected.
    Short,
    /// A call's answer of the right size with wrong bytes.
    Wrong,
    /// An answer to no call that is under way: nobody asked for it, or it is the second one.
    Stray,
    /// A call that was never answered.
    Lost,
}

/// Failed requests by kind.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Errors {
    pub(crate) connect: u64,
    pub(crate) read: u64,
    pub(crate) status: u64,
    pub(crate) short: u64,
    pub(crate) wrong: u64,
    pub(crate) stray: u64,
    pub(crate) lost: u64,
}

/// Processes whose CPU time is taken at both ends of the window.
pub(crate) struct Watched {
    processes: Vec<u32>,
    at_begin: Cell<CpuTime>,
    used: Cell<CpuTime>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Window,
    Over,
}

/// The figures of one run, shared by its connections.
pub(crate) struct Recorder {
    phase: Cell<Phase>,
    began: Cell<Instant>,
    elapsed: Cell<Duration>,
    requests_left: Cell<Option<u64>>,
    calls_under_way: Cell<u64>,
    requests: Cell<u64>,
    bytes: Cell<u64>,
    errors: Cell<Errors>,
    latency_ns: RefCell<Histogram<u64>>,
    watched: Watched,
    pub(crate) new_connection_per_request: bool,
    pub(crate) bodiless: bool,
    pub(crate) receive_bytes: usize,
    expect_status: u16,
    expect_bytes: Option<u64>,
}

impl Watched {
    pub(crate) fn new(processes: Vec<u32>) -> Self {
        Self { processes, at_begin: Cell::default(), used: Cell::default() }
    }
}

impl Recorder {
    pub(crate) fn new(options: &LoadOptions, watched: Watched) -> Self {
        let bulky = options.expect_bytes.is_some_and(|bytes| bytes >= BULKY_BYTES);
        Self {
            phase: Cell::new(Phase::WarmUp),
            began: Cell::new(Instant::now()),
            elapsed: Cell::default(),
            requests_left: Cell::new(options.requests),
            calls_under_way: Cell::new(0),
            requests: Cell::new(0),
            bytes: Cell::new(0),
            errors: Cell::default(),
            latency_ns: RefCell::new(
                Histogram::new_with_bounds(1, MAX_LATENCY_NS, SIGNIFICANT_DIGITS)
                    .expect("constant bounds that the histogram accepts"),
            ),
            watched,
            new_connection_per_request: options.new_connection_per_request,
            bodiless: options.method == "HEAD",
            receive_bytes: if bulky { 256 * 1024 } else { 16 * 1024 },
            expect_status: options.expect_status,
            expect_bytes: options.expect_bytes,
        }
    }

    /// Opens the window: from now on things count.
    pub(crate) fn begin(&self) {
        self.watched.at_begin.set(sample(&self.watched.processes));
        self.began.set(Instant::now());
        self.phase.set(Phase::Window);
    }

    /// Closes the window.
    pub(crate) fn end(&self) {
        self.elapsed.set(self.began.get().elapsed());
        self.phase.set(Phase::Over);
        let now = sample(&self.watched.processes);
        self.watched.used.set(now.since(self.watched.at_begin.get()));
    }

    pub(crate) fn is_over(&self) -> bool {
        self.phase.get() == Phase::Over
    }

    /// Asks for leave to start another request; false once the run is over or all its requests are under way.
    pub(crate) fn may_start(&self) -> bool {
        match self.requests_left.get() {
            _ if self.is_over() => false,
            None => true,
            Some(0) => false,
            Some(left) => {
                self.requests_left.set(Some(left - 1));
                true
            }
        }
    }

    /// Checks an answer and counts it, as a success or as the error it is.
    pub(crate) fn answered(&self, answer: Answer, latency: Duration) {
        if answer.status != self.expect_status {
            self.failed(Failure::Status);
        } else if self.expect_bytes.is_some_and(|expected| expected != answer.body_bytes) {
            self.failed(Failure::Short);
        } else {
            self.succeeded(answer.body_bytes, latency);
        }
    }

    /// Counts what was answered rightly.
    pub(crate) fn succeeded(&self, body_bytes: u64, latency: Duration) {
        if self.phase.get() == Phase::Window {
            self.requests.set(self.requests.get() + 1);
            self.bytes.set(self.bytes.get() + body_bytes);
            let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(MAX_LATENCY_NS);
            self.latency_ns.borrow_mut().saturating_record(nanoseconds.max(1));
        }
    }

    /// Counts bytes of a plain stream.
    pub(crate) fn moved(&self, bytes: usize) {
        if self.phase.get() == Phase::Window {
            self.bytes.set(self.bytes.get() + bytes as u64);
        }
    }

    /// Counts a failure. Those outside the window count too: there should be none at all.
    pub(crate) fn failed(&self, failure: Failure) {
        let mut errors = self.errors.get();
        match failure {
            Failure::Connect => errors.connect += 1,
            Failure::Read => errors.read += 1,
            Failure::Status => errors.status += 1,
            Failure::Short => errors.short += 1,
            Failure::Wrong => errors.wrong += 1,
            Failure::Stray => errors.stray += 1,
            Failure::Lost => errors.lost += 1,
        }
        self.errors.set(errors);
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.get()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Counts a call that waits for its answer.
    pub(crate) fn call_began(&self) {
        self.calls_under_way.set(self.calls_under_way.get() + 1);
    }

    /// Takes it off again: it was answered or given up.
    pub(crate) fn call_ended(&self) {
        self.calls_under_way.set(self.calls_under_way.get() - 1);
    }

    /// What went wrong. Calls that still wait for their answers are lost: whoever asks will not wait longer.
    pub(crate) fn errors(&self) -> Errors {
        let errors = self.errors.get();
        Errors { lost: errors.lost + self.calls_under_way.get(), ..errors }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.elapsed.get()
    }

    /// The latency below which `quantile` of the requests stayed, in µs.
    pub(crate) fn latency_us(&self, quantile: f64) -> f64 {
        self.latency_ns.borrow().value_at_quantile(quantile) as f64 / 1000.0
    }

    pub(crate) fn watched_cpu(&self) -> Option<CpuTime> {
        (!self.watched.processes.is_empty()).then(|| self.watched.used.get())
    }
}

impl Errors {
    pub(crate) fn total(&self) -> u64 {
        self.connect + self.read + self.status + self.short + self.wrong + self.stray + self.lost
    }
}

impl From<AnswerFault> for Failure {
    fn from(fault: AnswerFault) -> Self {
        match fault {
            AnswerFault::Malformed => Self::Read,
            AnswerFault::Excess | AnswerFault::Short => Self::Short,
        }
    }
}

impl From<call::AnswerFault> for Failure {
    fn from(fault: call::AnswerFault) -> Self {
        match fault {
            call::AnswerFault::Status => Self::Status,
            call::AnswerFault::Length => Self::Short,
            call::AnswerFault::Bytes => Self::Wrong,
        }
    }
}
