//! Reads when requests of a route are sent again.

use super::problem::Problems;
use super::section::{Section, integer, list, text};
use super::suggest::nearest;
use super::tree::Tree;
use sidering_dataplane::config::{BackOff, RetryOn, RetryPolicy};

/// Between attempts at most; more is no retry but a load.
const ATTEMPTS: std::ops::RangeInclusive<u64> = 0..=100;
const LATER_KEYS: &[&str] = &["rate_limited_back_off", "previous_hosts"];

/// Reads `retry` of a route whose requests, or calls, may take `timeout_ms`.
pub(super) fn read(tree: &Tree, timeout_ms: u64, is_rpc: bool, problems: &Problems) -> RetryPolicy {
    let default = RetryPolicy::default();
    let mut section = Section::open("a retry policy", tree, problems);
    let on = section.require("on", "a list of conditions such as [connect-failure, 5xx]");
    let on = on.map_or_else(RetryOn::default, |tree| conditions(tree, is_rpc, problems));
    let attempts = section.integer("attempts", ATTEMPTS, u64::from(default.attempts)) as u32;
    let per_try_timeout_ms = section.duration_ms("per_try_timeout", 0, 0);
    if let Some(place) = section.place_of("per_try_timeout")
        && timeout_ms > 0
        && per_try_timeout_ms >= timeout_ms
    {
        let expected = "less than `timeout`, or it never comes to a second one";
        problems.warning(place, "one try may take as long as all of them", expected);
    }
    if is_rpc {
        let owner = "HTTP: a call that takes too long is sent again once its attempt is given up, by `per_try_timeout`";
        section.misplaced(&["hedge_on_per_try_timeout"], owner);
    }
    let hedge_on_per_try_timeout =
        section.boolean("hedge_on_per_try_timeout", default.hedge_on_per_try_timeout);
    if let Some(place) = section.place_of("hedge_on_per_try_timeout")
        && hedge_on_per_try_timeout
        && per_try_timeout_ms == 0
    {
        let expected = "`per_try_timeout`, unless requests bring their own";
        problems.warning(place, "nothing to hedge on", expected);
    }
    let back_off = section.find("back_off").map_or(default.back_off, |tree| back_off(tree, problems));
    let status_codes = section.find("status_codes");
    let status_codes = status_codes.map_or(vec![], |tree| statuses(tree, problems));
    let headers = section.find("headers").map_or(vec![], |tree| names(tree, problems));
    section.later(LATER_KEYS);
    const STATUS_CODES: (&[&str], &str) = (&["status_codes"], "`status_codes`: a list such as [409, 503]");
    const HEADERS: (&[&str], &str) = (&["headers"], "`headers`: a list such as [x-try-again]");
    for (condition, (keys, example), is_empty) in [
        (RetryOn::RETRIABLE_STATUS_CODES, STATUS_CODES, status_codes.is_empty()),
        (RetryOn::RETRIABLE_HEADERS, HEADERS, headers.is_empty()),
    ] {
        let key = keys[0];
        let name = condition.names().next().unwrap_or_default();
        match section.place_of(key) {
            Some(place) if !on.has(condition) => {
                let expected = format!("`{name}` in `on`, without which it means nothing");
                problems.error(place, format!("`{key}` that nobody asks for"), expected);
            }
            None if on.has(condition) && is_empty => {
                section.lacks(keys, format!("`{name}` without `{key}`"), example);
            }
            _ => {}
        }
    }
    section.finish();
    RetryPolicy {
        on,
        attempts,
        per_try_timeout_ms,
        hedge_on_per_try_timeout,
        back_off,
        status_codes,
        headers,
    }
}

fn conditions(tree: &Tree, is_rpc: bool, problems: &Problems) -> RetryOn {
    let mut on = RetryOn::default();
    for item in list(tree, "conditions", problems) {
        let Some(given) = text(item, "a condition such as 5xx", problems) else { continue };
        match RetryOn::named(given.as_bytes()) {
            Some(condition) if is_rpc && condition.has(RetryOn::OF_HTTP) => {
                let expected = "5xx, gateway-error, retriable-status-codes and the like: statuses of calls are mapped to HTTP's";
                problems.error(
                    item.place,
                    format!("{} of calls, which have none", item.describe()),
                    expected,
                );
            }
            Some(condition) => on = on.with(condition),
            None => {
                let known = RetryOn::NAMES.map(|(name, _)| name);
                let expected = match nearest(given, known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("one of {}", known.join(", ")),
                };
                problems.error(item.place, format!("{} is not a condition", item.describe()), expected);
            }
        }
    }
    on
}

fn back_off(tree: &Tree, problems: &Problems) -> BackOff {
    let default = BackOff::default();
    let mut section = Section::open("a back-off", tree, problems);
    let base_ms = section.duration_ms("base", 1, default.base_ms);
    let max_ms = section.duration_ms("max", 1, base_ms.saturating_mul(10));
    if let Some(place) = section.place_of("max").filter(|_| max_ms < base_ms) {
        problems.error(place, "a back-off that is over before it has begun", "at least `base`");
    }
    section.finish();
    BackOff { base_ms, max_ms: max_ms.max(base_ms) }
}

fn statuses(tree: &Tree, problems: &Problems) -> Vec<u16> {
    let items = list(tree, "statuses", problems).iter();
    items.filter_map(|item| integer(item, 200..=599, problems)).map(|status| status as u16).collect()
}

fn names(tree: &Tree, problems: &Problems) -> Vec<String> {
    let mut names = vec![];
    for item in list(tree, "field names", problems) {
        let Some(given) = text(item, "a field name", problems) else { continue };
        if super::units::is_token(given) {
            names.push(given.to_ascii_lowercase());
        } else {
            problems.error(
                item.place,
                format!("{} is no field name", item.describe()),
                "a name such as x-retry",
            );
        }
    }
    names
}
