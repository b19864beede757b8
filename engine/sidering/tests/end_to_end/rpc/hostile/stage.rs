//! Where hostile peers appear: one worker, an upstream that does what a test says, and neighbours that nothing may happen to.

use super::super::dialects::{Dialect, assert_answered};
use crate::support::{Config, Origin, Proxy, Wire, until};
use std::io;
use std::sync::{Arc, Mutex};

/// Far less than any of the lengths that are told here, and far more than the buffers of a few connections.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// What the upstream does with the next call, before it serves properly again; `false` ends its connection.
type Trick = Box<dyn FnOnce(&mut Wire, &[u8]) -> io::Result<bool> + Send>;

pub(super) struct Stage {
    pub(super) dialect: &'static Dialect,
    pub(super) proxy: Proxy,
    trick: Arc<Mutex<Option<Trick>>>,
    /// Its calls share an upstream with those of hostile clients.
    neighbour: Wire,
    /// Shares nothing with them but the worker.
    stranger: Wire,
    _origins: [Origin; 2],
}

impl Stage {
    /// A listener `calls` with these keys, whose only route has these.
    pub(super) fn set(dialect: &'static Dialect, listener: &str, route: &str) -> Stage {
        let trick: Arc<Mutex<Option<Trick>>> = Arc::default();
        let next = Arc::clone(&trick);
        let hostile = Origin::start(move |wire, _| {
            loop {
                let call = dialect.read(wire)?;
                let trick = next.lock().unwrap().take();
                let goes_on = match trick {
                    Some(trick) => trick(wire, &call)?,
                    None => wire.send(&dialect.answer_to(&call)).map(|()| true)?,
                };
                if !goes_on {
                    return Ok(());
                }
            }
        });
        let honest = Origin::start(|wire, _| dialect.serve(wire));
        let config = Config::new()
            .rpc("calls", dialect.protocol, listener, &format!("{{ match: {{}}, cluster: hostile{route} }}"))
            .rpc("other", dialect.protocol, "", "{ match: {}, cluster: honest }")
            .cluster("hostile", &hostile, "")
            .cluster("honest", &honest, "");
        let proxy = Proxy::start(&config);
        let (neighbour, stranger) = (proxy.connect("calls"), proxy.connect("other"));
        Stage { dialect, proxy, trick, neighbour, stranger, _origins: [hostile, honest] }
    }

    /// The upstream does this with the next call.
    pub(super) fn play(&self, trick: impl FnOnce(&mut Wire, &[u8]) -> io::Result<bool> + Send + 'static) {
        *self.trick.lock().unwrap() = Some(Box::new(trick));
    }

    /// A new client of the hostile upstream.
    pub(super) fn client(&self) -> Wire {
        self.proxy.connect("calls")
    }

    /// Nobody else has felt anything: whoever shares an upstream with the hostile client is served on.
    #[track_caller]
    pub(super) fn assert_unharmed(&mut self, case: &str) {
        assert_answered(self.dialect, &mut self.neighbour, case);
        self.assert_strangers_unharmed(case);
    }

    /// Whoever has nothing to do with the hostile upstream is served on. Others are as soon as its connection is given up.
    #[track_caller]
    pub(super) fn assert_served_again(&mut self, case: &str) {
        self.assert_strangers_unharmed(case);
        let (dialect, proxy, neighbour) = (self.dialect, &self.proxy, &mut self.neighbour);
        until(&format!("calls to be answered again: {case}"), || {
            let answered = neighbour.send(&dialect.call(7)).and_then(|()| dialect.read(neighbour));
            match answered {
                Ok(frame) => (frame == dialect.answer(7)).then_some(()),
                Err(_) => {
                    *neighbour = proxy.connect("calls");
                    None
                }
            }
        });
    }

    #[track_caller]
    fn assert_strangers_unharmed(&mut self, case: &str) {
        assert_answered(self.dialect, &mut self.stranger, case);
        let bytes = self.proxy.memory_bytes();
        assert!(bytes < MOST_BYTES, "{case}: {bytes} bytes of memory");
    }

    /// The client is served on, nobody else has felt anything, and nothing is left behind.
    #[track_caller]
    pub(super) fn assert_well(mut self, mut client: Wire) {
        let name = self.dialect.name;
        assert_answered(self.dialect, &mut client, name);
        self.assert_unharmed(name);
        drop(client);
        self.assert_home();
    }

    /// Everything that was lent has come back.
    #[track_caller]
    pub(super) fn assert_home(self) {
        let Stage { mut proxy, neighbour, stranger, _origins, .. } = self;
        proxy.assert_alive();
        drop((neighbour, stranger, _origins));
        proxy.assert_home();
    }
}
