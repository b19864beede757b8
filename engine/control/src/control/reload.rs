//! How another configuration comes into use: it is read, tried, warmed if need be, and then takes effect whole or not at
//! all.

use super::{Control, Source};
use crate::config::{LoadError, Loaded, Overrides, load, show_address};
use crate::cores::Order;
use crate::garbage;
use crate::lifecycle::Phase;
use crate::log;
use crate::zone_switch::ZoneSwitch;
use sidering_dataplane::message::Message;
use std::path::Path;
use std::sync::Arc;

/// What became of a wish to reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reload {
    Applied,
    /// It takes effect when it is warm, unless another one comes before.
    Warming,
    /// Nothing changes.
    Refused,
}

impl Control {
    /// Reads the file again and applies it whole, or not at all. Switches of zones are the file's again.
    pub(crate) fn reload(&mut self) -> Reload {
        self.reload_with(vec![])
    }

    /// Turns a switch of a zone or city until the next reload, by way of reading the file again.
    pub(crate) fn turn_switch(&mut self, switch: ZoneSwitch) -> Reload {
        let others = self.zone_switches().iter().filter(|known| !switch.overrules(known)).cloned();
        let mut switches: Vec<_> = others.collect();
        switches.push(switch);
        self.reload_with(switches)
    }

    fn reload_with(&mut self, switches: Vec<ZoneSwitch>) -> Reload {
        let installed = match &self.setup.source {
            Source::BuiltIn => {
                Err(vec!["the built-in configuration cannot be reloaded; give a file with -c".to_owned()])
            }
            Source::File(_) if self.life.phase().is_ending() => {
                Err(vec!["the process is draining".to_owned()])
            }
            Source::File(path) => match self.load_again(path) {
                Ok(mut loaded) => {
                    for switch in &switches {
                        switch.turn(&mut loaded.snapshot);
                    }
                    self.keep_process_settings(&mut loaded);
                    self.install(loaded, switches)
                }
                Err(LoadError::Invalid(report)) => {
                    Err(vec![format!("{}\n{}", report.count(), report.to_string().trim_end())])
                }
                Err(error) => Err(vec![error.to_string()]),
            },
        };
        installed.unwrap_or_else(|errors| self.refuse(errors))
    }

    pub(super) fn refuse(&mut self, errors: Vec<String>) -> Reload {
        self.reload_failures += 1;
        for error in errors {
            log::error(format_args!("reload refused, the old configuration stays: {error}"));
        }
        Reload::Refused
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

    fn keep_process_settings(&self, loaded: &mut Loaded) {
        let (old, new) = (&self.settings, &mut loaded.settings);
        for (key, differs) in [
            ("engine", old.engine != new.engine),
            ("admin", old.admin != new.admin),
            ("rpc_metrics", old.max_rpc_methods != new.max_rpc_methods),
        ] {
            if differs {
                log::warning(format_args!("`{key}` changed in the file; that takes a restart"));
            }
        }
        new.workers_auto = old.workers_auto;
        new.engine = old.engine;
        new.max_rpc_methods = old.max_rpc_methods;
        new.admin.clone_from(&old.admin);
    }

    /// Puts a configuration in use, at once or when it is warm.
    pub(super) fn install(
        &mut self,
        mut loaded: Loaded,
        switches: Vec<ZoneSwitch>,
    ) -> Result<Reload, Vec<String>> {
        if loaded.report.warnings() > 0 {
            let (count, text) = (loaded.report.warnings(), loaded.report.to_string());
            log::warning(format_args!("{count} warnings\n{}", text.trim_end()));
        }
        self.search.fill(&mut loaded.snapshot, &loaded.discoveries);
        if self.needs_warming(&loaded) {
            self.try_out(&loaded)?;
            self.stage(loaded, switches);
            return Ok(Reload::Warming);
        }
        self.apply(loaded, switches)?;
        Ok(Reload::Applied)
    }

    /// What can be wrong with it is told now, while whoever wants it is looking, and not when it is warm.
    fn try_out(&mut self, loaded: &Loaded) -> Result<(), Vec<String>> {
        self.open.prepare(&mut loaded.snapshot.clone(), &mut *self.cores)?;
        self.open_access_log(loaded).map(|_| ())
    }

    fn open_access_log(&mut self, loaded: &Loaded) -> Result<Option<std::fs::File>, Vec<String>> {
        let settings = loaded.settings.access_log.as_ref();
        self.setup.access_log.prepare(settings).map_err(|error| {
            let path = settings.map(|log| log.path.display().to_string()).unwrap_or_default();
            vec![format!(
                "access log {path} cannot be written: {error}; give a path that can with `access_log`"
            )]
        })
    }

    /// All that can fail comes first: opening files and sockets. Then the log thread, then the cores are told.
    pub(super) fn apply(&mut self, mut loaded: Loaded, switches: Vec<ZoneSwitch>) -> Result<(), Vec<String>> {
        loaded.snapshot.version = self.snapshot.version + 1;
        let prepared = self.open.prepare(&mut loaded.snapshot, &mut *self.cores)?;
        let file = self.open_access_log(&loaded)?;
        let Loaded { settings, mut snapshot, discoveries, .. } = loaded;
        // As they are found, without what is known against them.
        let endpoints = snapshot.clusters.iter().map(|cluster| Arc::clone(&cluster.endpoints)).collect();
        self.prepare_health(&mut snapshot);
        let snapshot = Arc::new(snapshot);
        self.setup.access_log.apply(settings.access_log.as_ref(), file, &snapshot);
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
        self.search.adopt(&snapshot, endpoints, &discoveries);
        snapshot.clusters.iter().for_each(|cluster| self.count_members(&cluster.name));
        if self.life.phase() == Phase::Initializing {
            self.life.began();
        } else {
            self.reloads += 1;
            log::info(format_args!("configuration reloaded: version {}", snapshot.version));
        }
        self.settings = settings;
        self.snapshot = snapshot;
        self.zone_switches = switches;
        self.unstage();
        garbage::give_back_soon();
        Ok(())
    }
}
