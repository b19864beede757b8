//! Heartbeats faster than anybody takes their answers, from either side, and such that nobody asked for.

use super::super::dialects::{DIALECTS, Dialect};
use super::stage::Stage;
use crate::support::Wire;
use std::io::Write;
use std::time::Duration;

/// Far more than sockets and the proxy hold.
const FLOOD_BYTES: usize = 48 * 1024 * 1024;

type Heartbeat = fn() -> Vec<u8>;

fn with_heartbeats() -> impl Iterator<Item = (&'static Dialect, Heartbeat, Heartbeat)> {
    DIALECTS.iter().filter_map(|dialect| Some((dialect, dialect.ping?, dialect.pong?)))
}

/// Writes frames and reads nothing, until all are written, the other side takes no more, or it has closed.
fn flood(wire: &Wire, frame: &[u8]) {
    let piece = frame.repeat(64 * 1024 / frame.len());
    let mut stream = wire.stream();
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    for _ in 0..FLOOD_BYTES / piece.len() {
        if stream.write_all(&piece).is_err() {
            return;
        }
    }
}

#[test]
fn of_clients_that_take_no_answers() {
    for (dialect, ping, _) in with_heartbeats() {
        let mut stage = Stage::set(dialect, "", "");
        let client = stage.client();
        flood(&client, &ping());
        stage.assert_unharmed(dialect.name);
        drop(client);
        stage.assert_home();
    }
}

#[test]
fn of_clients_that_take_their_answers() {
    const COUNT: usize = 10_000;
    for (dialect, ping, _) in with_heartbeats() {
        let stage = Stage::set(dialect, "", "");
        let mut client = stage.client();
        let mut sender = client.try_clone().unwrap();
        let sending = std::thread::spawn(move || sender.send(&ping().repeat(COUNT)));
        let first = dialect.read(&mut client).unwrap();
        for _ in 1..COUNT {
            assert_eq!(dialect.read(&mut client).unwrap(), first, "{}", dialect.name);
        }
        sending.join().unwrap().unwrap();
        stage.assert_well(client);
    }
}

#[test]
fn of_upstreams_that_take_no_answers() {
    for (dialect, ping, _) in with_heartbeats() {
        let mut stage = Stage::set(dialect, "", ", timeout: 5s");
        stage.play(move |wire, _| {
            flood(wire, &ping());
            Ok(false)
        });
        let mut client = stage.client();
        client.send(&dialect.call(5)).unwrap();
        // Failed, in the protocol's terms.
        let answer = dialect.read(&mut client).unwrap();
        assert_ne!(answer, dialect.answer(5), "{}", dialect.name);
        stage.assert_served_again(dialect.name);
        drop(client);
        stage.assert_home();
    }
}

#[test]
fn of_answers_to_heartbeats_that_nobody_sent() {
    for (dialect, _, pong) in with_heartbeats() {
        let mut stage = Stage::set(dialect, "", "");
        stage.play(move |wire, call| {
            wire.send(&pong().repeat(50_000))?;
            wire.send(&dialect.answer_to(call))?;
            Ok(true)
        });
        let mut client = stage.client();
        client.send(&dialect.call(5)).unwrap();
        assert_eq!(dialect.read(&mut client).unwrap(), dialect.answer(5), "{}", dialect.name);
        stage.assert_unharmed(dialect.name);
        drop(client);
        stage.assert_home();
    }
}
