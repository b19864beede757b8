//! Makes the checks that are due, so many at once, ends the intervals of outlier detection, tells when a configuration is
//! warm, and hands what comes of it to [`Control`]. It decides nothing.

use super::Next;
use super::checks::Due;
use super::events::HealthEvent;
use super::probe::probe;
use crate::control::Control;
use crate::cores::Event;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::task::spawn_local;
use tokio::time::timeout;

/// Runs until the runtime ends.
pub(crate) async fn run(
    control: Rc<RefCell<Control>>,
    mut receiver: Receiver<HealthEvent>,
    events: Sender<Event>,
) {
    let sender = control.borrow().setup.health_events.sender.clone();
    loop {
        let event = match begin_due(&control, &sender) {
            Some(wait) => timeout(wait, receiver.recv()).await.unwrap_or(None),
            None => receiver.recv().await,
        };
        if take_in(&mut control.borrow_mut(), event, &mut receiver) {
            // Without a receiver the process is ending.
            let _ = events.send(Event::Warmed).await;
        }
    }
}

/// What has happened, and what time alone brings about. Whether the configuration that waits need not wait any longer.
fn take_in(
    control: &mut Control,
    mut event: Option<HealthEvent>,
    receiver: &mut Receiver<HealthEvent>,
) -> bool {
    while let Some(happened) = event {
        match happened {
            HealthEvent::Changed => {}
            HealthEvent::Checked(id, outcome) => control.on_checked(id, &outcome),
            HealthEvent::Noticed(notice) => control.on_notice(&notice),
        }
        event = receiver.try_recv().ok();
    }
    control.end_intervals();
    // All that changed, in one message for each cluster.
    control.tell_health();
    control.poll_warmed(control.now_ms())
}

/// Begins what is due; how long nothing else is.
fn begin_due(control: &Rc<RefCell<Control>>, sender: &Sender<HealthEvent>) -> Option<Duration> {
    let mut control = control.borrow_mut();
    let now_ms = control.now_ms();
    let next_check_ms = loop {
        match control.checks.next(now_ms) {
            Next::Idle => break None,
            Next::Wait(until_ms) => break Some(until_ms),
            Next::Check(due) => begin(due, sender.clone()),
        }
    };
    let next_ms =
        next_check_ms.into_iter().chain(control.watch.next_end_ms()).chain(control.warming_ends_ms()).min();
    next_ms.map(|until_ms| Duration::from_millis(until_ms.saturating_sub(now_ms)))
}

fn begin(due: Due, sender: Sender<HealthEvent>) {
    spawn_local(async move {
        let outcome = probe(&due).await;
        // Without a receiver the process is ending.
        let _ = sender.send(HealthEvent::Checked(due.id, outcome)).await;
    });
}
