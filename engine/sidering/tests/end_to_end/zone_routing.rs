//! Zone routing through the whole proxy: a user's cell, what stands in for it, and switches that a reload turns.

use crate::support::{Config, Proxy, Wire, until};
use rustix::process::Signal;

fn config(switches: [&str; 2]) -> Config {
    let table = |name: &str, prefix: &str, status: u16| {
        format!(
            "{{ name: {name}, virtual_hosts: [{{ domains: [\"*\"], routes: [{{ match: {{ prefix: {prefix} }}, \
             direct_response: {{ status: {status} }} }}] }}] }}"
        )
    };
    let tables = [
        table("r0", "/cell", 210),
        table("r1", "/cell", 211),
        table("hz", "/city", 220),
        table("sh", "/city", 221),
        table("g", "/", 230),
    ];
    let [city, cell] = switches;
    let map = format!(
        "{{ name: users, key: [{{ header: x-uid }}, {{ cookie: uid }}], city: hz, \
         cities: [{{ name: hz, table: hz }}, {{ name: sh, table: sh, {city} }}], \
         zones: [{{ name: r0, city: hz, table: r0, {cell} }}, {{ name: r1, city: sh, table: r1 }}], global: {{ table: g }}, \
         ranges: [{{ keys: 00-49, zones: [{{ name: r0 }}, {{ name: r1, weight: 0 }}] }}, \
                  {{ keys: 50-99, zones: [{{ name: r1 }}] }}] }}"
    );
    Config::new()
        .set(&format!("route_tables: [{}]", tables.join(", ")))
        .set(&format!("zone_routing: [{map}]"))
        .http_chain("web", "{ zones: users }")
        .cluster("api", "127.0.0.1:1", "")
}

/// A request's status.
fn ask(wire: &mut Wire, path: &str, field: &str) -> u16 {
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n{field}\r\n").as_bytes()).unwrap();
    wire.response().unwrap().status()
}

/// Reads another file, and waits until users of the second range get this status in their city.
fn reload(proxy: &Proxy, config: &Config, status: u16) {
    proxy.write_config(&config.text(proxy.folder()));
    proxy.signal(Signal::HUP);
    until("the reload", || (ask(&mut proxy.connect("web"), "/city", HIGH) == status).then_some(()));
}

const LOW: &str = "x-uid: 1042\r\n";
const HIGH: &str = "Cookie: a=b; uid=1077\r\n";

#[test]
fn a_user_is_served_by_a_cell_a_city_or_the_world_and_switches_are_turned_by_a_reload() {
    let proxy = Proxy::start(&config(["disabled: false", "disabled: false"]));
    let mut wire = proxy.connect("web");
    for (path, field, status) in [
        ("/cell", LOW, 210),
        ("/cell", HIGH, 211),
        ("/cell", "", 230),
        ("/city", LOW, 220),
        ("/city", HIGH, 221),
        ("/city", "", 220),
        ("/world", LOW, 230),
    ] {
        assert_eq!(ask(&mut wire, path, field), status, "{path} {field}");
    }
    reload(&proxy, &config(["disabled: true", "disabled: false"]), 220);
    let mut wire = proxy.connect("web");
    assert_eq!(ask(&mut wire, "/cell", LOW), 210);
    // Its only cell is in that city: the proxy's own city stands in.
    assert_eq!((ask(&mut wire, "/cell", HIGH), ask(&mut wire, "/city", HIGH)), (230, 220));
    reload(&proxy, &config(["disabled: false", "disabled: true"]), 221);
    let mut wire = proxy.connect("web");
    // The one that stands by takes over, and its city with it.
    assert_eq!((ask(&mut wire, "/cell", LOW), ask(&mut wire, "/city", LOW)), (211, 221));
}
