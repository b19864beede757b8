//! Which engine drives the cores, and why. The data plane is compiled once for each: no operation asks which it is.

use sidering_control::config::EngineChoice;
use sidering_dataplane::message::Message;
use sidering_dataplane::observe::counters::EngineCounters;
use sidering_dataplane::worker::{Worker, WorkerOptions};
use sidering_epoll::{Epoll, EpollOptions};
use sidering_ring::{Ring, RingError, RingOptions};
use sidering_system::Receiver;
use std::sync::Arc;
use std::time::Instant;

/// What stands in the way of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Obstacle {
    /// In a few words, for those who get another engine.
    pub(crate) brief: String,
    /// With what to do about it, for those who get none.
    pub(crate) advice: String,
}

impl From<RingError> for Obstacle {
    fn from(error: RingError) -> Obstacle {
        let brief = match &error {
            RingError::Unusable(unusable) => unusable.to_string(),
            other => other.to_string(),
        };
        Obstacle { brief, advice: error.to_string() }
    }
}

impl From<String> for Obstacle {
    fn from(text: String) -> Obstacle {
        Obstacle { brief: text.clone(), advice: text }
    }
}

/// An engine as a core's thread sees it.
pub(crate) trait Engine: Sized + 'static {
    /// Opens it for the calling thread. Says what the system granted.
    fn open(counters: Arc<EngineCounters>) -> Result<(Self, String), Obstacle>;

    /// Runs a worker on it until that is finished.
    fn run(self, worker: WorkerOptions, inbox: Receiver<Message>, origin: Instant) -> Result<(), String>;
}

impl Engine for Ring {
    fn open(counters: Arc<EngineCounters>) -> Result<(Ring, String), Obstacle> {
        let ring = Ring::new(RingOptions::default(), counters)?;
        let granted = ring.setup().to_string();
        Ok((ring, granted))
    }

    fn run(self, worker: WorkerOptions, inbox: Receiver<Message>, origin: Instant) -> Result<(), String> {
        sidering_ring::run(self, Worker::new(worker), inbox, origin).map_err(|error| error.to_string())
    }
}

impl Engine for Epoll {
    fn open(counters: Arc<EngineCounters>) -> Result<(Epoll, String), Obstacle> {
        let epoll = Epoll::new(EpollOptions::default(), counters).map_err(|error| error.to_string())?;
        Ok((epoll, String::new()))
    }

    fn run(self, worker: WorkerOptions, inbox: Receiver<Message>, origin: Instant) -> Result<(), String> {
        sidering_epoll::run(self, Worker::new(worker), inbox, origin).map_err(|error| error.to_string())
    }
}

/// An engine that can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Uring,
    Epoll,
}

impl Kind {
    /// As the configuration writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Uring => "uring",
            Kind::Epoll => "epoll",
        }
    }
}

/// What all cores are to run, decided before the first of them is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) kind: Kind,
    pub(crate) reason: String,
    /// Whether all cores may run on epoll if one of them cannot have its ring.
    pub(crate) may_fall_back: bool,
}

impl Decision {
    /// What is run in place of the ring, which `obstacle` stands in the way of.
    pub(crate) fn fallen_back(obstacle: &str) -> Decision {
        let reason = format!("auto: {obstacle}; see `sidering doctor`");
        Decision { kind: Kind::Epoll, reason, may_fall_back: false }
    }
}

/// Decides for an engine. `auto` and `uring` try the ring; `epoll` does not even ask for it.
///
/// # Errors
/// A sentence that says why there can be no ring, and what to do, if nothing else will do.
pub(crate) fn decide(choice: EngineChoice) -> Result<Decision, String> {
    let configured = |kind| Decision { kind, reason: "as configured".to_owned(), may_fall_back: false };
    match choice {
        EngineChoice::Epoll => Ok(configured(Kind::Epoll)),
        EngineChoice::Uring => match sidering_ring::usable() {
            Ok(()) => Ok(configured(Kind::Uring)),
            Err(obstacle) => Err(Obstacle::from(RingError::from(obstacle)).advice),
        },
        EngineChoice::Auto => match sidering_ring::usable() {
            Ok(()) => Ok(Decision { kind: Kind::Uring, reason: "auto".to_owned(), may_fall_back: true }),
            Err(obstacle) => Ok(Decision::fallen_back(&obstacle.to_string())),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_is_run_and_what_falls_back_says_why() {
        let epoll = decide(EngineChoice::Epoll).unwrap();
        assert_eq!((epoll.kind, &*epoll.reason, epoll.may_fall_back), (Kind::Epoll, "as configured", false));
        let fallen = Decision::fallen_back("io_uring_setup: no");
        assert_eq!((fallen.kind, fallen.may_fall_back), (Kind::Epoll, false));
        assert_eq!(fallen.reason, "auto: io_uring_setup: no; see `sidering doctor`");
    }
}
