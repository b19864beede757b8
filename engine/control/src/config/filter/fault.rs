//! Reads fault injection.

use super::super::matcher::{header, share};
use super::super::problem::Problems;
use super::super::section::{Section, integer, list};
use super::super::tree::Tree;
use sidering_dataplane::config::Share;
use sidering_dataplane::filter::FilterConfig;
use sidering_dataplane::filter::fault::{Abort, Config, Delay};

pub(super) fn read(section: &mut Section<'_>, workers: u32) -> FilterConfig {
    let problems = section.problems;
    let delay = section.find("delay").and_then(|tree| delay(tree, problems));
    let abort = section.find("abort").and_then(|tree| abort(tree, problems));
    let headers =
        section.find("headers").map_or(&[][..], |tree| list(tree, "conditions on headers", problems));
    let headers = headers.iter().map(|tree| header(tree, problems)).collect();
    let most =
        section.find("max_active_faults").and_then(|tree| integer(tree, 0..=u64::from(u32::MAX), problems));
    let max_active_faults = most.map_or(u64::MAX, |most| most.div_ceil(u64::from(workers.max(1))));
    section.later(&["response_rate_limit", "upstream_cluster", "downstream_nodes"]);
    FilterConfig::Fault(Box::new(Config { delay, abort, headers, max_active_faults }))
}

fn delay(tree: &Tree, problems: &Problems) -> Option<Delay> {
    let mut section = Section::open("a delay", tree, problems);
    let share = percentage(&mut section);
    let fixed = section.find("fixed_delay").map(|_| section.duration_ms("fixed_delay", 1, 1));
    let by_header = by_header(&mut section, "header_delay");
    one_of(&mut section, &["fixed_delay", "header_delay"], fixed.is_some(), by_header);
    section.finish();
    match fixed {
        Some(ms) => Some(Delay::Fixed { ms, share }),
        None => by_header.then_some(Delay::Header { share }),
    }
}

fn abort(tree: &Tree, problems: &Problems) -> Option<Abort> {
    let mut section = Section::open("an abort", tree, problems);
    let share = percentage(&mut section);
    let status = section.find("http_status").map(|tree| integer(tree, 200..=599, problems).unwrap_or(500));
    let by_header = by_header(&mut section, "header_abort");
    section.later(&["grpc_status"]);
    one_of(&mut section, &["http_status", "header_abort"], status.is_some(), by_header);
    section.finish();
    match status {
        Some(status) => Some(Abort::Fixed { status: status as u16, share }),
        None => by_header.then_some(Abort::Header { share }),
    }
}

fn percentage(section: &mut Section<'_>) -> Share {
    let problems = section.problems;
    let tree = section.require("percentage", "which share of the requests, in per cent");
    tree.map(|tree| share(tree, problems)).unwrap_or_default()
}

/// `{}` behind the key: the client's headers decide.
fn by_header(section: &mut Section<'_>, key: &'static str) -> bool {
    let problems = section.problems;
    section.find(key).map(|tree| Section::open("header control", tree, problems).finish()).is_some()
}

fn one_of(section: &mut Section<'_>, keys: &'static [&'static str; 2], has_fixed: bool, has_header: bool) {
    let [fixed, by_header] = keys;
    let place = section.place_of(by_header).unwrap_or(section.place);
    match (has_fixed, has_header) {
        (true, true) => {
            section.problems.error(
                place,
                "a fault of two kinds",
                format!("either `{fixed}` or `{by_header}`"),
            );
        }
        (false, false) => {
            let expected = format!("`{fixed}`, or `{by_header}: {{}}`");
            section.lacks(keys, "a fault that does nothing", expected);
        }
        _ => {}
    }
}
