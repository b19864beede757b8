//! The control thread's state and what it does with events. It waits for nothing; the loop around it does.

use crate::access_log::AccessLog;
use crate::clock::{Clock, unix_micros};
use crate::config::{Loaded, Overrides, Settings};
use crate::cores::{Cores, Event, Order, Signal};
use crate::discovery::{EndpointSearch, Found, Taken};
use crate::health::outlier::Watch;
use crate::health::{Checks, HealthEvents, Random};
use crate::lifecycle::{Act, Lifecycle, Phase};
use crate::listeners::OpenListeners;
use crate::log;
use crate::rate_limit::{self, Broker};
use crate::stats::{Ledger, ProcessFacts};
use crate::zone_switch::ZoneSwitch;
use health::Untold;
pub(crate) use reload::Reload;
use sidering_dataplane::config::Snapshot;
use sidering_dataplane::filter::local_rate_limit::shares::ShareReport;
use sidering_dataplane::message::{EndpointsUpdate, Message};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use warming::Staged;

/// Where the configuration comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file, read anew at each HUP.
    File(PathBuf),
    /// The one inside the binary; there is nothing to reload.
    BuiltIn,
}

/// The engine that drives all cores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInUse {
    /// As the configuration writes it: "uring" or "epoll".
    pub name: &'static str,
    /// Why this one: "as configured", or "auto" and what was in the way of a better one.
    pub reason: String,
    /// What the system granted it: "SINGLE_ISSUER, DEFER_TASKRUN". Empty if there is nothing to grant.
    pub details: String,
}

/// What control needs to begin.
#[derive(Debug)]
pub struct Setup {
    pub source: Source,
    pub overrides: Overrides,
    pub clock: Clock,
    pub ledger: Ledger,
    pub access_log: AccessLog,
    /// What matters to the health of endpoints.
    pub health_events: HealthEvents,
    pub engine: EngineInUse,
    pub version: &'static str,
    pub command_line: Vec<String>,
}

/// The control thread's state.
pub struct Control {
    pub(crate) setup: Setup,
    pub(crate) settings: Settings,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) life: Lifecycle,
    pub(crate) search: EndpointSearch,
    /// What comes after `snapshot`, once it is warm.
    staged: Option<Staged>,
    pub(crate) checks: Checks,
    pub(crate) watch: Watch,
    untold: Untold,
    random: Random,
    cores: Box<dyn Cores>,
    open: OpenListeners,
    reloads: u64,
    reload_failures: u64,
    /// What overrules the file until it is read again; bounded where they are asked for.
    pub(crate) zone_switches: Vec<ZoneSwitch>,
    rate_limits: Broker,
    /// Counted by the admin server.
    pub(crate) admin_connections_refused: u64,
}

/// What the loop is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    GoOn,
    /// Look again whether the drain is over after this long.
    WatchDrain(Duration),
    /// Give the cores a moment to end, then leave with this exit code.
    Leave(u8),
}

/// A drain may last this much longer than its timeout before it is taken for stuck.
const DRAIN_GRACE: Duration = Duration::from_secs(2);

impl Control {
    /// Opens the listeners of the first configuration and sends it to the cores; at once, or when it is warm. Errors are
    /// sentences.
    pub fn start(setup: Setup, cores: Box<dyn Cores>, loaded: Loaded) -> Result<Control, Vec<String>> {
        let life = Lifecycle::new(cores.count());
        let drain_timeout_ms = loaded.snapshot.drain_timeout_ms;
        let nothing = Snapshot { drain_timeout_ms, ..Snapshot::default() };
        let random = Random::new(unix_micros());
        let mut control = Control {
            rate_limits: Broker::new(cores.count()),
            setup,
            settings: loaded.settings.clone(),
            snapshot: Arc::new(nothing),
            life,
            search: EndpointSearch::default(),
            staged: None,
            checks: Checks::default(),
            watch: Watch::default(),
            untold: Untold::default(),
            random,
            cores,
            open: OpenListeners::default(),
            reloads: 0,
            reload_failures: 0,
            zone_switches: vec![],
            admin_connections_refused: 0,
        };
        control.install(loaded, vec![])?;
        Ok(control)
    }

    pub(crate) fn handle(&mut self, event: Event) -> Next {
        let act = match event {
            Event::Signal(Signal::HangUp) => {
                self.reload();
                Act::Nothing
            }
            Event::Signal(Signal::ReopenLogs) => {
                self.reopen_logs();
                Act::Nothing
            }
            Event::Signal(Signal::Terminate) => self.life.terminate(),
            Event::Signal(Signal::Interrupt) => self.life.stop(),
            Event::CoreEnded { core, result } => {
                match &result {
                    Ok(()) => log::debug(format_args!("core {core} ended")),
                    Err(error) => log::error(format_args!("core {core} failed: {error}")),
                }
                self.life.core_ended(result.is_ok())
            }
            Event::DrainOverdue => return self.drain_overdue(),
            Event::Found(found) => {
                self.take_endpoints(found);
                Act::Nothing
            }
            Event::Warmed => return self.install_staged(),
        };
        self.carry_out(act)
    }

    /// A core tells of a token bucket.
    pub(crate) fn handle_report(&mut self, report: &ShareReport) {
        let orders = self.rate_limits.handle(report, self.setup.clock.micros() / 1000);
        self.share(orders);
    }

    /// Whether [`Control::tend_rate_limits`] is to be called in a while.
    pub(crate) fn has_rate_limits(&self) -> bool {
        self.rate_limits.is_busy()
    }

    pub(crate) fn tend_rate_limits(&mut self) {
        let orders = self.rate_limits.tick(self.setup.clock.micros() / 1000);
        self.share(orders);
    }

    fn share(&mut self, orders: rate_limit::Orders) {
        for (core, order) in orders {
            self.tell(core, Order::Message(Message::Share(order)));
        }
    }

    /// `/drain_listeners`.
    pub(crate) fn drain(&mut self) -> Next {
        let act = self.life.drain();
        self.carry_out(act)
    }

    fn carry_out(&mut self, act: Act) -> Next {
        match act {
            Act::Nothing => Next::GoOn,
            Act::Drain => {
                self.unstage();
                let timeout = Duration::from_millis(self.snapshot.drain_timeout_ms);
                log::info(format_args!("draining, for at most {} s", timeout.as_secs_f32()));
                self.tell_all(|| Message::Drain);
                Next::WatchDrain(timeout + DRAIN_GRACE)
            }
            Act::Stop => {
                self.unstage();
                log::info(format_args!("stopping"));
                self.tell_all(|| Message::Stop);
                Next::Leave(0)
            }
            Act::Leave => {
                log::info(format_args!("drained"));
                Next::Leave(0)
            }
            Act::Fail => {
                log::error(format_args!(
                    "a core ended by itself: stopping, for part of the traffic is not served"
                ));
                self.tell_all(|| Message::Stop);
                Next::Leave(1)
            }
        }
    }

    fn drain_overdue(&mut self) -> Next {
        if self.life.phase() != Phase::Draining {
            return Next::GoOn;
        }
        let running = self.life.cores_running();
        log::error(format_args!("{running} cores did not end with their drain timeout: stopping"));
        self.life.stop();
        self.tell_all(|| Message::Stop);
        Next::Leave(1)
    }

    /// A search for endpoints had an outcome: the cores hear of it if it changes anything.
    fn take_endpoints(&mut self, found: Found) {
        let name = found.discovery.cluster.clone();
        let taken = self.search.take(found);
        self.warm_found(&name);
        let Some(Taken { cluster, before, now }) = taken else { return };
        let snapshot = Arc::clone(&self.snapshot);
        let config = &snapshot.clusters[cluster.0 as usize];
        let endpoints = self.judge_endpoints(config, now, &before);
        let counters = self.setup.ledger.endpoints(&config.name, &endpoints);
        for (core, counters) in counters.into_iter().enumerate() {
            let update = EndpointsUpdate { cluster, endpoints: Arc::clone(&endpoints), counters };
            self.tell(core, Order::Message(Message::Endpoints(update)));
        }
        self.count_members(&config.name);
    }

    /// USR1.
    pub(crate) fn reopen_logs(&mut self) -> bool {
        match self.setup.access_log.reopen() {
            Ok(()) => {
                log::info(format_args!("access log reopened"));
                true
            }
            Err(error) => {
                log::error(format_args!("access log cannot be reopened, the old file stays in use: {error}"));
                false
            }
        }
    }

    /// The process as metrics and `/server_info` tell it.
    pub(crate) fn facts(&self) -> ProcessFacts {
        ProcessFacts {
            version: self.setup.version,
            engine: self.setup.engine.name,
            engine_reason: self.setup.engine.reason.clone(),
            workers: u64::from(self.settings.workers),
            uptime_seconds: self.setup.clock.micros() / 1_000_000,
            live: self.life.phase() == Phase::Live,
            state: self.life.phase().number(),
            config_version: self.snapshot.version,
            reloads: self.reloads,
            reload_failures: self.reload_failures,
            access_log_written: self.setup.access_log.counters().lines_written.get(),
            access_log_lost: self.setup.access_log.counters().lines_lost.get(),
            admin_connections_refused: self.admin_connections_refused,
        }
    }

    fn tell_all(&mut self, message: impl Fn() -> Message) {
        for core in 0..self.cores.count() {
            self.tell(core, Order::Message(message()));
        }
    }

    fn tell(&mut self, core: usize, order: Order) {
        if !self.cores.send(core, order) {
            log::debug(format_args!("core {core} takes no orders any more"));
        }
    }
}

mod health;
mod outliers;
mod reload;
#[cfg(test)]
mod tests;
mod warming;
