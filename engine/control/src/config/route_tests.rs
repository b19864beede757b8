//! What a `match` is read as, its mistakes with their places, and which routes are told never to match.

use super::*;
use sidering_dataplane::config::{
    Cidr, HeaderMatch, HeaderTest, ListenerKind, PathMatch, QueryMatch, RouteMatch, Share, StringMatch,
    StringPattern,
};

fn file(matches: &[&str]) -> String {
    let routes: String =
        matches.iter().map(|text| format!("    - {{ match: {text}, cluster: api }}\n")).collect();
    format!(
        "listeners:\n- name: web\n  address: 127.0.0.1:0\n  protocol: http\n  virtual_hosts:\n  - domains: ['*']\n    \
         routes:\n{routes}clusters: [{{ name: api, endpoints: [127.0.0.1:1] }}]\n"
    )
}

/// Of a file with these matches.
fn problems(matches: &[&str]) -> Vec<String> {
    super::tests::problems(&file(matches))
}

fn read(text: &str) -> RouteMatch {
    let loaded =
        parse("test.yaml", &file(&[text]), &Overrides::default()).unwrap_or_else(|report| panic!("{report}"));
    assert!(loaded.report.problems.is_empty(), "{}", loaded.report);
    match &loaded.snapshot.listeners[0].kind {
        ListenerKind::Http(http) => http.routes.virtual_hosts()[0].routes[0].matcher.clone(),
        ListenerKind::Tcp { .. } => panic!("not http"),
    }
}

#[test]
fn every_condition_is_read() {
    assert!(matches!(read("{ regex: '/a+' }").path, PathMatch::Regex(pattern) if pattern.source() == "/a+"));
    assert!(
        matches!(read("{ template: '/{a}' }").path, PathMatch::Template(template) if template.source() == "/{a}")
    );
    assert_eq!(read("{ prefix: /a }").conditions, None);
    let matcher = read(
        "{ methods: [GET, X-Y], grpc: true, source: [10.0.0.0/8, '::ffff:10.0.0.0/104', '::1'],
           runtime_fraction: { numerator: 5, denominator: ten_thousand },
           headers: [{ name: X-A, exact: 1 }, { name: b }, { name: c, present: false },
                     { name: d, range: { start: -10, end: 0 }, invert: true }],
           query: [{ name: q, prefix: x, ignore_case: true }] }",
    );
    let asked = matcher.conditions.unwrap();
    assert_eq!((asked.methods.as_slice(), asked.grpc), (&["GET".to_owned(), "X-Y".to_owned()][..], true));
    let range = |address: &str, prefix_bits| Cidr { address: address.parse().unwrap(), prefix_bits };
    assert_eq!(asked.sources, [range("10.0.0.0", 8), range("10.0.0.0", 8), range("::1", 128)]);
    assert_eq!(asked.runtime_fraction, Some(Share(500)));
    let header = |name: &str, test, invert| HeaderMatch { name: name.to_owned(), test, invert };
    let expected = [
        header("x-a", HeaderTest::Text(StringMatch::exact("1")), false),
        header("b", HeaderTest::Present(true), false),
        header("c", HeaderTest::Present(false), false),
        header("d", HeaderTest::Range { start: -10, end: 0 }, true),
    ];
    assert_eq!(asked.headers, expected);
    let prefix = StringMatch { pattern: StringPattern::Prefix("x".to_owned()), ignore_case: true };
    assert_eq!(asked.query, [QueryMatch { name: "q".to_owned(), value: Some(prefix) }]);
}

#[test]
fn each_mistake_in_a_match_has_its_words() {
    for (text, expected) in [
        ("{ regex: '(a' }", "8:25 `(a`: not a regular expression: unclosed group | a regular expression"),
        ("{ regex: '([a-z]{900}x){40}' }", "8:25 `([a-z]{900}x){40}`: a regular expression whose automaton"),
        ("{ template: '/a//b' }", "8:28 `/a//b` is not a path template | segments of letters"),
        ("{ template: '/**/*' }", "8:28 `/**/*` is not a path template | no other glob behind **"),
        ("{ regex: /a, template: /a }", "8:29 a match with two paths | one of"),
        ("{ methods: [get] }", "8:28 `get` is not a method | `GET`: methods are told apart by case"),
        ("{ methods: ['A B'] }", "8:28 `A B` is not a method | a method such as GET"),
        ("{ methods: [] }", "8:27 an empty list | at least one of methods"),
        ("{ headers: [{ exact: a }] }", "8:28 a condition on a header without `name` | `name`: the name of"),
        (
            "{ headers: [{ name: ':scheme', exact: http }] }",
            "8:36 `:scheme` is no name of a header | letters",
        ),
        (
            "{ headers: [{ name: a, exact: b, prefix: c }] }",
            "8:49 a condition with two patterns | one of `exact`",
        ),
        ("{ headers: [{ name: a, prefix: '' }] }", "8:47 an empty `prefix` | a text that"),
        (
            "{ headers: [{ name: a, range: { start: 5, end: 5 } }] }",
            "8:46 a range that nothing is in | an `end` above",
        ),
        (
            "{ headers: [{ name: a, range: { start: x, end: 5 } }] }",
            "8:55 `x` is not a number | a whole number",
        ),
        (
            "{ headers: [{ name: a, exakt: b }] }",
            "8:39 unknown key `exakt` in a condition on a header | did you mean `exact`?",
        ),
        (
            "{ query: [{ name: a, range: {} }] }",
            "8:37 `range` has no meaning here | it belongs to header matches",
        ),
        ("{ query: [{ name: a, present: false }] }", "8:37 a parameter that must be absent | present: true"),
        ("{ query: [{ name: 'a=b' }] }", "8:34 `a=b` is not a parameter's name | a name, percent-encoded"),
        ("{ source: [10.0.0.0/33] }", "8:27 `10.0.0.0/33` is no block of addresses | 0 to 32 bits"),
        (
            "{ source: ['::ffff:1.2.3.4/95'] }",
            "8:27 `::ffff:1.2.3.4/95` is no block of addresses | 96 to 128 bits",
        ),
        ("{ source: [all] }", "8:27 `all` is no block of addresses | an address such as"),
        (
            "{ runtime_fraction: { numerator: 101 } }",
            "8:49 101 is out of range | a whole number from 0 to 100",
        ),
        ("{ runtime_fraction: {} }", "8:36 a runtime fraction without `numerator` | `numerator`: how many"),
        (
            "{ service: a }",
            "8:18 `service` has no meaning here | it belongs to listeners that speak a protocol of calls, such as bolt",
        ),
    ] {
        let found = problems(&[text]);
        assert!(found.first().is_some_and(|line| line.starts_with(expected)), "{text}: {found:#?}");
    }
}

#[test]
fn a_match_has_at_most_64_of_each_condition() {
    for (count, errors) in [(63, 0), (64, 0), (65, 1)] {
        let methods: Vec<_> = (0..count).map(|number| format!("M{number}")).collect();
        assert_eq!(problems(&[&format!("{{ methods: [{}] }}", methods.join(", "))]).len(), errors, "{count}");
    }
}

#[test]
fn what_an_earlier_route_takes_never_matches() {
    for (earlier, later, is_shadowed) in [
        ("{ prefix: /a }", "{ path: /a/b }", true),
        ("{ prefix: /a }", "{ regex: '/a/[0-9]+' }", true),
        ("{ prefix: /a }", "{ template: '/a/{id}' }", true),
        ("{ prefix: /a }", "{ template: '/{id}/a' }", false),
        ("{ prefix: / }", "{ regex: '.*' }", true),
        ("{}", "{ prefix: /a, methods: [GET] }", true),
        ("{ prefix: /a, methods: [GET] }", "{ prefix: /a }", false),
        ("{ prefix: /a, methods: [GET] }", "{ prefix: /a/b, methods: [GET] }", true),
        ("{ prefix: /a, methods: [GET] }", "{ prefix: /a/b, methods: [PUT] }", false),
        ("{ regex: '/a|/b' }", "{ regex: '/a|/b' }", true),
        ("{ regex: '/a|/b' }", "{ path: /a }", false),
        ("{ template: '/{a}' }", "{ template: '/{a}' }", true),
        ("{ runtime_fraction: { numerator: 1 } }", "{ runtime_fraction: { numerator: 1 } }", true),
        ("{ runtime_fraction: { numerator: 1 } }", "{ runtime_fraction: { numerator: 2 } }", false),
        ("{ connect: true }", "{}", false),
    ] {
        let found = problems(&[earlier, later]);
        let warned = found.iter().any(|line| line.starts_with("9:7 this route can never match | "));
        assert_eq!(warned, is_shadowed, "{earlier} before {later}: {found:?}");
        assert_eq!(found.len(), usize::from(is_shadowed), "{found:?}");
    }
}
