//! The loop of the control thread: waits for signals, cores and admin requests, and lets [`Control`] deal with them.

use crate::admin;
use crate::built_in::BuiltInUpstream;
use crate::control::{Control, Next};
use crate::cores::{CoreEnd, Event, Signal};
use crate::discovery::supervise;
use crate::health;
use crate::http_server::Listening;
use sidering_dataplane::filter::local_rate_limit::shares::{ReportSink, ShareReport};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep, timeout_at};

/// Events that may wait, beside one of each core. A signal that finds no room is dropped: as many wait already.
const EVENTS: usize = 64;
/// Reports of cores that may wait. One that finds no room is dropped; a core asks again.
const REPORTS: usize = 4096;
/// How often shares of rate limits are looked after while there are any that moved.
const SHARES_PAUSE: Duration = Duration::from_millis(250);
/// Cores that were told to stop have this long to end.
const STOP_PATIENCE: Duration = Duration::from_secs(1);
/// A destination of the access log that takes nothing has this long at the end.
const LOG_PATIENCE: Duration = Duration::from_secs(2);

/// Where events come in. Made before the cores, which report their ends to it; and before anybody is served, so that
/// from then on signals mean what they are documented to mean.
#[derive(Debug)]
pub struct Events {
    sender: Sender<Event>,
    receiver: Receiver<Event>,
    reports: (Sender<ShareReport>, Receiver<ShareReport>),
    tasks: LocalSet,
    runtime: Runtime,
}

impl Events {
    /// For this many cores.
    pub fn new(cores: usize) -> io::Result<Events> {
        let (sender, receiver) = channel(EVENTS + cores);
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let entered = runtime.enter();
        let signals = [
            (SignalKind::terminate(), Signal::Terminate),
            (SignalKind::interrupt(), Signal::Interrupt),
            (SignalKind::hangup(), Signal::HangUp),
            (SignalKind::user_defined1(), Signal::ReopenLogs),
        ];
        let signals = signals.into_iter().map(|(kind, meaning)| Ok((signal(kind)?, meaning)));
        let signals: Vec<_> = signals.collect::<io::Result<_>>()?;
        drop(entered);
        let tasks = LocalSet::new();
        for (stream, meaning) in signals {
            tasks.spawn_local(pass_on(stream, meaning, sender.clone()));
        }
        Ok(Events { sender, receiver, reports: channel(REPORTS), tasks, runtime })
    }

    /// For each core's thread to tell its end.
    #[must_use]
    pub fn core_end(&self) -> CoreEnd {
        CoreEnd(self.sender.clone())
    }

    /// For each core's worker to tell of its rate limits.
    #[must_use]
    pub fn reports(&self) -> Reports {
        Reports(self.reports.0.clone())
    }
}

/// A core's end of the queue of reports.
#[derive(Debug, Clone)]
pub struct Reports(Sender<ShareReport>);

impl ReportSink for Reports {
    fn try_report(&mut self, report: ShareReport) -> bool {
        self.0.try_send(report).is_ok()
    }
}

/// What the control thread serves by itself.
#[derive(Debug, Default)]
pub struct Services {
    pub admin: Option<Listening>,
    pub built_in: Option<BuiltInUpstream>,
}

/// Runs until the process is to leave; returns its exit code.
pub fn run(control: Control, events: Events, services: Services) -> io::Result<u8> {
    let Events { sender, receiver, reports, tasks, runtime } = events;
    tasks.block_on(&runtime, async {
        let control = Rc::new(RefCell::new(control));
        spawn_local(share_rate_limits(Rc::clone(&control), reports.1));
        serve(control, sender, receiver, services).await
    })
}

async fn serve(
    control: Rc<RefCell<Control>>,
    sender: Sender<Event>,
    mut receiver: Receiver<Event>,
    services: Services,
) -> io::Result<u8> {
    if let Some(built_in) = services.built_in {
        spawn_local(built_in.serve()?);
    }
    if let Some(listening) = services.admin {
        spawn_local(admin::serve(listening, Rc::clone(&control), sender.clone())?);
    }
    let discoveries = control.borrow().search.subscribe();
    spawn_local(supervise(discoveries, sender.clone()));
    let heard = control.borrow_mut().setup.health_events.receiver.take();
    if let Some(heard) = heard {
        spawn_local(health::run::run(Rc::clone(&control), heard, sender.clone()));
    }
    while let Some(event) = receiver.recv().await {
        let next = control.borrow_mut().handle(event);
        match next {
            Next::GoOn => {}
            Next::WatchDrain(after) => watch_drain(after, sender.clone()),
            Next::Leave(code) => {
                leave(&control, &mut receiver).await;
                return Ok(code);
            }
        }
    }
    Ok(0)
}

/// Moves shares of token buckets to the cores that need them.
async fn share_rate_limits(control: Rc<RefCell<Control>>, mut reports: Receiver<ShareReport>) {
    let mut tended = Instant::now();
    loop {
        let is_busy = control.borrow().has_rate_limits();
        let next = async {
            if is_busy {
                timeout_at(tended + SHARES_PAUSE, reports.recv()).await
            } else {
                Ok(reports.recv().await)
            }
        };
        match next.await {
            Ok(Some(report)) => control.borrow_mut().handle_report(&report),
            Ok(None) => return,
            Err(_) => {}
        }
        if tended.elapsed() >= SHARES_PAUSE {
            tended = Instant::now();
            control.borrow_mut().tend_rate_limits();
        }
    }
}

/// Tells [`Event::DrainOverdue`] after a while.
pub(crate) fn watch_drain(after: Duration, sender: Sender<Event>) {
    spawn_local(async move {
        sleep(after).await;
        let _ = sender.send(Event::DrainOverdue).await;
    });
}

/// Waits for the cores to end, for a moment, and lets the log thread write what they left.
async fn leave(control: &Rc<RefCell<Control>>, receiver: &mut Receiver<Event>) {
    // An admin client that asked for the end gets its answer.
    sleep(Duration::from_millis(5)).await;
    let end = Instant::now() + STOP_PATIENCE;
    while control.borrow().life.cores_running() > 0 {
        match timeout_at(end, receiver.recv()).await {
            Ok(Some(event @ Event::CoreEnded { .. })) => {
                control.borrow_mut().handle(event);
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => break,
        }
    }
    control.borrow_mut().setup.access_log.finish(LOG_PATIENCE);
}

async fn pass_on(mut stream: tokio::signal::unix::Signal, meaning: Signal, sender: Sender<Event>) {
    while stream.recv().await.is_some() {
        let _ = sender.try_send(Event::Signal(meaning));
    }
}
