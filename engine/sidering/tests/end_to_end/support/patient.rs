//! An origin that says its name, says on `/healthz` how it is, and knows what it was asked.

use super::Origin;
use super::web::reply;
use super::wire::Wire;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

#[derive(Default)]
struct State {
    is_sick: AtomicBool,
    requests: AtomicUsize,
    checks: AtomicUsize,
    /// Checks are not answered for now.
    is_held: Mutex<bool>,
    released: Condvar,
}

pub(crate) struct Patient {
    pub(crate) origin: Origin,
    state: Arc<State>,
}

impl Patient {
    /// One that is well.
    pub(crate) fn start(name: impl ToString) -> Patient {
        Patient::new(name, false, |handler| Some(Origin::start(handler)))
    }

    /// One that is not.
    pub(crate) fn start_sick(name: impl ToString) -> Patient {
        Patient::new(name, true, |handler| Some(Origin::start(handler)))
    }

    /// Several with their addresses for names, on one port of the loopback network; some of them sick.
    pub(crate) fn start_on_one_port<const N: usize>(
        ips: [&'static str; N],
        sick: &[&str],
    ) -> (u16, [Patient; N]) {
        for _ in 0..20 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let started = ips.map(|ip| {
                let address = SocketAddr::new(ip.parse().unwrap(), port);
                Patient::try_new(ip, sick.contains(&ip), |handler| Origin::start_on(address, handler))
            });
            if started.iter().all(Option::is_some) {
                return (port, started.map(Option::unwrap));
            }
        }
        panic!("no port that is free on {ips:?}");
    }

    fn new(
        name: impl ToString,
        is_sick: bool,
        start: impl FnOnce(Box<Handler>) -> Option<Origin>,
    ) -> Patient {
        Patient::try_new(name, is_sick, start).expect("a free port")
    }

    fn try_new(
        name: impl ToString,
        is_sick: bool,
        start: impl FnOnce(Box<Handler>) -> Option<Origin>,
    ) -> Option<Patient> {
        let state = Arc::new(State { is_sick: is_sick.into(), ..State::default() });
        let (ours, name) = (Arc::clone(&state), name.to_string());
        let origin = start(Box::new(move |wire, _| ours.serve(wire, &name)))?;
        Some(Patient { origin, state })
    }

    pub(crate) fn fall_sick(&self) {
        self.state.is_sick.store(true, Ordering::SeqCst);
    }

    pub(crate) fn recover(&self) {
        self.state.is_sick.store(false, Ordering::SeqCst);
    }

    /// How many requests came, without checks.
    pub(crate) fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// How many checks came.
    pub(crate) fn checks(&self) -> usize {
        self.state.checks.load(Ordering::SeqCst)
    }

    /// Answers no check until `release`.
    pub(crate) fn hold(&self) {
        *self.state.is_held.lock().unwrap() = true;
    }

    pub(crate) fn release(&self) {
        *self.state.is_held.lock().unwrap() = false;
        self.state.released.notify_all();
    }
}

impl Drop for Patient {
    fn drop(&mut self) {
        self.release();
    }
}

type Handler = dyn Fn(&mut Wire, usize) -> io::Result<()> + Send + Sync;

impl State {
    fn serve(&self, wire: &mut Wire, name: &str) -> io::Result<()> {
        loop {
            if wire.head()?.target() != "/healthz" {
                self.requests.fetch_add(1, Ordering::SeqCst);
                reply(wire, 200, name)?;
                continue;
            }
            self.checks.fetch_add(1, Ordering::SeqCst);
            drop(self.released.wait_while(self.is_held.lock().unwrap(), |is_held| *is_held).unwrap());
            match self.is_sick.load(Ordering::SeqCst) {
                true => reply(wire, 503, "sick")?,
                false => reply(wire, 200, "well")?,
            }
        }
    }
}
