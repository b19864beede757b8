//! What admin can do to the process.

use super::{Query, Wish};
use crate::control::Control;
use crate::http_server::Answer;
use crate::log::{self, Level};

pub(super) fn drain_listeners(control: &mut Control, _: &Query<'_>) -> (Answer, Wish) {
    let next = control.drain();
    (Answer::text(200, "OK\n".to_owned()), Wish::Next(next))
}

pub(super) fn quit(_: &mut Control, _: &Query<'_>) -> (Answer, Wish) {
    (Answer::text(200, "OK\n".to_owned()), Wish::Quit)
}

pub(super) fn logging(_: &mut Control, query: &Query<'_>) -> (Answer, Wish) {
    let answer = match query.get("level").map(|name| (name, Level::from_name(name))) {
        Some((_, Some(level))) => {
            log::set_level(level);
            Answer::text(200, format!("level: {}\n", level.name()))
        }
        Some((name, None)) => {
            let expected = "off, error, warning, info or debug";
            Answer::text(400, format!("no level `{}`: {expected}\n", name.escape_debug()))
        }
        None => Answer::text(200, format!("level: {}\n", log::level().name())),
    };
    (answer, Wish::Nothing)
}

pub(super) fn reload(control: &mut Control, _: &Query<'_>) -> (Answer, Wish) {
    let answer = if control.reload() {
        Answer::text(200, "OK\n".to_owned())
    } else {
        Answer::text(500, "refused, the old configuration stays; the process's log tells why\n".to_owned())
    };
    (answer, Wish::Nothing)
}

pub(super) fn reopen_logs(control: &mut Control, _: &Query<'_>) -> (Answer, Wish) {
    let answer = if control.reopen_logs() {
        Answer::text(200, "OK\n".to_owned())
    } else {
        Answer::text(500, "the old file stays in use; the process's log tells why\n".to_owned())
    };
    (answer, Wish::Nothing)
}
