//! The control thread's state and what it does with events: reload, drain, stop, reopen. It waits for nothing; the loop
//! around it does.

use crate::access_log::AccessLog;
use crate::clock::{Clock, unix_micros};
use crate::config::{LoadError, Loaded, Overrides, Settings, load, show_address};
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
use sidering_dataplane::config::Snapshot;
use sidering_dataplane::filter::local_rate_limit::shares::ShareReport;
use sidering_dataplane::message::{EndpointsUpdate, Message};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

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
    /// Follows the first configuration already, if there was anything to wait for.
    pub search: EndpointSearch,
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
    /// Opens the listeners of the first configuration and sends it to the cores. Errors are sentences.
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
        control.apply(loaded)?;
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
                let timeout = Duration::from_millis(self.snapshot.drain_timeout_ms);
                log::info(format_args!("draining, for at most {} s", timeout.as_secs_f32()));
                self.tell_all(|| Message::Drain);
                Next::WatchDrain(timeout + DRAIN_GRACE)
            }
            Act::Stop => {
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

    /// Reads the file again and applies it whole, or not at all. Switches of zones are the file's again.
    pub(crate) fn reload(&mut self) -> bool {
        self.reload_with(vec![])
    }

    /// Turns a switch of a zone or city until the next reload, by way of reading the file again.
    pub(crate) fn turn_switch(&mut self, switch: ZoneSwitch) -> bool {
        let others = self.zone_switches.iter().filter(|known| !switch.overrules(known)).cloned();
        let mut switches: Vec<_> = others.collect();
        switches.push(switch);
        self.reload_with(switches)
    }

    fn reload_with(&mut self, switches: Vec<ZoneSwitch>) -> bool {
        let applied = match &self.setup.source {
            Source::BuiltIn => {
                Err(vec!["the built-in configuration cannot be reloaded; give a file with -c".to_owned()])
            }
            Source::File(_) if self.life.phase() != Phase::Live => {
                Err(vec!["the process is draining".to_owned()])
            }
            Source::File(path) => match self.load_again(path) {
                Ok(mut loaded) => {
                    for switch in &switches {
                        switch.turn(&mut loaded.snapshot);
                    }
                    self.reapply(loaded)
                }
                Err(LoadError::Invalid(report)) => {
                    let count = report.errors();
                    Err(vec![format!("{count} errors in {}\n{}", report.name, report.to_string().trim_end())])
                }
                Err(error) => Err(vec![error.to_string()]),
            },
        };
        match applied {
            Ok(()) => {
                self.reloads += 1;
                self.zone_switches = switches;
                log::info(format_args!("configuration reloaded: version {}", self.snapshot.version));
                true
            }
            Err(errors) => {
                self.reload_failures += 1;
                for error in errors {
                    log::error(format_args!("reload refused, the old configuration stays: {error}"));
                }
                false
            }
        }
    }

    /// The file as it is now, for the cores that there are.
    fn load_again(&self, path: &Path) -> Result<Loaded, LoadError> {
        let loaded = load(path, &self.setup.overrides)?;
        if loaded.settings.workers == self.settings.workers {
            return Ok(loaded);
        }
        log::warning(format_args!("`workers` changed in the file; that takes a restart"));
        load(path, &Overrides { workers: Some(self.settings.workers), ..self.setup.overrides })
    }

    fn reapply(&mut self, mut loaded: Loaded) -> Result<(), Vec<String>> {
        let (old, new) = (&self.settings, &mut loaded.settings);
        for (key, differs) in [("engine", old.engine != new.engine), ("admin", old.admin != new.admin)] {
            if differs {
                log::warning(format_args!("`{key}` changed in the file; that takes a restart"));
            }
        }
        new.workers_auto = old.workers_auto;
        new.engine = old.engine;
        new.admin.clone_from(&old.admin);
        self.apply(loaded)
    }

    /// All that can fail comes first: opening files and sockets. Then the log thread, then the cores are told.
    fn apply(&mut self, loaded: Loaded) -> Result<(), Vec<String>> {
        let Loaded { settings, mut snapshot, discoveries, report } = loaded;
        if report.warnings() > 0 {
            log::warning(format_args!("{} warnings\n{}", report.warnings(), report.to_string().trim_end()));
        }
        snapshot.version = self.snapshot.version + 1;
        let prepared = self.open.prepare(&mut snapshot, &mut *self.cores)?;
        self.setup.search.fill(&mut snapshot, &discoveries);
        let log_settings = settings.access_log.as_ref();
        let file = self.setup.access_log.prepare(log_settings).map_err(|error| {
            let path = log_settings.map(|log| log.path.display().to_string()).unwrap_or_default();
            vec![format!(
                "access log {path} cannot be written: {error}; give a path that can with `access_log`"
            )]
        })?;
        // As they are found, without what is known against them.
        let endpoints = snapshot.clusters.iter().map(|cluster| Arc::clone(&cluster.endpoints)).collect();
        self.prepare_health(&mut snapshot);
        let snapshot = Arc::new(snapshot);
        self.setup.access_log.apply(log_settings, file, &snapshot);
        for (id, opened) in self.open.adopt(prepared) {
            let name =
                snapshot.listeners.iter().find(|listener| listener.id == id).map_or("", |known| &known.name);
            log::info(format_args!("listening name={name} address={}", show_address(&opened.address)));
            for (core, socket) in opened.sockets.into_iter().enumerate() {
                self.tell(core, Order::Listen(id, socket));
            }
        }
        self.rate_limits.begin(snapshot.version);
        for (core, update) in self.setup.ledger.apply(&snapshot).into_iter().enumerate() {
            self.tell(core, Order::Message(Message::Apply(update)));
        }
        self.setup.search.adopt(&snapshot, endpoints, &discoveries);
        snapshot.clusters.iter().for_each(|cluster| self.count_members(&cluster.name));
        self.settings = settings;
        self.snapshot = snapshot;
        Ok(())
    }

    /// A search for endpoints had an outcome: the cores hear of it if it changes anything.
    fn take_endpoints(&mut self, found: Found) {
        let Some(Taken { cluster, before, now }) = self.setup.search.take(found) else { return };
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
#[cfg(test)]
mod tests;
