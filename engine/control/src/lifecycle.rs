//! Where the process stands in its life. Pure: it decides, others act.

/// ```text
/// Initializing ──its configuration is warm──▶ Live
///
/// Initializing, Live ──TERM, /drain_listeners──▶ Draining ──the last core ended──▶ Drained
///   │                                               │                                 │
///   └─INT, /quitquitquit────────────────────────────┴─────────────────────────────────┴──▶ Stopped
/// ```
/// A TERM makes the process leave as soon as it is drained; `/drain_listeners` alone does not. A second TERM leaves at
/// once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing is in use yet: the first configuration is being warmed.
    Initializing,
    /// Takes new work.
    Live,
    /// Finishes what is in flight.
    Draining,
    /// Nothing is in flight and the cores have ended; admin still answers.
    Drained,
    /// On its way out.
    Stopped,
}

impl Phase {
    /// As Envoy's `/server_info` and `/ready` tell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Phase::Initializing => "INITIALIZING",
            Phase::Live => "LIVE",
            Phase::Draining | Phase::Drained | Phase::Stopped => "DRAINING",
        }
    }

    /// As Envoy's `server.state` counts it.
    #[must_use]
    pub(crate) fn number(self) -> u64 {
        match self {
            Phase::Live => 0,
            Phase::Draining | Phase::Drained | Phase::Stopped => 1,
            Phase::Initializing => 3,
        }
    }

    /// Whether another configuration may come.
    #[must_use]
    pub(crate) fn is_ending(self) -> bool {
        !matches!(self, Phase::Initializing | Phase::Live)
    }
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Nothing,
    /// Tell all cores to drain.
    Drain,
    /// Tell all cores to stop, and leave.
    Stop,
    /// Leave: the cores have ended.
    Leave,
    /// A core ended that should not have: stop the others and leave with an error.
    Fail,
}

/// The phase, and what led to it.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    phase: Phase,
    /// A TERM came.
    leaving: bool,
    cores_running: usize,
}

impl Lifecycle {
    pub(crate) fn new(cores: usize) -> Lifecycle {
        Lifecycle { phase: Phase::Initializing, leaving: false, cores_running: cores }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) fn cores_running(&self) -> usize {
        self.cores_running
    }

    /// A configuration is in use.
    pub(crate) fn began(&mut self) {
        if self.phase == Phase::Initializing {
            self.phase = Phase::Live;
        }
    }

    /// TERM.
    pub(crate) fn terminate(&mut self) -> Act {
        let again = std::mem::replace(&mut self.leaving, true);
        match self.phase {
            Phase::Initializing | Phase::Live => self.drain(),
            Phase::Draining if again => self.stop(),
            Phase::Draining | Phase::Stopped => Act::Nothing,
            Phase::Drained => self.leave(),
        }
    }

    /// `/drain_listeners`.
    pub(crate) fn drain(&mut self) -> Act {
        if self.phase.is_ending() {
            return Act::Nothing;
        }
        self.phase = Phase::Draining;
        Act::Drain
    }

    /// INT, `/quitquitquit`, or a drain that does not end.
    pub(crate) fn stop(&mut self) -> Act {
        let before = std::mem::replace(&mut self.phase, Phase::Stopped);
        match before {
            Phase::Stopped => Act::Nothing,
            _ if self.cores_running == 0 => Act::Leave,
            _ => Act::Stop,
        }
    }

    /// A core's thread ended, well or not.
    pub(crate) fn core_ended(&mut self, well: bool) -> Act {
        self.cores_running = self.cores_running.saturating_sub(1);
        match self.phase {
            Phase::Stopped => Act::Nothing,
            _ if !well => self.fail(),
            Phase::Initializing | Phase::Live => self.fail(),
            Phase::Draining if self.cores_running > 0 => Act::Nothing,
            Phase::Draining | Phase::Drained if self.leaving => self.leave(),
            Phase::Draining | Phase::Drained => {
                self.phase = Phase::Drained;
                Act::Nothing
            }
        }
    }

    fn leave(&mut self) -> Act {
        self.phase = Phase::Stopped;
        Act::Leave
    }

    /// What is to be served cannot be.
    pub(crate) fn fail(&mut self) -> Act {
        self.phase = Phase::Stopped;
        Act::Fail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(cores: usize) -> Lifecycle {
        let mut life = Lifecycle::new(cores);
        life.began();
        life
    }

    #[test]
    fn what_begins_can_end_at_any_time() {
        let mut life = Lifecycle::new(1);
        assert_eq!((life.phase().name(), life.phase().number()), ("INITIALIZING", 3));
        assert_eq!((life.terminate(), life.phase()), (Act::Drain, Phase::Draining));
        life.began();
        assert_eq!((life.phase(), life.core_ended(true)), (Phase::Draining, Act::Leave));
        assert_eq!(Lifecycle::new(1).stop(), Act::Stop);
        assert_eq!(Lifecycle::new(1).core_ended(true), Act::Fail);
    }

    #[test]
    fn term_drains_and_leaves() {
        let mut life = live(2);
        assert_eq!(life.phase().name(), "LIVE");
        assert_eq!(life.terminate(), Act::Drain);
        assert_eq!(life.phase().name(), "DRAINING");
        assert_eq!(life.core_ended(true), Act::Nothing);
        assert_eq!(life.core_ended(true), Act::Leave);
    }

    #[test]
    fn a_second_term_or_an_int_leaves_at_once() {
        let mut life = live(1);
        assert_eq!(life.terminate(), Act::Drain);
        assert_eq!(life.terminate(), Act::Stop);
        assert_eq!(
            (life.terminate(), life.stop(), life.core_ended(true)),
            (Act::Nothing, Act::Nothing, Act::Nothing)
        );
        assert_eq!(live(1).stop(), Act::Stop);
    }

    #[test]
    fn draining_by_admin_stays_until_a_term() {
        let mut life = live(1);
        assert_eq!((life.drain(), life.drain()), (Act::Drain, Act::Nothing));
        assert_eq!(life.core_ended(true), Act::Nothing);
        assert_eq!(life.phase(), Phase::Drained);
        assert_eq!(life.terminate(), Act::Leave);
        let mut life = live(1);
        life.drain();
        assert_eq!((life.terminate(), life.core_ended(true)), (Act::Nothing, Act::Leave));
    }

    #[test]
    fn a_core_that_ends_by_itself_is_a_failure() {
        assert_eq!(live(2).core_ended(true), Act::Fail);
        let mut life = live(2);
        life.terminate();
        assert_eq!(life.core_ended(false), Act::Fail);
    }
}
