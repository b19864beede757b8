//! Cores for tests: they open real sockets, take all orders, and do nothing.

use crate::access_log::AccessLog;
use crate::clock::Clock;
use crate::config::{Overrides, load};
use crate::control::{Control, EngineInUse, Setup, Source};
use crate::cores::{Cores, Event, Opened, Order};
use crate::health::HealthEvents;
use crate::stats::Ledger;
use sidering_dataplane::io::{Address, ListenerId};
use sidering_dataplane::message::{HealthChange, HealthUpdate, Message, Update};
use std::cell::RefCell;
use std::net::TcpListener;
use std::path::Path;
use std::rc::Rc;

/// What the cores were told: `(core, order)`.
pub(crate) type Orders = Rc<RefCell<Vec<(usize, Order)>>>;

pub(crate) struct TestCores {
    pub(crate) orders: Orders,
}

impl Cores for TestCores {
    fn count(&self) -> usize {
        2
    }

    fn open(&mut self, address: &Address) -> Result<Opened, String> {
        let Address::Ip(ip) = address else { return Err("only IP in tests".to_owned()) };
        let listener = TcpListener::bind(ip).map_err(|error| format!("cannot listen on {ip}: {error}"))?;
        let bound = listener.local_addr().map_err(|error| error.to_string())?;
        let clone = listener.try_clone().map_err(|error| error.to_string())?;
        Ok(Opened { address: Address::Ip(bound), sockets: vec![listener.into(), clone.into()] })
    }

    fn send(&mut self, core: usize, order: Order) -> bool {
        self.orders.borrow_mut().push((core, order));
        true
    }
}

/// What the orders since the last call were, in short; and the update that core 0 got with them.
pub(crate) fn take(orders: &Orders) -> (Vec<String>, Option<Update>) {
    let mut update = None;
    let mut short = vec![];
    for (core, order) in orders.borrow_mut().drain(..) {
        short.push(match order {
            Order::Listen(ListenerId(id), _) => format!("{core}: listen {id}"),
            Order::Message(Message::Endpoints(_)) => format!("{core}: endpoints"),
            Order::Message(Message::Share(order)) => format!("{core}: share {order:?}"),
            Order::Message(Message::Health(update)) => format!("{core}: health {}", show(&update)),
            Order::Message(Message::Ask(_) | Message::Answer(_)) => panic!("what cores tell each other"),
            Order::Message(Message::Drain) => format!("{core}: drain"),
            Order::Message(Message::Stop) => format!("{core}: stop"),
            Order::Message(Message::Apply(new)) => {
                let line = format!("{core}: apply {}", new.snapshot.version);
                update = update.or(Some(new));
                line
            }
        });
    }
    (short, update)
}

/// Which ports have which flags from now on.
fn show(update: &HealthUpdate) -> String {
    let one = |change: &HealthChange| {
        let port = change.address.to_string().rsplit(':').next().unwrap_or_default().to_owned();
        assert!(!change.set.has_any(change.clear));
        let set: String = change.set.names().map(|name| format!(" {name}")).collect();
        port + if set.is_empty() { " healthy" } else { &set }
    };
    let mut lines: Vec<String> = update.changes.iter().map(one).collect();
    lines.sort_unstable();
    lines.join(", ")
}

/// A control with two cores that runs the file.
pub(crate) fn start(path: &Path) -> Result<(Control, Orders), Vec<String>> {
    let overrides = Overrides { workers: Some(2), engine: None };
    let loaded = load(path, &overrides).map_err(|error| vec![error.to_string()])?;
    let orders = Orders::default();
    let clock = Clock::start();
    let (access_log, _) = AccessLog::new(2, clock);
    let setup = Setup {
        source: Source::File(path.to_owned()),
        overrides,
        clock,
        ledger: Ledger::new(2),
        access_log,
        health_events: HealthEvents::default(),
        engine: EngineInUse {
            name: "uring",
            reason: "as configured".to_owned(),
            details: "all flags".to_owned(),
        },
        version: "1.2.3",
        command_line: vec!["sidering".to_owned(), "run".to_owned()],
    };
    let cores = Box::new(TestCores { orders: Rc::clone(&orders) });
    Ok((Control::start(setup, cores, loaded)?, orders))
}

/// As [`start`], with the configuration in use although nothing of it has been checked.
pub(crate) fn start_cold(path: &Path) -> Result<(Control, Orders), Vec<String>> {
    let (mut control, orders) = start(path)?;
    if control.poll_warmed(u64::MAX) {
        control.handle(Event::Warmed);
    }
    Ok((control, orders))
}
