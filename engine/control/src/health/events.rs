//! Where the control thread hears what matters to the health of endpoints: results of checks, and notices of cores.

use super::{Outcome, TargetId};
use sidering_dataplane::observe::notice::{Notice, NoticeSink};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Events that may wait. Checks that end wait for room; notices of cores that find none are dropped and counted by the core, and
/// what they told is told anew when it happens again.
const EVENTS: usize = 256;

/// What happened.
#[derive(Debug)]
pub(crate) enum HealthEvent {
    /// Other endpoints, or other ways to judge them.
    Changed,
    Checked(TargetId, Outcome),
    Noticed(Notice),
}

/// Both ends of the queue; made before the cores, which report to it.
#[derive(Debug)]
pub struct HealthEvents {
    pub(crate) sender: Sender<HealthEvent>,
    /// Until somebody listens.
    pub(crate) receiver: Option<Receiver<HealthEvent>>,
}

impl Default for HealthEvents {
    fn default() -> Self {
        let (sender, receiver) = channel(EVENTS);
        HealthEvents { sender, receiver: Some(receiver) }
    }
}

impl HealthEvents {
    /// A core's way to tell its notices.
    #[must_use]
    pub fn sink(&self) -> CoreNotices {
        CoreNotices(self.sender.clone())
    }

    /// Whoever makes the checks is to look again; if its queue is full it will anyway.
    pub(crate) fn wake(&self) {
        let _ = self.sender.try_send(HealthEvent::Changed);
    }
}

/// See [`HealthEvents::sink`].
#[derive(Debug, Clone)]
pub struct CoreNotices(Sender<HealthEvent>);

impl NoticeSink for CoreNotices {
    fn try_send(&mut self, notice: Notice) -> bool {
        self.0.try_send(HealthEvent::Noticed(notice)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidering_dataplane::io::Address;
    use sidering_dataplane::observe::notice::RowKind;

    #[test]
    fn so_many_notices_wait_and_no_more() {
        let events = HealthEvents::default();
        let mut sink = events.sink();
        let notice = || Notice::FailuresInRow {
            cluster: "c".to_owned(),
            endpoint: Address::Ip(([127, 0, 0, 1], 1).into()),
            kind: RowKind::ServerErrors,
        };
        let taken = (0..EVENTS + 1).filter(|_| sink.try_send(notice())).count();
        assert_eq!(taken, EVENTS);
    }
}
