//! Chains of route tables through the whole proxy: what one table does not take, the next one may.

use crate::support::{Config, Proxy};

/// Routes that answer with a status of their own.
fn table(name: &str, domain: &str, routes: &[(&str, u16)]) -> String {
    let routes: Vec<_> = routes
        .iter()
        .map(|(prefix, status)| {
            format!("{{ match: {{ prefix: {prefix} }}, direct_response: {{ status: {status} }} }}")
        })
        .collect();
    let host = format!("{{ domains: [\"{domain}\"], routes: [{}] }}", routes.join(", "));
    format!("{{ name: {name}, virtual_hosts: [{host}] }}")
}

#[test]
fn what_a_table_does_not_take_falls_to_the_next() {
    let tables = [
        table("zone", "*", &[("/a", 201)]),
        table("region", "shop.example", &[("/a", 202), ("/b", 202)]),
        table("global", "*", &[("/b", 203), ("/c", 203)]),
        table("nobody", "*", &[("/", 204)]),
    ];
    let config = Config::new()
        .set(&format!("route_tables: [{}]", tables.join(", ")))
        .http_chain(
            "web",
            "{ table: zone }, { table: region }, { table: global, pass_on: [] }, { table: nobody }",
        )
        .http_chain("short", "{ table: region }")
        .cluster("api", "127.0.0.1:1", "");
    let proxy = Proxy::start(&config);
    for (listener, host, path, status) in [
        ("web", "shop.example", "/a", 201),
        ("web", "shop.example", "/b", 202),
        ("web", "other.example", "/b", 203),
        ("web", "shop.example", "/c", 203),
        ("web", "shop.example", "/d", 404),
        ("short", "shop.example", "/a", 202),
        ("short", "other.example", "/a", 404),
    ] {
        let mut wire = proxy.connect(listener);
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(wire.response().unwrap().status(), status, "{listener}: {host}{path}");
    }
}
