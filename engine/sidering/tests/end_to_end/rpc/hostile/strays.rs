//! Whole frames where they do not belong: ids that come twice, answers that nobody asked for, answers instead of calls, calls
//! instead of answers, and bytes of no frame behind good ones.

use super::super::dialects::{DIALECTS, Dialect, assert_answered};
use super::lengths::frames_until_end;
use super::stage::Stage;

/// No frame of any protocol begins like these.
const GARBAGE: [&[u8]; 3] = [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[0xff; 64], &[0; 64]];

fn with_ids() -> impl Iterator<Item = &'static Dialect> {
    DIALECTS.iter().filter(|dialect| dialect.has_ids)
}

#[test]
fn two_calls_under_one_id_get_two_answers() {
    for dialect in &DIALECTS {
        let stage = Stage::set(dialect, "", "");
        let mut client = stage.client();
        for _ in 0..10 {
            client.send(&dialect.call(5).repeat(3)).unwrap();
            for _ in 0..3 {
                assert_eq!(dialect.read(&mut client).unwrap(), dialect.answer(5), "{}", dialect.name);
            }
        }
        stage.assert_well(client);
    }
}

#[test]
fn two_calls_under_one_id_that_are_under_way_at_once_get_two_answers() {
    for dialect in with_ids() {
        let stage = Stage::set(dialect, "", "");
        stage.play(|wire, first| {
            let second = dialect.read(wire)?;
            wire.send(&[dialect.answer_to(&second), dialect.answer_to(first)].concat())?;
            Ok(true)
        });
        let mut client = stage.client();
        client.send(&dialect.call(5).repeat(2)).unwrap();
        for _ in 0..2 {
            assert_eq!(dialect.read(&mut client).unwrap(), dialect.answer(5), "{}", dialect.name);
        }
        stage.assert_well(client);
    }
}

#[test]
fn answers_that_nobody_asked_for_reach_nobody() {
    for dialect in with_ids() {
        let mut stage = Stage::set(dialect, "", "");
        stage.play(|wire, call| {
            let answer = dialect.answer_to(call);
            let unknown = (dialect.id)(call) ^ 0x0100_0000;
            wire.send(&[dialect.answer_under(unknown), answer.clone(), answer].concat())?;
            Ok(true)
        });
        let mut client = stage.client();
        client.send(&dialect.call(5)).unwrap();
        assert_eq!(dialect.read(&mut client).unwrap(), dialect.answer(5), "{}", dialect.name);
        assert_answered(dialect, &mut client, dialect.name);
        stage.assert_unharmed(dialect.name);
        let strays = stage.proxy.metrics().sum_where("sidering_cluster_upstream_rq_stray", "hostile");
        assert_eq!(strays, 2.0, "{}", dialect.name);
        drop(client);
        stage.assert_home();
    }
}

#[test]
fn without_ids_an_answer_too_many_is_nobodys() {
    for dialect in DIALECTS.iter().filter(|dialect| !dialect.has_ids) {
        let mut stage = Stage::set(dialect, "", "");
        for _ in 0..5 {
            // The second one bears the number of the next call.
            stage.play(|wire, call| {
                let mut second = dialect.answer(6);
                let at = second.len() - 2;
                second[at] = b'!';
                wire.send(&[dialect.answer_to(call), second].concat())?;
                Ok(true)
            });
            let mut client = stage.client();
            client.send(&dialect.call(5)).unwrap();
            assert_eq!(dialect.read(&mut client).unwrap(), dialect.answer(5), "{}", dialect.name);
            assert_answered(dialect, &mut client, dialect.name);
            stage.assert_unharmed(dialect.name);
        }
        stage.assert_home();
    }
}

#[test]
fn a_client_that_answers_is_cut_off() {
    for dialect in &DIALECTS {
        let mut stage = Stage::set(dialect, "", "");
        let mut client = stage.client();
        assert_answered(dialect, &mut client, dialect.name);
        client.send(&dialect.answer(5)).unwrap();
        client.assert_ended();
        let metrics = stage.proxy.metrics();
        let errors = metrics.sum_where("sidering_http_downstream_cx_protocol_error", "calls");
        assert_eq!(errors, 1.0, "{}", dialect.name);
        stage.assert_unharmed(dialect.name);
        drop(client);
        stage.assert_home();
    }
}

#[test]
fn an_upstream_that_calls_is_refused_and_still_answers() {
    for dialect in with_ids() {
        let mut stage = Stage::set(dialect, "", "");
        stage.play(|wire, call| {
            wire.send(&dialect.call(5))?;
            let refusal = dialect.read(wire)?;
            assert!(refusal != dialect.answer(5), "{}: its call was answered", dialect.name);
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

#[test]
fn garbage_behind_a_good_call_ends_its_client_alone() {
    for dialect in &DIALECTS {
        let mut stage = Stage::set(dialect, "", "");
        for garbage in GARBAGE {
            for in_one_piece in [true, false] {
                let case = format!("{}, {garbage:x?}", dialect.name);
                let mut client = stage.client();
                if in_one_piece {
                    client.send(&[&dialect.call(5), garbage].concat()).unwrap();
                } else {
                    assert_answered(dialect, &mut client, &case);
                    client.send(garbage).unwrap();
                }
                let frames = frames_until_end(dialect, &mut client, &case);
                assert!(frames.iter().all(|frame| *frame == dialect.answer(5)), "{case}: {frames:x?}");
                stage.assert_unharmed(&case);
            }
        }
        stage.assert_home();
    }
}

#[test]
fn garbage_behind_a_good_answer_takes_nothing_from_it() {
    for dialect in &DIALECTS {
        let mut stage = Stage::set(dialect, "", "");
        for garbage in GARBAGE {
            let case = format!("{}, {garbage:x?}", dialect.name);
            stage.play(move |wire, call| {
                wire.send(&[&dialect.answer_to(call), garbage].concat())?;
                Ok(true)
            });
            let mut client = stage.client();
            client.send(&dialect.call(5)).unwrap();
            assert_eq!(dialect.read(&mut client).unwrap(), dialect.answer(5), "{case}");
            stage.assert_served_again(&case);
        }
        stage.assert_home();
    }
}
