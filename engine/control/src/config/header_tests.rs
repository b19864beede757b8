//! Header rules: what is understood, and every mistake with its place.

use super::tests::{SMALL, load, problems};
use sidering_dataplane::config::{
    FieldSource, FieldValue, HeaderOperator, HeaderPiece, HeaderRules, HttpListener, ListenerKind,
};

/// The small file with header operations of the route on line 10.
fn with(text: &str) -> String {
    SMALL.replace("cluster: api\nclusters", &format!("cluster: api\n      {text}\nclusters"))
}

fn http(file: &str) -> HttpListener {
    let loaded = load(file).unwrap_or_else(|report| panic!("{report}"));
    match &loaded.snapshot.listeners[0].kind {
        ListenerKind::Http(http) => (**http).clone(),
        ListenerKind::Tcp { .. } => panic!("not http"),
    }
}

fn rules(text: &str) -> Option<HeaderRules> {
    let http = http(&with(text));
    http.routes.virtual_hosts()[0].routes[0].headers.as_deref().cloned()
}

fn pieces(value: &str) -> Vec<HeaderPiece> {
    let rules = rules(&format!("response_headers: {{ set: {{ x-a: \"{value}\" }} }}")).unwrap();
    rules.response.set[0].value.pieces.clone()
}

#[test]
fn operations_are_taken_as_they_are() {
    let rules = rules(
        "request_headers: { set: { X-A: '1', x-b: a%%b }, add: { x-c: 'c d' }, remove: [X-Gone, x-d] }",
    )
    .unwrap();
    assert_eq!(rules.request.remove, ["x-gone", "x-d"]);
    let shown = |values: &[sidering_dataplane::config::HeaderValue]| {
        values.iter().map(|header| format!("{}={}", header.name, header.value.source)).collect::<Vec<_>>()
    };
    assert_eq!(shown(&rules.request.set), ["X-A=1", "x-b=a%%b"]);
    assert_eq!(shown(&rules.request.add), ["x-c=c d"]);
    assert_eq!(rules.request.set[1].value.pieces, [HeaderPiece::Text("a%b".into())]);
    assert!(rules.response.is_empty());
}

#[test]
fn nothing_is_no_rule() {
    for text in ["request_headers: {}", "response_headers: { set: {}, add: {}, remove: [] }"] {
        assert_eq!(rules(text), None, "{text}");
    }
}

#[test]
fn every_level_has_its_own() {
    let file = SMALL
        .replace(
            "cluster: api\nclusters",
            "cluster: api\n      request_headers: { remove: [route] }\nclusters",
        )
        .replace("  virtual_hosts", "  request_headers: { remove: [listener] }\n  virtual_hosts")
        .replace("    routes:", "    response_headers: { remove: [vhost] }\n    routes:");
    let http = http(&file);
    assert_eq!(http.headers.unwrap().request.remove, ["listener"]);
    assert_eq!(http.routes.virtual_hosts()[0].headers.as_ref().unwrap().response.remove, ["vhost"]);
    assert_eq!(http.routes.virtual_hosts()[0].routes[0].headers.as_ref().unwrap().request.remove, ["route"]);
}

#[test]
fn values_are_compiled() {
    let value = |operator| HeaderPiece::Value(operator);
    let text = |text: &str| HeaderPiece::Text(text.into());
    for (given, expected) in [
        ("%PROTOCOL%", vec![value(HeaderOperator::Protocol)]),
        ("%%PROTOCOL%%", vec![text("%PROTOCOL%")]),
        ("%UPSTREAM_CLUSTER%", vec![value(HeaderOperator::UpstreamCluster)]),
        ("a%UPSTREAM_HOST%b", vec![text("a"), value(HeaderOperator::UpstreamHost), text("b")]),
        (
            "%RESPONSE_CODE%%RESPONSE_FLAGS%",
            vec![value(HeaderOperator::ResponseCode), value(HeaderOperator::ResponseFlags)],
        ),
        ("%DOWNSTREAM_LOCAL_ADDRESS%", vec![value(HeaderOperator::DownstreamLocalAddress)]),
        ("%DOWNSTREAM_REMOTE_ADDRESS%", vec![value(HeaderOperator::DownstreamRemoteAddress)]),
        (
            "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
            vec![value(HeaderOperator::DownstreamRemoteAddressWithoutPort)],
        ),
        (
            "%REQ(X-A?:path):10%",
            vec![value(HeaderOperator::Request(FieldValue {
                first: FieldSource::Field("x-a".into()),
                second: Some(FieldSource::Path),
                limit: Some(10),
            }))],
        ),
        (
            "%RESP(Server)%",
            vec![value(HeaderOperator::Response(FieldValue {
                first: FieldSource::Field("server".into()),
                second: None,
                limit: None,
            }))],
        ),
    ] {
        assert_eq!(pieces(given), expected, "{given}");
    }
    let [HeaderPiece::Text(hostname)] = &pieces("%HOSTNAME%")[..] else { panic!("not a text") };
    assert!(!hostname.is_empty() && !hostname.contains('%'), "{hostname}");
}

#[test]
fn what_frames_messages_cannot_be_changed() {
    const FRAMING: &str = "another field: this one frames messages or belongs to a connection";
    let set = |name: &str| format!("request_headers: {{ set: {{ {name}: a }} }}");
    for name in [
        "connection",
        "Content-Length",
        "transfer-encoding",
        "keep-alive",
        "proxy-connection",
        "TE",
        "trailer",
        "upgrade",
        "expect",
        "http2-settings",
    ] {
        let expected = format!("10:33 the field `{name}` cannot be changed | {FRAMING}");
        assert_eq!(problems(&with(&set(name))), [expected], "{name}");
        let removed = with(&format!("response_headers: {{ remove: [{name}] }}"));
        let expected = format!("10:36 the field `{name}` cannot be changed | {FRAMING}");
        assert_eq!(problems(&removed), [expected], "{name}");
    }
}

#[test]
fn names_and_values_must_be_right() {
    let set = |name: &str| format!("request_headers: {{ set: {{ {name}: a }} }}");
    for (text, expected) in [
        (
            set("Host"),
            "10:33 the field `Host` cannot be changed | another field: `rewrite` changes paths and hosts",
        ),
        (
            set("':path'"),
            "10:33 the field `:path` cannot be changed | another field: `rewrite` changes paths and hosts",
        ),
        (set("'a b'"), "10:33 the field `a b` cannot be changed | letters, digits, - . _ and the like"),
        (
            set("\"a\\r\\nb\""),
            "10:33 the field `a\\r\\nb` cannot be changed | letters, digits, - . _ and the like",
        ),
        (
            "request_headers: { add: { x: '' } }".into(),
            "10:36 `` is no value of a header field | a text; `remove` removes fields",
        ),
        (
            "request_headers: { add: { x: ' a' } }".into(),
            "10:36 ` a` is no value of a header field | no blanks around it: they are no part of a field's value",
        ),
        (
            "request_headers: { add: { x: \"a\\r\\nb: c\" } }".into(),
            "10:36 `a\\r\\nb: c` is no value of a header field | a text on one line",
        ),
        (
            "request_headers: { set: { x: a, X: b } }".into(),
            "10:39 the field `X` is there twice | each name once, in whatever case; it is on line 10 already",
        ),
        (
            "request_headers: { set: [x] }".into(),
            "10:31 a list where header fields belong | a mapping of `name: value`",
        ),
        (
            "request_headers: { append: { x: a } }".into(),
            "10:26 unknown key `append` in header operations | one of `set`, `add`, `remove`",
        ),
    ] {
        assert_eq!(problems(&with(&text)), [expected], "{text}");
    }
}

#[test]
fn operators_must_be_right() {
    for (text, expected) in [
        (
            "request_headers: { set: { x: 'a %PROTOCO%' } }",
            "10:39 `%PROTOCO%` is not understood | an operator; did you mean %PROTOCOL%?",
        ),
        ("request_headers: { set: { x: 'a %REQ(x' } }", "10:39 %REQ( is not closed | a closing parenthesis"),
        (
            "request_headers: { set: { x: '100%' } }",
            "10:40 an operator without its closing % | %NAME% or %NAME(argument)%; a percent sign itself is %%",
        ),
        (
            "request_headers: { set: { x: '%RESPONSE_CODE%' } }",
            "10:37 `%RESPONSE_CODE%` is not understood | an operator for requests: this one is known when there is an answer",
        ),
        (
            "request_headers: { set: { x: '%RESP(x)%' } }",
            "10:37 `%RESP(x)%` is not understood | an operator for requests: this one is known when there is an answer",
        ),
        (
            "response_headers: { set: { x: '%RESP(:path)%' } }",
            "10:38 `%RESP(:path)%` is not understood | the name of a header field",
        ),
        (
            "request_headers: { set: { x: '%REQ%' } }",
            "10:37 `%REQ%` is not understood | a field's name in parentheses: %REQ(X-NAME)%",
        ),
    ] {
        assert_eq!(problems(&with(text)), [expected], "{text}");
    }
}

#[test]
fn bounds_of_names_values_and_counts() {
    for (length, is_right) in [(255, true), (256, true), (257, false)] {
        let name = "x".repeat(length);
        let found = problems(&with(&format!("request_headers: {{ remove: [{name}] }}")));
        assert_eq!(found.is_empty(), is_right, "{length}: {found:?}");
    }
    for (length, is_right) in [(4095, true), (4096, true), (4097, false)] {
        let value = "x".repeat(length);
        let found = problems(&with(&format!("request_headers: {{ set: {{ x: {value} }} }}")));
        assert_eq!(found.is_empty(), is_right, "{length}: {found:?}");
    }
    for (count, is_right) in [(63, true), (64, true), (65, false)] {
        let values = (0..count).map(|at| format!("x{at}: a")).collect::<Vec<_>>().join(", ");
        let names = (0..count).map(|at| format!("x{at}")).collect::<Vec<_>>().join(", ");
        for text in [format!("set: {{ {values} }}"), format!("remove: [{names}]")] {
            let found = problems(&with(&format!("request_headers: {{ {text} }}")));
            assert_eq!(found.is_empty(), is_right, "{count}: {found:?}");
        }
    }
}

#[test]
fn tcp_listeners_have_no_header() {
    let file = "listeners:\n- name: a\n  address: 127.0.0.1:1\n  protocol: tcp\n  cluster: c\n  request_headers: {}\nclusters:\n- name: c\n  endpoints: [127.0.0.1:2]\n";
    assert_eq!(
        problems(file),
        [
            "6:3 `request_headers` has no meaning here | it belongs to listeners with `protocol: http` or a protocol of calls"
        ]
    );
}
