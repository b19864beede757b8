//! `sidering run`: configuration, cores, listeners, control, in this order, so that the first request can be answered
//! as soon as possible and the first error ends it before anything is half begun.

use crate::check::describe;
use crate::cli::{BAD_USAGE, FAILURE, RunArguments, VERSION, complain};
use crate::engine;
use crate::fleet::{Fleet, Outbox};
use crate::host;
use anyhow::{Context, anyhow};
use sidering_control::access_log::AccessLog;
use sidering_control::clock::Clock;
use sidering_control::config::{LoadError, Loaded, Settings, load, parse};
use sidering_control::stats::Ledger;
use sidering_control::{
    BuiltInUpstream, Control, EngineInUse, Events, HealthEvents, Listening, Services, Setup, Source, log,
};
use sidering_dataplane::io::Address;
use std::process::ExitCode;

/// What runs without -c.
const DEFAULT: &str = include_str!("../../../configs/default.yaml");

pub(crate) fn run(arguments: &RunArguments) -> ExitCode {
    let clock = Clock::start();
    let overrides = arguments.overrides();
    let (loaded, source) = match &arguments.config {
        Some(path) => (load(path, &overrides), Source::File(path.clone())),
        None => {
            (parse("configs/default.yaml", DEFAULT, &overrides).map_err(LoadError::Invalid), Source::BuiltIn)
        }
    };
    match loaded {
        Err(error) => complain(&describe(&error), BAD_USAGE),
        Ok(loaded) => match serve(arguments, clock, loaded, source) {
            Ok(code) => ExitCode::from(code),
            Err(error) => complain(&format!("error: {error:#}"), FAILURE),
        },
    }
}

fn serve(arguments: &RunArguments, clock: Clock, mut loaded: Loaded, source: Source) -> anyhow::Result<u8> {
    host::keep_pages_small();
    host::raise_descriptor_limit();
    let mut services = Services::default();
    if matches!(source, Source::BuiltIn) {
        let built_in = BuiltInUpstream::bind().context("no loopback port for the built-in upstream")?;
        built_in.substitute(&mut loaded.snapshot);
        services.built_in = Some(built_in);
    }
    services.admin = loaded.settings.admin.as_ref().map(bind_admin).transpose()?;

    let decision = engine::decide(loaded.settings.engine).map_err(anyhow::Error::msg)?;
    let workers = loaded.settings.workers as usize;
    let ledger = Ledger::counting_methods(workers, loaded.settings.max_rpc_methods);
    let (access_log, sinks) = AccessLog::new(workers, clock);
    let events = Events::new(workers).context("the control thread cannot watch for signals")?;
    let cpus = host::affinity();
    let pinned = (cpus.len() == workers).then_some(&*cpus);
    let health_events = HealthEvents::default();
    let outbox = Outbox { end: events.core_end(), reports: events.reports(), notices: health_events.sink() };
    let (fleet, engine) = Fleet::start(decision, &ledger, sinks, clock, pinned, &outbox)?;
    announce(&loaded.settings, arguments, &engine, pinned.is_some());

    let setup = Setup {
        source,
        overrides: arguments.overrides(),
        clock,
        ledger,
        access_log,
        health_events,
        engine,
        version: VERSION,
        command_line: std::env::args().collect(),
    };
    let control =
        Control::start(setup, Box::new(fleet), loaded).map_err(|errors| anyhow!(errors.join("\nerror: ")))?;
    if let Some(admin) = &services.admin {
        log::info(format_args!("admin address={}", admin.address()));
    }
    sidering_control::run(control, events, services).context("the control thread cannot wait for events")
}

fn bind_admin(address: &Address) -> anyhow::Result<Listening> {
    Listening::bind(address).with_context(|| {
        let address = match address {
            Address::Ip(address) => address.to_string(),
            Address::Unix(path) => format!("unix:{}", path.display()),
        };
        format!(
            "admin cannot listen on {address}; give another `admin: {{ address: ... }}`, or `admin: null`"
        )
    })
}

/// The one line that tells what runs, and why so.
fn announce(settings: &Settings, arguments: &RunArguments, engine: &EngineInUse, pinned: bool) {
    let workers = settings.workers;
    let why = if settings.workers_auto { "as many as usable CPUs" } else { "as configured" };
    let pinned = if pinned { ", each on a CPU of its own" } else { "" };
    let config = arguments.config.as_ref().map_or("built-in".to_owned(), |path| path.display().to_string());
    let EngineInUse { name, reason, details } = engine;
    let details = if details.is_empty() { String::new() } else { format!("; {details}") };
    log::info(format_args!(
        "sidering {VERSION} engine={name} ({reason}{details}) workers={workers} ({why}{pinned}) config={config} pid={}",
        std::process::id()
    ));
}
