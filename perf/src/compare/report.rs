//! What a comparison found, for people and for programs.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::figures::*;
use super::goal::Verdict;
use super::peer::Peer;
use super::rounds::{Effort, Outcome};

/// A column of the table: heading, figure, what to divide by, and decimals.
struct Column(&'static str, &'static str, f64, usize);

const MIB: f64 = 1024.0 * 1024.0;

const COLUMNS: [Column; 15] = [
    Column("CPU µs/req", CPU_US, 1.0, 2),
    Column("user", USER_US, 1.0, 2),
    Column("system", SYSTEM_US, 1.0, 2),
    Column("req/s", REQUESTS_PER_SECOND, 1.0, 0),
    Column("p50 µs", P50_US, 1.0, 0),
    Column("p99 µs", P99_US, 1.0, 0),
    Column("p99.9 µs", P99_9_US, 1.0, 0),
    Column("GB/CPU s", GB_PER_CPU_SECOND, 1.0, 2),
    Column("GB/s", GB_PER_SECOND, 1.0, 2),
    Column("bytes/conn", BYTES_PER_CONNECTION, 1.0, 0),
    Column("busy %", BUSY_SHARE, 0.01, 0),
    Column("start ms", STARTUP_MS, 1.0, 2),
    Column("own MiB", MEMORY_BYTES, MIB, 2),
    Column("copied", BYTES_COPIED, 1.0, 0),
    Column("errors", ERRORS, 1.0, 0),
];

/// The table of one case, with its goals.
pub(crate) fn table(outcome: &Outcome) -> String {
    let mut text = format!("\n## {}: {}\n", outcome.case.name, outcome.case.about);
    for remark in &outcome.remarks {
        push_line(&mut text, remark);
    }
    let measured: Vec<(Peer, Figures)> =
        outcome.measured().map(|peer| (peer, outcome.medians_of(peer))).collect();
    let columns: Vec<&Column> = COLUMNS
        .iter()
        .filter(|column| measured.iter().any(|(_, figures)| figures.contains_key(column.1)))
        .collect();
    if !measured.is_empty() {
        let heading: String = columns.iter().map(|column| format!("{:>12}", column.0)).collect();
        push_line(&mut text, &format!("{:<11}{heading}   ours/it [min-max]", ""));
    }
    for (peer, figures) in &measured {
        let cells: String = columns.iter().map(|column| cell(column, figures)).collect();
        let ratio = match outcome.ratio_to(outcome.case.main_figure, *peer) {
            Some(ratio) if *peer != Peer::Ours => {
                format!("{:>10.2} [{:.2}-{:.2}]", ratio.median, ratio.min, ratio.max)
            }
            _ => String::new(),
        };
        push_line(&mut text, format!("{:<11}{cells}{ratio}", peer.name()).trim_end());
    }
    for verdict in outcome.verdicts() {
        push_line(&mut text, &goal_line(&verdict));
    }
    for (peer, what) in &outcome.failures {
        push_line(&mut text, &format!("FAILED {}: {what}", peer.name()));
    }
    text
}

/// How many goals were met, over all cases.
pub(crate) fn summary(outcomes: &[Outcome]) -> String {
    let verdicts: Vec<Verdict> = outcomes.iter().flat_map(Outcome::verdicts).collect();
    let count = |met| verdicts.iter().filter(|verdict| verdict.met == met).count();
    format!(
        "\ngoals: {} met, {} not met, {} not measured\n",
        count(Some(true)),
        count(Some(false)),
        count(None)
    )
}

pub(crate) fn json(outcomes: &[Outcome], effort: Effort) -> Value {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cases: Vec<Value> = outcomes.iter().map(case_json).collect();
    json!({
        "kernel": kernel.trim(),
        "rounds": effort.rounds,
        "seconds": effort.seconds,
        "cases": cases,
    })
}

fn case_json(outcome: &Outcome) -> Value {
    let proxies: Map<String, Value> = outcome
        .measured()
        .map(|peer| {
            let rounds: Vec<_> = outcome.rounds.iter().map(|round| round.get(&peer)).collect();
            (peer.name().to_owned(), json!({ "medians": outcome.medians_of(peer), "rounds": rounds }))
        })
        .collect();
    let ratios: Map<String, Value> = outcome
        .measured()
        .filter(|&peer| peer != Peer::Ours)
        .filter_map(|peer| {
            let ratio = outcome.ratio_to(outcome.case.main_figure, peer)?;
            let value = json!({ "median": ratio.median, "min": ratio.min, "max": ratio.max });
            Some((peer.name().to_owned(), value))
        })
        .collect();
    let goals: Vec<Value> = outcome
        .verdicts()
        .iter()
        .map(|verdict| json!({ "goal": verdict.text, "value": verdict.value, "met": verdict.met }))
        .collect();
    let failures: Vec<Value> =
        outcome.failures.iter().map(|(peer, what)| json!({ "proxy": peer.name(), "what": what })).collect();
    json!({
        "name": outcome.case.name,
        "about": outcome.case.about,
        "remarks": outcome.remarks,
        "figure_of_ratios": outcome.case.main_figure,
        "proxies": proxies,
        "ratios_ours_to": ratios,
        "goals": goals,
        "failures": failures,
    })
}

fn cell(column: &Column, figures: &Figures) -> String {
    match figures.get(column.1) {
        Some(value) => format!("{:>12.*}", column.3, value / column.2),
        None => format!("{:>12}", "-"),
    }
}

fn goal_line(verdict: &Verdict) -> String {
    let value = verdict.value.map_or_else(String::new, |value| format!("{value:.2}, "));
    let state = match verdict.met {
        Some(true) => "met",
        Some(false) => "NOT MET",
        None => "not measured",
    };
    format!("goal: {}: {value}{state}", verdict.text)
}

fn push_line(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::compare::case;

    fn outcome() -> Outcome {
        let figures = |cpu_us| Figures::from([(CPU_US, cpu_us), (MEMORY_BYTES, MIB)]);
        let round = BTreeMap::from([(Peer::Ours, figures(7.0)), (Peer::Nginx, figures(10.0))]);
        Outcome {
            case: case::find("http1-c64").expect("it is in the table"),
            rounds: vec![round],
            failures: vec![(Peer::Envoy, "it is not there".to_owned())],
            remarks: Vec::new(),
        }
    }

    #[test]
    fn the_table_shows_ratio_goal_and_failure() {
        let table = table(&outcome());
        assert!(table.contains("0.70 [0.70-0.70]"), "{table}");
        assert!(table.contains("goal: cpu_us_per_request at most 0.75 of nginx: 0.70, met"), "{table}");
        assert!(table.contains("at most 0.27 of envoy: not measured"), "{table}");
        assert!(table.contains("FAILED envoy: it is not there"), "{table}");
    }

    #[test]
    fn the_json_holds_the_same() {
        let effort = Effort { rounds: 1, seconds: 1.0 };
        let json = json(&[outcome()], effort);
        let case = &json["cases"][0];
        assert_eq!(case["ratios_ours_to"]["nginx"]["median"], 0.7);
        assert_eq!(case["proxies"]["ours"]["medians"][CPU_US], 7.0);
        assert_eq!(case["goals"][0]["met"], true);
        assert!(summary(&[outcome()]).contains("1 met, 0 not met, 4 not measured"));
    }
}
