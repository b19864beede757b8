//! What admin can do to the process.

use super::{Query, Wish};
use crate::control::{Control, Reload};
use crate::http_server::Answer;
use crate::log::{self, Level};
use crate::zone_switch::{MOST_SWITCHES, SwitchOf, ZoneSwitch};

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
    let answer = match control.reload() {
        Reload::Applied => Answer::text(200, "OK\n".to_owned()),
        Reload::Warming => Answer::text(200, WARMING.to_owned()),
        Reload::Refused => Answer::text(
            500,
            "refused, the old configuration stays; the process's log tells why\n".to_owned(),
        ),
    };
    (answer, Wish::Nothing)
}

const WARMING: &str = "OK, once it is warm; the process's log tells what it waits for\n";

pub(super) fn reopen_logs(control: &mut Control, _: &Query<'_>) -> (Answer, Wish) {
    let answer = if control.reopen_logs() {
        Answer::text(200, "OK\n".to_owned())
    } else {
        Answer::text(500, "the old file stays in use; the process's log tells why\n".to_owned())
    };
    (answer, Wish::Nothing)
}

pub(super) fn zones(control: &mut Control, query: &Query<'_>) -> (Answer, Wish) {
    (turn_switch(control, query), Wish::Nothing)
}

fn turn_switch(control: &mut Control, query: &Query<'_>) -> Answer {
    let of = match (query.get("zone"), query.get("city")) {
        (Some(name), None) => Some(SwitchOf::Zone(name.to_owned())),
        (None, Some(name)) => Some(SwitchOf::City(name.to_owned())),
        _ => None,
    };
    let is_disabled = query.get("disabled").and_then(|value| value.parse().ok());
    let (Some(map), Some(of), Some(is_disabled)) = (query.get("map"), of, is_disabled) else {
        let expected = "?map=NAME&zone=NAME (or city=NAME)&disabled=true (or false)\n";
        return Answer::text(400, expected.to_owned());
    };
    let switch = ZoneSwitch { map: map.to_owned(), of, is_disabled };
    if !switch.turn(&mut (*control.snapshot).clone()) {
        return Answer::text(404, "no listener has a zone map with such a zone or city\n".to_owned());
    }
    if control.zone_switches().len() >= MOST_SWITCHES {
        return Answer::text(
            409,
            format!("{MOST_SWITCHES} switches are turned: turn them in the file, and reload\n"),
        );
    }
    log::warning(format_args!("switched until the next reload: {switch:?}"));
    match control.turn_switch(switch) {
        Reload::Applied => Answer::text(200, "OK, until the next reload\n".to_owned()),
        Reload::Warming => Answer::text(200, WARMING.to_owned()),
        Reload::Refused => {
            Answer::text(500, "refused, nothing has changed; the process's log tells why\n".to_owned())
        }
    }
}
