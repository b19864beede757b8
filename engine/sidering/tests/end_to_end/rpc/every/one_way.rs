//! Calls that nobody answers: each reaches the upstream once, takes no place, and leaves those in front and behind alone.

use super::super::dialects::{DIALECTS, assert_answered};
use super::listener;
use super::terms::{is_one_way, number, one_way, with_number};
use crate::support::{Config, Origin, Proxy, until};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

#[test]
fn of_clients_with_other_calls() {
    const COUNT: u32 = 200;
    for dialect in &DIALECTS {
        let noted: Arc<Mutex<Vec<u32>>> = Arc::default();
        let sink = Arc::clone(&noted);
        let origin = Origin::start(move |wire, _| {
            loop {
                let call = dialect.read(wire)?;
                if is_one_way(dialect, &call) {
                    sink.lock().unwrap().push(number(&call, &dialect.call(5)));
                } else {
                    wire.send(&dialect.answer_to(&call))?;
                }
            }
        });
        let config = listener(Config::new(), dialect, "calls", "", "cluster: api");
        let proxy = Proxy::start(&config.cluster("api", &origin, ""));
        let mut wire = proxy.connect("calls");
        for at in 0..COUNT {
            let note = one_way(dialect, with_number(dialect, dialect.call(5), at));
            wire.send(&note).unwrap();
            if at % 10 == 0 {
                assert_answered(dialect, &mut wire, dialect.name);
            }
        }
        until("the notes", || (noted.lock().unwrap().len() >= COUNT as usize).then_some(()));
        assert_answered(dialect, &mut wire, dialect.name);
        let mut notes = noted.lock().unwrap().clone();
        notes.sort_unstable();
        assert_eq!(notes, (0..COUNT).collect::<Vec<_>>(), "{}", dialect.name);
        drop((wire, origin));
        proxy.assert_home();
    }
}

#[test]
fn of_which_nothing_is_told_when_they_have_nowhere_to_go() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for dialect in &DIALECTS {
        let config = listener(Config::new(), dialect, "calls", "", "cluster: down");
        let proxy = Proxy::start(&config.cluster("down", closed, ""));
        let mut wire = proxy.connect("calls");
        wire.send(&one_way(dialect, dialect.call(5)).repeat(3)).unwrap();
        wire.send(&dialect.call(6)).unwrap();
        // The answer to the call behind them: only it has one.
        let answer = dialect.read(&mut wire).unwrap();
        let plain = dialect.answer(6);
        assert!(answer != plain, "{}", dialect.name);
        until("the end of all streams", || {
            (proxy.metrics().sum("sidering_streams_active") == 0.0).then_some(())
        });
        wire.finish().unwrap();
        assert_eq!(wire.rest().unwrap().0, b"", "{}", dialect.name);
        proxy.assert_home();
    }
}
