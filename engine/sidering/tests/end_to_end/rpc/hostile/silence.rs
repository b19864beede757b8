//! Frames that break off, and then nothing: no client and no upstream is waited for longer than the configuration says.

use super::super::dialects::{DIALECTS, Dialect};
use super::stage::Stage;
use std::io::ErrorKind;

/// Short enough for a test, with room for the honest ones on a slow machine: they have no limit.
const LIMITS: &str = "limits: { request_headers_timeout: 100ms, stream_idle_timeout: 100ms }";

/// Where a frame is cut: at every byte in front, and at some behind.
fn cuts(frame: &[u8]) -> impl Iterator<Item = usize> + use<> {
    let length = frame.len();
    (1..length).filter(move |at| *at < 30 || at % 16 == 0 || *at == length - 1)
}

fn cut_calls(dialect: &'static Dialect) {
    let mut stage = Stage::set(dialect, LIMITS, "");
    let call = dialect.call(5);
    // All at once.
    let clients: Vec<_> = cuts(&call)
        .map(|at| {
            let mut client = stage.client();
            client.send(&call[..at]).unwrap();
            (at, client)
        })
        .collect();
    stage.assert_unharmed(dialect.name);
    for (at, mut client) in clients {
        let case = format!("{} cut at {at}", dialect.name);
        // Whose head was there is told so, and may yet send the rest.
        match dialect.read(&mut client) {
            Ok(refusal) => assert!(refusal != dialect.answer(5), "{case}: nobody sent all of it"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{case}: {error}"),
        }
    }
    stage.assert_unharmed(dialect.name);
    stage.assert_home();
}

fn cut_answers(dialect: &'static Dialect) {
    let mut stage = Stage::set(dialect, "", ", timeout: 50ms");
    let length = dialect.answer(5).len();
    for at in [1, 3, 7, 12, 17, 21, length - 1] {
        let case = format!("{} cut at {at}", dialect.name);
        stage.play(move |wire, call| {
            wire.send(&dialect.answer_to(call)[..at])?;
            // Until the proxy has had enough.
            wire.rest()?;
            Ok(false)
        });
        let mut client = stage.client();
        client.send(&dialect.call(5)).unwrap();
        let _ = client.finish();
        let (bytes, _) = client.rest().unwrap_or_else(|error| panic!("{case}: no end: {error}"));
        assert!(bytes != dialect.answer(5), "{case}: nobody sent all of it");
        assert!(dialect.is_cut(&bytes) || dialect.frames(&bytes).len() == 1, "{case}: {bytes:x?}");
        stage.assert_served_again(&case);
    }
    stage.assert_home();
}

#[test]
fn behind_cut_calls() {
    DIALECTS.iter().for_each(cut_calls);
}

#[test]
fn behind_cut_answers() {
    DIALECTS.iter().for_each(cut_answers);
}
