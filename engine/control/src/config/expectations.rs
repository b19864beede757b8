//! Reads a file of expectations for `sidering explain --expect`: requests and what should become of them. It explains none.

use super::problem::{Problems, Report};
use super::section::{Section, address, integer, list, scalar, text};
use super::tree::{self, Tree, Value};
use crate::explain::{Expectation, Expected, Question, Wanted};
use sidering_dataplane::io::Address;
use std::net::IpAddr;

const ACTIONS: [&str; 4] = ["cluster", "redirect", "direct_response", "none"];
const PLAIN: [(&str, Wanted); 11] = [
    ("listener", Wanted::Listener),
    ("virtual_host", Wanted::VirtualHost),
    ("cluster", Wanted::Cluster),
    ("endpoint", Wanted::Endpoint),
    ("redirect", Wanted::Redirect),
    ("body", Wanted::Body),
    ("details", Wanted::Details),
    ("path", Wanted::Path),
    ("host", Wanted::Host),
    ("route", Wanted::Route),
    ("line", Wanted::Line),
];

/// Reads a file's text; `name` stands in the messages.
pub fn expectations(name: &str, text: &str) -> Result<Vec<Expectation>, Report> {
    let problems = Problems::default();
    let mut read = vec![];
    if let Some(tree) = tree::parse(text, &problems) {
        read = list(&tree, "expectations", &problems)
            .iter()
            .filter_map(|item| expectation(item, &problems))
            .collect();
    }
    let report = Report::new(name, text, problems.into_sorted());
    if report.errors() == 0 { Ok(read) } else { Err(report) }
}

fn expectation(tree: &Tree, problems: &Problems) -> Option<Expectation> {
    let mut section = Section::open("an expectation", tree, problems);
    let words = section.require("request", "one such as GET http://host/path");
    let headers = section.find("headers").map_or(vec![], |tree| headers(tree, problems));
    let question = words.and_then(|tree| {
        let words = text(tree, "a request such as GET http://host/path", problems)?;
        let refused = |error| problems.error(tree.place, error, "METHOD http://host/path");
        Question::from_words(words, headers).map_err(refused).ok()
    });
    let body = section.find("body").and_then(|tree| text(tree, "a text", problems));
    let listener = section.find("listener").and_then(|tree| text(tree, "a listener's name", problems));
    let source = section.find("source").and_then(|tree| source(tree, problems));
    let random = section.find("random").and_then(|tree| integer(tree, 0..=u64::MAX, problems));
    let down = section.find("down").map_or(vec![], |tree| addresses(tree, problems));
    let unhealthy = section.find("unhealthy").map_or(vec![], |tree| addresses(tree, problems));
    let answers = section.find("answer").map(one_or_more);
    let expected = section.require("expect", "a mapping such as { cluster: api, status: 200 }");
    let expected = expected.map_or(vec![], |tree| expect(tree, problems));
    section.finish();
    let mut question = question?;
    question.body = body.unwrap_or_default().to_owned();
    question.listener = listener.map(ToOwned::to_owned);
    question.world.source = source.or(question.world.source);
    question.world.random = random.unwrap_or(question.world.random);
    question.world.down = down;
    question.world.unhealthy = unhealthy;
    if let Some(answers) = answers {
        let status = |tree| integer(tree, 200..=599, problems).map(|status| status as u16);
        question.world.answers = answers.iter().filter_map(status).collect();
    }
    Some(Expectation { question, line: tree.place.line, column: tree.place.column, expected })
}

/// `name: value` each; a value may be a list.
fn headers(tree: &Tree, problems: &Problems) -> Vec<(String, String)> {
    let Value::Mapping(entries) = &tree.value else {
        problems.error(
            tree.place,
            format!("{} is no mapping of headers", tree.describe()),
            "{ name: value }",
        );
        return vec![];
    };
    let mut headers = vec![];
    for entry in entries {
        for value in one_or_more(&entry.value) {
            let Some(value) = text(value, "a header's value", problems) else { continue };
            match Question::header(&format!("{}: {value}", entry.key)) {
                Ok(header) => headers.push(header),
                Err(error) => problems.error(entry.place, error, "a name and a value of one line"),
            }
        }
    }
    headers
}

fn addresses(tree: &Tree, problems: &Problems) -> Vec<Address> {
    list(tree, "addresses", problems).iter().filter_map(|tree| address(tree, problems)).collect()
}

fn source(tree: &Tree, problems: &Problems) -> Option<IpAddr> {
    let address = text(tree, "an IP address", problems)?.parse().ok();
    if address.is_none() {
        problems.error(
            tree.place,
            format!("{} is not an IP address", tree.describe()),
            "one such as 10.0.0.1",
        );
    }
    address
}

fn expect(tree: &Tree, problems: &Problems) -> Vec<Expected> {
    let mut section = Section::open("what is expected", tree, problems);
    let mut expected = vec![];
    for (key, wanted) in PLAIN {
        if let Some(tree) = section.find(key) {
            expected.push(values(wanted, tree, problems));
        }
    }
    if let Some(tree) = section.find("status") {
        for status in one_or_more(tree) {
            integer(status, 0..=599, problems);
        }
        expected.push(values(Wanted::Status, tree, problems));
    }
    if let Some(tree) = section.find("action") {
        let names = ACTIONS.map(|name| (name, ()));
        super::section::choice(tree, &names, &[], problems);
        let Expected { line, column, .. } = values(Wanted::Action, tree, problems);
        let values = scalar(tree).map(ToOwned::to_owned).into_iter().collect();
        expected.push(Expected { wanted: Wanted::Action, values, line, column });
    }
    type Make = fn(String) -> Wanted;
    let fields: [(_, Make); 2] =
        [("request_headers", Wanted::RequestHeader), ("response_headers", Wanted::ResponseHeader)];
    for (key, wanted) in fields {
        match section.find(key).map(|tree| (&tree.value, tree)) {
            None => {}
            Some((Value::Mapping(entries), _)) => {
                let one = |entry: &tree::Entry| {
                    values(wanted(entry.key.to_ascii_lowercase()), &entry.value, problems)
                };
                expected.extend(entries.iter().map(one));
            }
            Some((_, tree)) => {
                problems.error(tree.place, format!("{} is no mapping", tree.describe()), "{ name: value }");
            }
        }
    }
    section.finish();
    if expected.is_empty() {
        problems.error(tree.place, "nothing is expected", "a mapping such as { cluster: api, status: 200 }");
    }
    expected
}

/// One value or a list of those that will do; `none` and nothing at all are for what should not be there.
fn values(wanted: Wanted, tree: &Tree, problems: &Problems) -> Expected {
    let mut values = vec![];
    if !matches!(tree.value, Value::Null) {
        for item in one_or_more(tree) {
            values.extend(
                text(item, "a text, or a list of those that will do", problems).map(ToOwned::to_owned),
            );
        }
    }
    if values == ["none"] {
        values.clear();
    }
    Expected { wanted, values, line: tree.place.line, column: tree.place.column }
}

fn one_or_more<'t>(tree: &'t Tree<'t>) -> &'t [Tree<'t>] {
    match &tree.value {
        Value::Sequence(items) => items,
        _ => std::slice::from_ref(tree),
    }
}
