//! Reads which requests a route takes.

use super::problem::Problems;
use super::protocol::{has_calls, is_rpc};
use super::section::{Section, choice, integer, list, text};
use super::tree::Tree;
use super::{matcher, units};
use sidering_dataplane::config::{
    Conditions, HeaderMatch, PathMatch, QueryMatch, RouteMatch, RpcMatch, Share,
};
use sidering_dataplane::route::Template;

/// What only calls have.
const CALL_KEYS: &[&str] = &["service", "method", "version", "group"];
/// What only requests of HTTP have; `method` is a call's.
const HTTP_KEYS: &[&str] = &["path", "prefix", "regex", "template", "connect", "methods", "query", "grpc"];
const PATHS: [&str; 4] = ["path", "prefix", "regex", "template"];
const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "PATCH"];
/// So many methods, headers, parameters or ranges are plenty for one route.
const CONDITIONS: usize = 64;

/// Reads a `match`.
pub(super) fn read(tree: &Tree, protocol: &str, problems: &Problems) -> RouteMatch {
    let mut section = Section::open("a match", tree, problems);
    if is_rpc(protocol) {
        let conditions = of_calls(&mut section);
        section
            .misplaced(HTTP_KEYS, "HTTP; a call has `service`, `method`, `version`, `group` and `headers`");
        section.finish();
        return RouteMatch { conditions: boxed(conditions), ..RouteMatch::default() };
    }
    let path = path_match(&mut section);
    let connect = section.boolean("connect", false);
    let mut conditions = conditions(&mut section);
    if has_calls(protocol) {
        conditions.rpc = rpc(&mut section);
        exclude(&section);
    } else {
        section.misplaced(CALL_KEYS, "listeners that speak a protocol of calls, such as bolt");
    }
    let mut given: Vec<_> = PATHS.iter().filter_map(|key| section.place_of(key)).collect();
    given.sort_unstable();
    if let Some(second) = given.get(1) {
        problems.error(*second, "a match with two paths", "one of `path`, `prefix`, `regex` and `template`");
    } else if let Some(place) = given.first().filter(|_| connect) {
        problems.error(
            *place,
            "a path in a match for CONNECT",
            "{ connect: true } without a path: CONNECT requests have none",
        );
    }
    section.finish();
    RouteMatch { path, connect, conditions: boxed(conditions) }
}

/// Most routes ask nothing.
fn boxed(conditions: Conditions) -> Option<Box<Conditions>> {
    (conditions != Conditions::default()).then(|| Box::new(conditions))
}

/// What is asked of a call.
fn of_calls(section: &mut Section<'_>) -> Conditions {
    let problems = section.problems;
    let rpc = rpc(section);
    let asked = of_any(section);
    if let Some(place) = section.place_of("headers")
        && asked.headers.iter().any(HeaderMatch::looks_at_path)
    {
        problems.error(place, "a condition on the path of a call", "another header: calls have no path");
    }
    Conditions { rpc, ..asked }
}

fn rpc(section: &mut Section<'_>) -> Option<Box<RpcMatch>> {
    let problems = section.problems;
    let mut part = |key| section.find(key).map(|tree| matcher::text_or_pattern(tree, problems));
    let rpc = RpcMatch {
        service: part("service"),
        method: part("method"),
        version: part("version"),
        group: part("group"),
    };
    (rpc != RpcMatch::default()).then(|| Box::new(rpc))
}

/// Where both come, nothing is a call and a request of HTTP at a time.
fn exclude(section: &Section<'_>) {
    let place_of = |keys: &[&str]| keys.iter().find_map(|key| section.place_of(key));
    if let (Some(_), Some(place)) = (place_of(CALL_KEYS), place_of(HTTP_KEYS)) {
        let message = "a condition on requests of HTTP beside one on calls";
        section.problems.error(place, message, "two routes: nothing is both");
    }
}

fn path_match(section: &mut Section<'_>) -> PathMatch {
    let problems = section.problems;
    let exact = section.find("path").and_then(|tree| path(tree, problems)).map(PathMatch::Exact);
    let prefix = section.find("prefix").and_then(|tree| path(tree, problems)).map(PathMatch::Prefix);
    let regex = section
        .find("regex")
        .and_then(|tree| matcher::regex(tree, problems))
        .map(Box::new)
        .map(PathMatch::Regex);
    let template = section
        .find("template")
        .and_then(|tree| template(tree, problems))
        .map(Box::new)
        .map(PathMatch::Template);
    exact.or(prefix).or(regex).or(template).unwrap_or_default()
}

fn path(tree: &Tree, problems: &Problems) -> Option<String> {
    let given = text(tree, "a path such as /v1", problems)?;
    let bad = |character: char| character.is_whitespace() || character.is_control();
    let expected = if !given.starts_with('/') {
        "a path that begins with /"
    } else if given.contains(['?', '#']) {
        "a path alone: the query is not part of what is matched"
    } else if given.contains(bad) {
        "a path without spaces, percent-encoded as in a request"
    } else {
        return Some(given.to_owned());
    };
    problems.error(tree.place, format!("{} is not a path", tree.describe()), expected);
    None
}

fn template(tree: &Tree, problems: &Problems) -> Option<Template> {
    let given = text(tree, "a template such as /users/{id}", problems)?;
    let refused = |expected| {
        problems.error(tree.place, format!("{} is not a path template", tree.describe()), expected);
    };
    Template::new(given).map_err(refused).ok()
}

/// What is asked of a request of HTTP beyond its path.
fn conditions(section: &mut Section<'_>) -> Conditions {
    let problems = section.problems;
    let methods = section.find("methods").map_or(vec![], |tree| some(tree, "methods", problems, method));
    let query = section.find("query").map_or(vec![], |tree| some(tree, "query parameters", problems, query));
    let grpc = section.boolean("grpc", false);
    Conditions { methods, query, grpc, ..of_any(section) }
}

/// What is asked of whatever is routed.
fn of_any(section: &mut Section<'_>) -> Conditions {
    let problems = section.problems;
    let header = |tree: &Tree, problems: &Problems| Some(matcher::header(tree, problems));
    let headers = section.find("headers").map_or(vec![], |tree| some(tree, "headers", problems, header));
    let block = |tree: &Tree, problems: &Problems| Some(matcher::cidr(tree, problems));
    let sources = section.find("source").map_or(vec![], |tree| some(tree, "address blocks", problems, block));
    let runtime_fraction = section.find("runtime_fraction").and_then(|tree| share(tree, problems));
    Conditions { headers, sources, runtime_fraction, ..Conditions::default() }
}

/// The items of a list that is not too long.
fn some<T>(
    tree: &Tree,
    of: &'static str,
    problems: &Problems,
    read: impl Fn(&Tree, &Problems) -> Option<T>,
) -> Vec<T> {
    let items = list(tree, of, problems);
    if items.len() > CONDITIONS {
        problems.error(
            tree.place,
            format!("{} {of} in one match", items.len()),
            format!("at most {CONDITIONS}"),
        );
    }
    let mut read: Vec<T> = items.iter().filter_map(|item| read(item, problems)).collect();
    read.shrink_to_fit();
    read
}

fn method(tree: &Tree, problems: &Problems) -> Option<String> {
    let given = text(tree, "a method such as GET", problems)?;
    let meant = METHODS.iter().find(|known| known.eq_ignore_ascii_case(given) && **known != given);
    let expected = match meant {
        Some(meant) => format!("`{meant}`: methods are told apart by case"),
        None if !units::is_token(given) => "a method such as GET".to_owned(),
        None => return Some(given.to_owned()),
    };
    problems.error(tree.place, format!("{} is not a method", tree.describe()), expected);
    None
}

/// Reads one of `query`.
fn query(tree: &Tree, problems: &Problems) -> Option<QueryMatch> {
    let mut section = Section::open("a query match", tree, problems);
    let name = section.require("name", "a parameter's name").and_then(|tree| parameter(tree, problems));
    section.misplaced(&["range", "invert"], "header matches");
    let value = matcher::pattern(&mut section);
    let present = section.boolean("present", true);
    if let Some(place) = section.place_of("present") {
        if !present {
            problems.error(place, "a parameter that must be absent", "present: true, or a header match");
        } else if matcher::has_pattern(&section) {
            problems.error(place, "two conditions in one match", "`present`, or a condition on the value");
        }
    }
    section.finish();
    Some(QueryMatch { name: name?, value })
}

fn parameter(tree: &Tree, problems: &Problems) -> Option<String> {
    let given = text(tree, "a parameter's name", problems)?;
    if given.is_empty() || given.contains(['&', '=', '#', ' ']) {
        let message = format!("{} is not a parameter's name", tree.describe());
        problems.error(tree.place, message, "a name, percent-encoded as in a request");
        return None;
    }
    Some(given.to_owned())
}

/// As Envoy's FractionalPercent has it.
fn share(tree: &Tree, problems: &Problems) -> Option<Share> {
    let mut section = Section::open("a runtime fraction", tree, problems);
    let denominators = [("hundred", 100), ("ten_thousand", 10_000), ("million", 1_000_000)];
    let denominator =
        section.find("denominator").map_or(Some(100), |tree| choice(tree, &denominators, &[], problems));
    let numerator = section.require("numerator", "how many of `denominator`");
    section.finish();
    let denominator: u32 = denominator?;
    let numerator = integer(numerator?, 0..=u64::from(denominator), problems)? as u32;
    Some(Share(numerator * (Share::ALL.0 / denominator)))
}
