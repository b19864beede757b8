//! Which route a request takes, through the whole proxy: what its head says decides, and its connection's address.

use crate::support::{Config, Proxy};

/// Routes that answer with a status of their own.
fn proxy() -> Proxy {
    let answer = |matcher: &str, status: u16| {
        format!("{{ match: {matcher}, direct_response: {{ status: {status} }} }}")
    };
    let shop = [
        answer("{ regex: '/v[0-9]+/orders' }", 201),
        answer("{ template: '/users/{id}/orders' }", 202),
        answer("{ prefix: /v1, methods: [PUT, DELETE] }", 203),
        answer(
            "{ prefix: /v1, headers: [{ name: x-zone, exact: gz }, { name: x-debug, present: false }] }",
            206,
        ),
        answer("{ prefix: /v1, query: [{ name: v, exact: '2' }] }", 207),
        answer("{ prefix: /near, source: [127.0.0.0/8] }", 208),
        answer("{ prefix: /far, source: [10.0.0.0/8] }", 209),
        answer("{ prefix: /chance, runtime_fraction: { numerator: 100 } }", 210),
        answer("{ prefix: /mischance, runtime_fraction: { numerator: 0 } }", 211),
        answer("{ prefix: /, grpc: true }", 212),
        answer("{ prefix: /v1 }", 213),
        answer("{}", 404),
    ];
    let hosts = format!(
        "{{ domains: [\"*.shop.example\"], routes: [{}] }}, {{ domains: [\"api.*\"], routes: [{}] }}",
        shop.join(", "),
        answer("{}", 220)
    );
    Proxy::start(&Config::new().http_hosts("web", "", &hosts).cluster("api", "127.0.0.1:1", ""))
}

#[test]
fn the_first_route_that_takes_the_request_answers() {
    let proxy = proxy();
    let mut wire = proxy.connect("web");
    for (request, host, fields, status) in [
        ("GET /v12/orders?x", "a.shop.example", "", 201),
        ("GET /v22/orders/1", "a.shop.example", "", 404),
        ("GET /users/4711/orders", "A.Shop.Example:8080", "", 202),
        ("PUT /v1/a", "a.shop.example", "X-Zone: gz\r\n", 203),
        ("GET /v1/a", "a.shop.example", "X-Zone: gz\r\n", 206),
        ("GET /v1/a", "a.shop.example", "X-Zone: gz\r\nX-Debug: 1\r\n", 213),
        // A field that came more than once is looked at value by value.
        ("GET /v1/a", "a.shop.example", "X-Zone: hz\r\nX-Zone: gz\r\n", 206),
        ("GET /v1/a", "a.shop.example", "X-Zone: gz,gz\r\n", 213),
        ("GET /v1/a?w=2&v=2", "a.shop.example", "", 207),
        ("GET /v1/../v1/./a?v=2", "a.shop.example", "", 207),
        ("GET /v1/a?v=22", "a.shop.example", "", 213),
        ("GET /near", "a.shop.example", "", 208),
        ("GET /far", "a.shop.example", "", 404),
        ("GET /chance", "a.shop.example", "", 210),
        ("GET /mischance", "a.shop.example", "", 404),
        ("POST /a", "a.shop.example", "Content-Type: application/grpc+proto\r\nContent-Length: 0\r\n", 212),
        ("GET /a", "api.example", "", 220),
        ("GET /a", "shop.example", "", 404),
    ] {
        wire.send(format!("{request} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n").as_bytes()).unwrap();
        let answer = wire.response().unwrap();
        assert_eq!(answer.status(), status, "{request} of {host} with {fields:?}");
    }
}
