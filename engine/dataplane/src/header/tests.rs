//! Operations against what Envoy documents of them ("Custom request/response headers").

use super::*;
use crate::config::{FieldSource, FieldValue, HeaderOperator, HeaderTemplate, HeaderValue};
use crate::header::capture_request;
use crate::observe::access_log::ResponseFlags;
use crate::testing::fields;
use sidering_codecs::{BodyLength, Method, RequestHead, Version};

/// Lines as they go out.
fn lines(fields: &Fields<'_>, edits: &Edits) -> Vec<String> {
    let own =
        fields.iter().enumerate().filter(|(index, _)| !edits.is_removed(*index)).map(|(_, field)| field);
    let all = own.chain(edits.added().iter());
    all.map(|field| String::from_utf8(field.line.to_vec()).unwrap().trim_end().to_owned()).collect()
}

fn head<'a>(fields: Fields<'a>) -> RequestHead<'a> {
    RequestHead {
        rpc: None,
        method: Method::Get,
        version: Version::Http11,
        authority: b"h:80",
        path: b"/a?b=c",
        authority_overrides_host: false,
        fields,
        body: BodyLength::None,
        upgrade: None,
        expects_continue: false,
    }
}

fn field(name: &str) -> FieldValue {
    FieldValue { first: FieldSource::Field(name.into()), second: None, limit: None }
}

/// A name with its value: `=name` is `%REQ(name)%`.
fn value(text: &str) -> HeaderValue {
    let (name, value) = text.split_once(": ").unwrap();
    let piece = |part: &str| match part.strip_prefix('=') {
        Some(asked) => HeaderPiece::Value(HeaderOperator::Request(field(asked))),
        None => HeaderPiece::Text(part.into()),
    };
    let pieces = value.split('+').map(piece).collect();
    HeaderValue { name: name.into(), value: HeaderTemplate { source: String::new(), pieces } }
}

fn operations(remove: &[&str], set: &[&str], add: &[&str]) -> HeaderOperations {
    HeaderOperations {
        remove: remove.iter().map(ToString::to_string).collect(),
        set: set.iter().map(|text| value(text)).collect(),
        add: add.iter().map(|text| value(text)).collect(),
    }
}

const ROOMY: Bounds = Bounds { bytes: 64 * 1024, fields: 100 };

fn changed(levels: &[HeaderOperations], came: &[&str]) -> Vec<String> {
    let (bytes, spans) = fields(came);
    let fields = Fields::new(&bytes, &spans);
    let head = head(fields);
    let mut edits = Edits::default();
    for operations in levels {
        apply(operations, &Facts::default(), &mut Subject::Request(&head), ROOMY, &mut edits).unwrap();
    }
    lines(&fields, &edits)
}

#[test]
fn one_level() {
    type Case<'a> = (&'a [&'a str], &'a [&'a str], &'a [&'a str], &'a [&'a str], &'a [&'a str]);
    let cases: [Case<'_>; 14] = [
        // remove, set, add, as it came, as it goes out
        (&["x-b"], &[], &[], &["a: 1", "X-B: 2", "x-b: 3", "c: 4"], &["a: 1", "c: 4"]),
        (&["x-b"], &[], &[], &["x-bc: 2", "x: 3"], &["x-bc: 2", "x: 3"]),
        (&[], &["x: 9"], &[], &["X: 1", "a: 2", "x: 3"], &["a: 2", "x: 9"]),
        (&[], &["x: 9"], &[], &[], &["x: 9"]),
        (&[], &[], &["x: 9"], &["x: 1"], &["x: 1", "x: 9"]),
        (&[], &[], &["x: 8", "X: 9"], &[], &["x: 8", "X: 9"]),
        // Removed first, so that what is added stays.
        (&["x"], &[], &["x: 9"], &["x: 1"], &["x: 9"]),
        (&["x"], &["x: 9"], &["x: 10"], &["x: 1"], &["x: 9", "x: 10"]),
        // Set first, whatever stands first in the file.
        (&[], &["x: 9"], &["x: 10"], &["x: 1"], &["x: 9", "x: 10"]),
        // Values are made before the first of them is set.
        (&[], &["x: =y", "y: =x"], &["z: =x"], &["x: 1", "y: 2"], &["x: 2", "y: 1", "z: 1"]),
        // And after the removal.
        (&["x"], &[], &["y: =x", "z: -+=x"], &["x: 1"], &["z: -"]),
        // What comes out empty is neither set nor added.
        (&[], &["x: =none"], &["y: =none"], &["x: 1"], &["x: 1"]),
        // The first of several.
        (&[], &[], &["y: =x"], &["x: 1", "x: 2"], &["x: 1", "x: 2", "y: 1"]),
        (&[], &["x: a+=x+c"], &[], &["x: b"], &["x: abc"]),
    ];
    for (remove, set, add, came, expected) in cases {
        let found = changed(&[operations(remove, set, add)], came);
        assert_eq!(found, expected, "-{remove:?} ={set:?} +{add:?} {came:?}");
    }
}

#[test]
fn levels_follow_one_another() {
    let route = operations(&[], &["x: route"], &["a: route", "seen: =x"]);
    let host = operations(&["gone"], &["x: host"], &["a: host", "seen: =x"]);
    let listener = operations(&["a"], &["x: listener"], &["seen: =x"]);
    let found = changed(&[route, host, listener], &["x: client", "gone: 1"]);
    assert_eq!(found, ["seen: client", "seen: route", "x: listener", "seen: host"]);
}

#[test]
fn a_field_that_is_set_again_and_again_moves_what_stands_behind_it() {
    let first = operations(&[], &["a: 1", "b: 22", "c: 333"], &[]);
    let second = operations(&[], &["b: =c+=a"], &["d: =b"]);
    let found = changed(&[first, second], &[]);
    assert_eq!(found, ["a: 1", "c: 333", "b: 3331", "d: 22"]);
}

#[test]
fn as_many_set_fields_as_there_may_be() {
    let all: Vec<String> = (0..64).map(|at| format!("x-{at}: {at}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let came: Vec<String> = (0..64).map(|at| format!("x-{at}: old")).collect();
    let came: Vec<&str> = came.iter().map(String::as_str).collect();
    assert_eq!(changed(&[operations(&[], &all, &[])], &came), all);
}

fn written(operator: HeaderOperator, facts: &Facts<'_>, subject: &mut Subject<'_>) -> String {
    let piece = HeaderPiece::Value(operator);
    let value = HeaderTemplate { source: String::new(), pieces: vec![piece] };
    let add = vec![HeaderValue { name: "x".into(), value }];
    let operations = HeaderOperations { add, ..HeaderOperations::default() };
    let mut edits = Edits::default();
    apply(&operations, facts, subject, ROOMY, &mut edits).unwrap();
    let found = edits.added().iter().next().map(|field| field.value.to_vec());
    String::from_utf8(found.unwrap_or_default()).unwrap()
}

#[test]
fn operators_of_requests() {
    let (bytes, spans) = fields(&["x-a: abc", "x-empty: ", "x-b: 1"]);
    let head = head(Fields::new(&bytes, &spans));
    let facts = Facts {
        peer: Some("[2001:db8::1]:4711".parse().unwrap()),
        local: "10.0.0.1:80",
        protocol: "HTTP/1.1",
        cluster: "api",
        ..Facts::default()
    };
    let request = |first, second, limit| HeaderOperator::Request(FieldValue { first, second, limit });
    let named = |name: &str| FieldSource::Field(name.into());
    for (operator, expected) in [
        (HeaderOperator::DownstreamRemoteAddress, "[2001:db8::1]:4711"),
        (HeaderOperator::DownstreamRemoteAddressWithoutPort, "2001:db8::1"),
        (HeaderOperator::DownstreamLocalAddress, "10.0.0.1:80"),
        (HeaderOperator::Protocol, "HTTP/1.1"),
        (HeaderOperator::UpstreamCluster, "api"),
        (request(FieldSource::Method, None, None), "GET"),
        (request(FieldSource::Method, None, Some(1)), "G"),
        (request(FieldSource::Path, None, None), "/a?b=c"),
        (request(FieldSource::Path, None, Some(2)), "/a"),
        (request(FieldSource::Authority, None, Some(1)), "h"),
        (request(named("x-a"), None, Some(2)), "ab"),
        (request(named("x-a"), None, Some(4)), "abc"),
        (request(named("none"), Some(named("x-b")), None), "1"),
        (request(named("none"), Some(named("nothing")), None), ""),
        // It is there, if empty.
        (request(named("x-empty"), Some(named("x-b")), None), ""),
    ] {
        let name = format!("{operator:?}");
        assert_eq!(written(operator, &facts, &mut Subject::Request(&head)), expected, "{name}");
    }
    let nothing = Facts::default();
    for operator in [HeaderOperator::DownstreamRemoteAddress, HeaderOperator::UpstreamCluster] {
        assert_eq!(written(operator, &nothing, &mut Subject::Request(&head)), "");
    }
}

#[test]
fn operators_of_answers() {
    let (bytes, spans) = fields(&["server: up", "x-a: answer"]);
    let fields = Fields::new(&bytes, &spans);
    let facts = Facts {
        upstream: "10.0.0.2:8080",
        status: 503,
        flags: ResponseFlags::UPSTREAM_OVERFLOW.with(ResponseFlags::NO_ROUTE),
        details: "overflow",
        ..Facts::default()
    };
    for (operator, expected) in [
        (HeaderOperator::UpstreamHost, "10.0.0.2:8080"),
        (HeaderOperator::ResponseCode, "503"),
        (HeaderOperator::ResponseCodeDetails, "overflow"),
        (HeaderOperator::ResponseFlags, "UO,NR"),
        (HeaderOperator::Response(field("x-a")), "answer"),
        (HeaderOperator::Response(FieldValue { limit: Some(3), ..field("x-a") }), "ans"),
        (HeaderOperator::Response(field("none")), ""),
        // Nobody kept it.
        (HeaderOperator::Request(field("x-a")), ""),
    ] {
        let name = format!("{operator:?}");
        let mut subject = Subject::Response { fields, captured: &[] };
        assert_eq!(written(operator, &facts, &mut subject), expected, "{name}");
    }
    let mut subject = Subject::Response { fields, captured: &[] };
    assert_eq!(written(HeaderOperator::ResponseFlags, &Facts::default(), &mut subject), "-");
}

#[test]
fn an_answer_sees_the_request_as_it_went_on() {
    let (bytes, spans) = fields(&["x-a: request", "x-gone: 1"]);
    let head = head(Fields::new(&bytes, &spans));
    let mut edits = Edits::default();
    edits.set_path(b"/rewritten");
    edits.remove(1);
    edits.add(b"x-new", b"2");
    let operations = operations(&[], &["a: =x-a", "gone: =x-gone"], &["new: =x-new"]);
    let mut captured = vec![];
    for operator in operations.operators() {
        capture_request(operator, &head, &edits, &mut captured);
    }
    let path = FieldValue { first: FieldSource::Path, second: None, limit: Some(4) };
    capture_request(&HeaderOperator::Request(path.clone()), &head, &edits, &mut captured);
    capture_request(&HeaderOperator::Protocol, &head, &edits, &mut captured);
    let mut subject = Subject::Response { fields: Fields::default(), captured: &captured };
    let mut edits = Edits::default();
    apply(&operations, &Facts::default(), &mut subject, ROOMY, &mut edits).unwrap();
    assert_eq!(lines(&Fields::default(), &edits), ["a: request", "new: 2"]);
    assert_eq!(written(HeaderOperator::Request(path), &Facts::default(), &mut subject), "/rew");
}

#[test]
fn a_head_is_no_larger_than_its_bounds() {
    // What ends at this hop does not go out; `a: 1` with its line end is six bytes.
    let (bytes, spans) = fields(&["hop: 1234567890", "a: 1", "b: 2"]);
    let fields = Fields::new(&bytes, &spans);
    let mut edits = Edits::default();
    edits.remove_named(&fields, b"b");
    edits.add(b"c", b"345");
    for (bytes, fields_allowed, is_right) in
        [(13, 2, false), (14, 2, true), (15, 2, true), (14, 1, false), (14, 3, true)]
    {
        let bounds = Bounds { bytes, fields: fields_allowed };
        assert_eq!(bounds.check(&fields, &edits).is_ok(), is_right, "{bounds:?}");
    }
}

#[test]
fn a_value_stops_growing_at_the_bound() {
    let (bytes, spans) = fields(&[&format!("x: {}", "a".repeat(100))]);
    let head = head(Fields::new(&bytes, &spans));
    let long = operations(&[], &[], &[&format!("y: {}", vec!["=x"; 1000].join("+"))]);
    let mut edits = Edits::default();
    for (bytes, is_right) in [(100_002, false), (100_003, true)] {
        edits.clear();
        let bounds = Bounds { bytes, fields: 100 };
        let found = apply(&long, &Facts::default(), &mut Subject::Request(&head), bounds, &mut edits);
        assert_eq!(found.is_ok(), is_right, "{bytes}");
        assert!(edits.added().bytes().len() <= 100_005);
    }
    edits.clear();
    let bounds = Bounds { bytes: 300, fields: 100 };
    let found = apply(&long, &Facts::default(), &mut Subject::Request(&head), bounds, &mut edits);
    assert_eq!(found, Err(TooLarge));
}
