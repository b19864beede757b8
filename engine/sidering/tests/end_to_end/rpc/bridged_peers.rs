//! curl calls providers from npm that nobody here wrote, through a bridge: peers/rpc/greeter.js.

use crate::support::peers::{curl, node_modules, program, script};
use crate::support::process::Process;
use crate::support::{Config, Proxy, until};
use std::net::SocketAddr;
use std::process::Command;

const SEE: &str = "int, long, \"java.util.List<java.lang.Long>\", \"java.util.Map<java.lang.String, java.lang.Integer>\", \
                   \"byte[]\", java.util.Date, boolean, double, java.lang.String, com.example.User, java.math.BigDecimal, \
                   \"java.lang.String[]\"";

/// A provider, and a proxy with a bridge to it.
struct Bridged {
    server: Process,
    proxy: Proxy,
}

impl Bridged {
    fn to(protocol: &str) -> Bridged {
        let mut command = Command::new(program("node"));
        command.env("NODE_PATH", node_modules()).arg(script("rpc/greeter.js")).arg(protocol);
        let server = Process::start(&mut command);
        let address: SocketAddr = until("the server", || {
            server.lines().iter().find_map(|line| line.strip_prefix("listening "))?.parse().ok()
        });
        let string = "java.lang.String";
        let methods = format!(
            "{{ name: sayHello, types: [{string}, int] }}, {{ name: see, types: [{SEE}] }}, \
             {{ name: see, types: [java.lang.Object] }}, {{ name: kinds }}, {{ name: large, types: [int] }}, \
             {{ name: fails, types: [{string}] }}, {{ name: nothing }}, {{ name: never }}, {{ name: missing }}, \
             {{ name: note, types: [{string}], one_way: true }}, {{ name: noted }}"
        );
        let classes = "{ name: com.example.User, fields: { id: long, color: com.example.Color } }";
        let greeter = "service: com.example.Greeter, version: '1.0'";
        let routes = format!(
            "{{ match: {{ prefix: /g/ }}, cluster: api, timeout: 30s, bridge: {{ {greeter}, methods: [{methods}], \
             classes: [{classes}] }} }}, \
             {{ match: {{ prefix: /short/ }}, cluster: api, timeout: 200ms, \
             bridge: {{ {greeter}, types_from_client: true }} }}, \
             {{ match: {{ prefix: /other/ }}, cluster: api, bridge: {{ service: com.example.Other, types_from_client: true }} }}"
        );
        let config =
            Config::new().http("web", "", &routes).cluster("api", address, &format!("protocol: {protocol}"));
        Bridged { server, proxy: Proxy::start(&config) }
    }

    /// What a POST of this body is answered with: the status and the body.
    fn post(&self, path: &str, body: &str) -> (u16, String) {
        let url = self.proxy.url(path);
        let said = curl(&["--write-out", "\n%{http_code}", "--json", body, &url]);
        let said = String::from_utf8(said).expect("an answer is text");
        let (body, status) = said.rsplit_once('\n').expect("curl writes the status");
        (status.parse().expect("a status"), body.to_owned())
    }

    #[track_caller]
    fn assert(&self, path: &str, body: &str, expected: &str) {
        assert_eq!(self.post(path, body), (200, expected.to_owned()), "{path} {body}");
    }

    /// The answer is an error of this status that tells of `part`.
    #[track_caller]
    fn assert_fails(&self, path: &str, body: &str, status: u16, part: &str) {
        let (said, text) = self.post(path, body);
        let read: serde_json::Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let message = read["error"]["message"].as_str().unwrap_or_default();
        assert!(said == status && message.contains(part), "{path} {body}: {said} {text}");
    }
}

/// What both protocols' providers see and say.
#[track_caller]
fn assert_bridged(protocol: &str) {
    let bridged = Bridged::to(protocol);
    bridged.assert("/g/sayHello", "[\"World\", 2]", "\"Hello World, Hello World\"");
    let all = r#"[7, 9007199254740993, [1, 9007199254740993], {"a": 1, "b": -3}, "AQL/", "2024-02-29T12:34:56.789Z", true, 0.5,
                  "ä😀", {"id": 5, "color": "RED", "x": [1, {"y": null}]}, 1.50, ["p", "q"]]"#;
    let seen = "\"number 7; string 9007199254740993; [number 1, string 9007199254740993]; {a: number 1, b: number -3}; \
                bytes 0102ff; date 1709210096789; boolean true; number 0.5; string ä😀; \
                {color: {name: string RED}, id: number 5, x: [number 1, {y: null}]}; {value: string 1.50}; \
                [string p, string q]\"";
    bridged.assert("/g/see", all, seen);
    bridged.assert("/g/see", r#"{"a": [1, 2.5, null]}"#, "\"{a: [number 1, number 2.5, null]}\"");
    bridged.assert(
        "/short/see",
        r#"{"types": ["long"], "args": [9007199254740993]}"#,
        "\"string 9007199254740993\"",
    );
    let (status, kinds) = bridged.post("/g/kinds", "");
    let kinds: serde_json::Value = serde_json::from_str(&kinds).expect("an object");
    assert_eq!(
        (status, kinds["int"].as_i64(), kinds["long"].as_i64()),
        (200, Some(7), Some(9_007_199_254_740_993))
    );
    assert_eq!((&kinds["text"], &kinds["nothing"]), (&"ä😀\"".into(), &serde_json::Value::Null));
    assert_eq!((&kinds["bytes"], &kinds["date"]), (&"AQL/".into(), &"2024-02-29T12:34:56.789Z".into()));
    assert_eq!(kinds["list"].to_string(), "[1,\"two\",[3]]");
    assert_eq!(kinds["user"].to_string(), "{\"id\":-9223372036854775808,\"name\":\"Ann\"}");
    bridged.assert("/g/large", "300000", &format!("\"{}\"", "x".repeat(300_000)));
    bridged.assert("/g/nothing", "", "null");
    bridged.assert_fails("/g/fails", "\"boom\"", 500, "boom");
    bridged.assert_fails("/g/missing", "[]", 404, "Can not find method");
    bridged.assert_fails("/g/unknown", "[]", 404, "no such method");
    bridged.assert_fails("/other/any", r#"{"types": [], "args": []}"#, 404, "not found service");
    bridged.assert_fails("/g/large", "2000000", 502, "more than 1048576 bytes");
    bridged.assert_fails("/short/never", r#"{"types": [], "args": []}"#, 504, "timeout");
    assert_eq!(bridged.post("/g/note", "\"noted\""), (202, String::new()));
    until("the note", || (bridged.post("/g/noted", "").1 == "\"noted\"").then_some(()));
    let Bridged { server, proxy } = bridged;
    drop(server);
    let killed = Bridged { server: Process::start(&mut Command::new("true")), proxy };
    until("the end of its connections", || (killed.post("/g/nothing", "").0 == 503).then_some(()));
    killed.assert_fails("/g/nothing", "", 503, "upstream connect failure");
    killed.proxy.assert_home();
}

#[test]
fn curl_calls_a_sofarpc_provider() {
    assert_bridged("bolt");
}

#[test]
fn curl_calls_a_dubbo_provider() {
    assert_bridged("dubbo");
}
