//! What chains of route tables are read as, and their mistakes with their places.

use super::tests::problems;
use super::*;
use sidering_dataplane::config::{ChainLink, LinkTables, ListenerKind, PassOn};

/// A listener with a chain, and the tables `a` and `b`.
fn file(chain: &str, more: &str) -> String {
    let table = |name| {
        format!(
            "- {{ name: {name}, virtual_hosts: [{{ domains: ['*'], routes: [{{ match: {{}}, cluster: {name} }}] }}] }}\n"
        )
    };
    format!(
        "listeners:\n- name: web\n  address: 127.0.0.1:0\n  protocol: http\n  route_chain: {chain}\n{more}route_tables:\n{}{}\
         clusters: [{{ name: a, endpoints: [127.0.0.1:1] }}, {{ name: b, endpoints: [127.0.0.1:1] }}]\n",
        table("a"),
        table("b")
    )
}

#[test]
fn a_chain_is_read_in_its_order() {
    let text = file("[{ table: b, pass_on: [no_healthy_endpoint, no_match] }, { table: a }]", "");
    let loaded = parse("test.yaml", &text, &Overrides::default()).unwrap_or_else(|report| panic!("{report}"));
    assert!(loaded.report.problems.is_empty(), "{}", loaded.report);
    let ListenerKind::Http(http) = &loaded.snapshot.listeners[0].kind else { panic!("not http") };
    let names: Vec<_> = http.routes.tables().map(|(name, hosts)| (name, hosts.len())).collect();
    assert_eq!(names, [("b", 1), ("a", 1)]);
    let both = PassOn { no_match: true, no_healthy_endpoint: true };
    let default = PassOn { no_match: true, no_healthy_endpoint: false };
    let chain = [
        ChainLink { tables: LinkTables::Table(0), pass_on: both },
        ChainLink { tables: LinkTables::Table(1), pass_on: default },
    ];
    assert_eq!(http.routes.chain(), chain);
}

#[test]
fn two_listeners_may_share_a_table_and_its_mistakes_are_told_once() {
    let second = "- { name: other, address: 127.0.0.1:0, protocol: http, route_chain: [{ table: b }] }\n";
    let text = file("[{ table: a }, { table: b }]", second);
    assert_eq!(problems(&text), Vec::<String>::new());
    let found = problems(&text.replace("cluster: b", "cluster: c"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("9:79 there is no cluster `c` | "), "{found:?}");
}

#[test]
fn each_mistake_in_a_chain_has_its_words() {
    for (chain, expected) in [
        ("[]", "5:16 an empty list | at least one of { table, pass_on }"),
        (
            "[{ pass_on: [] }]",
            "5:17 a link of a chain without `table` | `table`: the name of a route table, or",
        ),
        (
            "[{ table: a }, { table: bb }]",
            "5:40 there is no route table `bb` | the name of a route table; did you",
        ),
        ("[{ table: a }, { table: b }, { table: a }]", "5:54 a table a second time | each table once"),
        ("[{ table: a, pass_on: [] }, { table: b }]", "5:26 this passes nothing on | a `pass_on`"),
        (
            "[{ table: a, pass_on: [no_mach] }, { table: b }]",
            "5:39 `no_mach` is not among the choices | no_match",
        ),
        ("[{ table: a }]", "8:11 no listener uses the route table `b` | it in a listener's `route_chain`"),
        (
            "[{ table: a }, { table: b }]\n  virtual_hosts: []",
            "6:3 virtual hosts beside a route chain | them in",
        ),
    ] {
        let found = problems(&file(chain, ""));
        assert!(found.iter().any(|line| line.starts_with(expected)), "{chain}: {found:#?}");
    }
    let twice = file("[{ table: a }]", "").replace("name: b, virtual", "name: a, virtual");
    assert!(
        problems(&twice)[0]
            .starts_with("8:11 a second route table named `a` | another name; the first is on line 7")
    );
}

#[test]
fn a_chain_has_at_most_16_tables() {
    for (count, errors) in [(15, 0), (16, 0), (17, 1)] {
        let links: Vec<_> = (0..count).map(|at| format!("{{ table: t{at} }}")).collect();
        let hosts = "virtual_hosts: [{ domains: ['*'], routes: [{ match: {}, cluster: a }] }]";
        let tables: String = (0..count).map(|at| format!("- {{ name: t{at}, {hosts} }}\n")).collect();
        let text = file(&format!("[{}, {{ table: a }}]", links[1..].join(", ")), "");
        let text = text.replace("route_tables:\n", &format!("route_tables:\n{tables}"));
        let found = problems(&text);
        let told = found.iter().filter(|line| line.contains("tables in one chain | at most 16")).count();
        assert_eq!(told, errors, "{count}: {found:?}");
    }
}
