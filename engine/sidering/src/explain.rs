//! `sidering explain`: what becomes of a request under a configuration, and why; or whether all expectations of a file hold.
//! It opens no socket, unless it is to resolve names.

use crate::check::describe;
use crate::cli::{BAD_USAGE, ExplainArguments, FAILURE, complain, say};
use sidering_control::config::{Overrides, expectations, load};
use sidering_control::discovery::look_once;
use sidering_control::explain::{
    self, Expectation, Failure, Question, World, check, tally, write_json, write_tally_json,
    write_tally_text, write_text,
};
use sidering_control::json::Json;
use sidering_dataplane::config::Snapshot;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

pub(crate) fn explain(arguments: &ExplainArguments) -> ExitCode {
    let mut loaded = match load(&arguments.config, &Overrides::default()) {
        Ok(loaded) => loaded,
        Err(error) => return complain(&describe(&error), BAD_USAGE),
    };
    let sources = look_once(&mut loaded, arguments.resolve);
    let snapshot = Arc::new(loaded.snapshot);
    match &arguments.expect {
        Some(file) => check_all(&snapshot, file, arguments.json),
        None => match question(arguments, sources) {
            Ok(question) => answer(&snapshot, &question, arguments),
            Err(error) => complain(&format!("error: {error}"), BAD_USAGE),
        },
    }
}

fn question(arguments: &ExplainArguments, sources: BTreeMap<String, String>) -> Result<Question, String> {
    let mut headers = vec![];
    for line in &arguments.headers {
        headers.push(Question::header(line)?);
    }
    let mut question = match (&arguments.request[..], &arguments.listener) {
        ([], Some(listener)) => Question::connection(listener),
        ([], None) => {
            return Err("nothing to explain: give a request such as GET http://host/path".to_owned());
        }
        ([url], _) => Question::new("GET", url, headers)?,
        ([method, url, ..], _) => Question::new(method, url, headers)?,
    };
    question.listener.clone_from(&arguments.listener);
    question.body = arguments.data.clone().unwrap_or_default();
    let world = World::default();
    question.world = World {
        source: arguments.source.or(world.source),
        random: arguments.random.unwrap_or(world.random),
        down: arguments.down.clone(),
        unhealthy: arguments.unhealthy.clone(),
        answers: if arguments.answers.is_empty() { world.answers } else { arguments.answers.clone() },
        sources,
    };
    Ok(question)
}

fn answer(snapshot: &Arc<Snapshot>, question: &Question, arguments: &ExplainArguments) -> ExitCode {
    let text = match arguments.count {
        Some(count) => tally(snapshot, question, count).map(|shares| match arguments.json {
            true => Json::document(|json| write_tally_json(json, &shares)),
            false => write_tally_text(&shares, question),
        }),
        None => explain::explain(snapshot, question).map(|explanation| match arguments.json {
            true => Json::document(|json| write_json(json, &explanation)),
            false => write_text(&explanation, question, arguments.all),
        }),
    };
    match text {
        Ok(text) => say(text.trim_end()),
        Err(error) => complain(&format!("error: {error}"), explain_code(&error)),
    }
}

fn explain_code(error: &explain::ExplainError) -> u8 {
    match error {
        explain::ExplainError::NoListener(_) => BAD_USAGE,
        _ => FAILURE,
    }
}

/// Checks the expectations of a file, and prints them as TAP (Test Anything Protocol, version 13) or as JSON.
fn check_all(snapshot: &Arc<Snapshot>, file: &Path, as_json: bool) -> ExitCode {
    let name = file.display().to_string();
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => return complain(&format!("error: {name}: cannot be read: {error}"), BAD_USAGE),
    };
    let expectations = match expectations(&name, &text) {
        Ok(expectations) => expectations,
        Err(report) => return complain(&report.to_string(), BAD_USAGE),
    };
    let results: Vec<(&Expectation, Vec<Failure>)> =
        expectations.iter().map(|expectation| (expectation, failures(snapshot, expectation))).collect();
    let failed = results.iter().filter(|(_, failures)| !failures.is_empty()).count();
    let text = if as_json { json(&name, &results, failed) } else { tap(&name, &results, failed) };
    let said = say(text.trim_end());
    if failed == 0 { said } else { ExitCode::from(FAILURE) }
}

/// A request that cannot be explained fails as a whole.
fn failures(snapshot: &Arc<Snapshot>, expectation: &Expectation) -> Vec<Failure> {
    check(snapshot, expectation).unwrap_or_else(|error| {
        let (line, column) = (expectation.line, expectation.column);
        vec![Failure { line, column, message: error.to_string() }]
    })
}

fn tap(name: &str, results: &[(&Expectation, Vec<Failure>)], failed: usize) -> String {
    let mut out = format!("TAP version 13\n1..{}\n", results.len());
    for (number, (expectation, failures)) in results.iter().enumerate() {
        let outcome = if failures.is_empty() { "ok" } else { "not ok" };
        // A hash would begin a directive.
        let words = expectation.question.words.replace('#', "\\#");
        out += &format!("{outcome} {} - {words}\n", number + 1);
        for Failure { line, column, message } in failures {
            out += &format!("# {name}:{line}:{column}: {message}\n");
        }
    }
    out + &format!("# {} of {} as expected\n", results.len() - failed, results.len())
}

fn json(name: &str, results: &[(&Expectation, Vec<Failure>)], failed: usize) -> String {
    Json::document(|json| {
        json.key("file").text(name);
        json.key("expectations").number(results.len() as u64);
        json.key("failed").number(failed as u64);
        json.key("results").list(results, |json, (expectation, failures)| {
            json.object(|json| {
                json.key("request").text(&expectation.question.words);
                json.key("line").number(u64::from(expectation.line));
                json.key("ok").boolean(failures.is_empty());
                json.key("failures").list(failures, |json, failure| {
                    json.object(|json| {
                        json.key("line").number(u64::from(failure.line));
                        json.key("column").number(u64::from(failure.column));
                        json.key("message").text(&failure.message);
                    });
                });
            });
        });
    })
}
