//! `sidering explain`: what it prints, how it exits, and that the running proxy does what it says.

use crate::support::name_server::NameServer;
use crate::support::peers::repository;
use crate::support::proxy::binary;
use crate::support::web::reply;
use crate::support::{Config, Origin, Proxy};
use serde_json::Value;
use std::process::{Command, Output};
use tempfile::TempDir;

fn explain(arguments: &[&str]) -> Output {
    Command::new(binary())
        .arg("explain")
        .args(arguments)
        .current_dir(repository())
        .output()
        .expect("it starts")
}

#[track_caller]
fn text(output: &Output, code: i32) -> String {
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

#[test]
fn the_way_of_a_request_is_told_from_listener_to_endpoint() {
    let request = ["GET", "http://shop.example.com/v1/orders/7", "-H", "x-version: 2"];
    let said = text(&explain(&[&["-c", "configs/routes.yaml"][..], &request].concat()), 0);
    for part in [
        "listener:     web (127.0.0.1:10000)",
        "virtual host: shop.example.com\n",
        "route 0 (line 19): the path is not /healthz; it is /v1/orders/7",
        "route:        1 (line 23)",
        "cluster:      orders",
        "endpoint:     127.0.0.1:8081",
        "x-version: 2",
    ] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    let output = explain(&[&["-c", "configs/routes.yaml", "--json"][..], &request].concat());
    let json: Value = serde_json::from_str(&text(&output, 0)).expect("it is JSON");
    assert_eq!(json["listener"], "web");
    assert_eq!(json["virtual_host"], "shop.example.com");
    assert_eq!((&json["route"]["index"], &json["route"]["line"]), (&Value::from(1), &Value::from(23)));
    assert_eq!((&json["action"], &json["cluster"]), (&Value::from("cluster"), &Value::from("orders")));
    assert_eq!((&json["endpoint"], &json["status"]), (&Value::from("127.0.0.1:8081"), &Value::from(200)));
}

#[test]
fn chance_can_be_thrown_again_and_counted() {
    let split = ["-c", "configs/actions.yaml", "http://a/api/x"];
    let said = text(&explain(&[&split[..], &["--count", "200"]].concat()), 0);
    assert!(
        said.contains("cluster stable") && said.contains(" 90.00 %") && said.contains(" 10.00 %"),
        "{said}"
    );
    let many: Vec<bool> = ["1", "2", "3", "4", "5", "6"]
        .iter()
        .map(|random| {
            let request = ["-c", "configs/routes.yaml", "http://shop.example.com/v1", "--random", random];
            text(&explain(&request), 0).contains("cluster:      shop")
        })
        .collect();
    assert!(many.contains(&true), "99 of 100 go there");
}

#[test]
fn expectations_are_checked_and_decide_the_exit_code() {
    let (config, file) = ("configs/routes.yaml", "configs/expectations/routes.yaml");
    let said = text(&explain(&["-c", config, "--expect", file]), 0);
    assert!(
        said.starts_with("TAP version 13\n1..10\nok 1 - GET http://shop.example.com/healthz\n"),
        "{said}"
    );
    assert!(said.ends_with("# 10 of 10 as expected\n"), "{said}");

    let folder = TempDir::new().unwrap();
    let wrong = folder.path().join("wrong.yaml");
    std::fs::write(
        &wrong,
        "- { request: http://shop.example.com/healthz, expect: { cluster: shop } }\n\
         - { request: http://shop.example.com/media/a.m3u8, expect: { cluster: shop } }\n",
    )
    .unwrap();
    let wrong = wrong.to_str().unwrap();
    let said = text(&explain(&["-c", config, "--expect", wrong]), 1);
    let place = format!("# {wrong}:1:66: cluster: expected shop, got none (route 0 on line 19");
    assert!(said.contains("not ok 1") && said.contains(&place) && said.contains("\nok 2"), "{said}");
    let json: Value =
        serde_json::from_str(&text(&explain(&["-c", config, "--expect", wrong, "--json"]), 1)).unwrap();
    assert_eq!((&json["failed"], &json["results"][0]["ok"]), (&Value::from(1), &Value::from(false)));

    std::fs::write(wrong, "- { reqest: http://a/, expect: { cluster: shop } }\n").unwrap();
    let said = text(&explain(&["-c", config, "--expect", wrong]), 2);
    assert!(said.contains("wrong.yaml:1:5: error") && said.contains("did you mean `request`"), "{said}");
}

#[test]
fn bad_usage_is_told_apart_from_what_does_not_hold() {
    let config = "configs/routes.yaml";
    for (arguments, word) in [
        (&["-c", config][..], "GET http://host/path"),
        (&["-c", config, "GET", "shop.example.com"], "http://host/path"),
        (&["-c", config, "http://a/", "-H", "nonsense"], "name: value"),
        (&["-c", config, "http://a/", "--listener", "wbe"], "did you mean `web`"),
        (&["-c", config, "http://a/", "--down", "somewhere"], "ip:port"),
        (&["-c", config, "http://a/", "--answer", "99"], "99"),
        (&["-c", config, "http://a/", "--expect", "b.yaml"], "cannot be used with"),
        (&["-c", config, "--expect", "/nonexistent.yaml"], "/nonexistent.yaml"),
        (&["-c", "/nonexistent.yaml", "http://a/"], "/nonexistent.yaml"),
        (&["http://a/"], "--config"),
    ] {
        let said = text(&explain(arguments), 2);
        assert!(said.contains(word), "{word} in {said}");
    }
}

#[test]
fn the_running_proxy_does_what_is_told() {
    let named = |name: &'static str| {
        Origin::start(move |wire, _| {
            loop {
                let head = wire.head()?;
                reply(wire, 200, &format!("{name} {}", head.target()))?;
            }
        })
    };
    let (one, two) = (named("one"), named("two"));
    let routes = "{ match: { path: /a }, direct_response: { status: 201 } }, \
         { match: { prefix: /b/ }, redirect: { prefix: /c/ } }, \
         { match: { prefix: /c, headers: [{ name: x-two, present: true }] }, cluster: two, rewrite: { prefix: /d } }, \
         { match: { prefix: /c }, cluster: one }";
    let hosts = format!("{{ domains: [\"*.example\"], routes: [{routes}] }}");
    let config =
        Config::new().http_hosts("web", "", &hosts).cluster("one", &one, "").cluster("two", &two, "");
    let (folder, proxy) = (TempDir::new().unwrap(), Proxy::start(&config));
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, config.text(folder.path())).unwrap();
    for (target, field) in [
        ("/a", "x-none: 1"),
        ("/b/x?y", "x-none: 1"),
        ("/c/x?y", "x-none: 1"),
        ("/c/./x", "X-Two: 1"),
        ("/e", "x-none: 1"),
    ] {
        let url = format!("http://some.example{target}");
        let output = explain(&["-c", file.to_str().unwrap(), "--json", &url, "-H", field]);
        let told: Value = serde_json::from_str(&text(&output, 0)).unwrap();
        let mut wire = proxy.connect("web");
        wire.send(format!("GET {target} HTTP/1.1\r\nHost: some.example\r\n{field}\r\n\r\n").as_bytes())
            .unwrap();
        let answer = wire.response().unwrap();
        assert_eq!(Value::from(answer.status()), told["status"], "{target}");
        assert_eq!(
            answer.head.value("location").map_or(Value::Null, Value::from),
            told["redirect"],
            "{target}"
        );
        if let Some(cluster) = told["cluster"].as_str() {
            let path = told["requests"][0]["path"].as_str().unwrap();
            assert_eq!(answer.text(), format!("{cluster} {path}"), "{target}");
        }
    }
}

#[test]
fn endpoints_come_from_their_file_and_names_are_resolved_if_asked() {
    let folder = TempDir::new().expect("a temporary folder");
    let (file, config) = (folder.path().join("stock.yaml"), folder.path().join("a.yaml"));
    let server = NameServer::start();
    server.set("api.test", &["127.0.0.9"]);
    let named = format!("name: named, endpoints: [\"api.test:8080\"], {}", server.keys("strict_dns"));
    let routes = "{ match: { prefix: /stock }, cluster: stock }, { match: {}, cluster: named }";
    let file_text = Config::new()
        .http("web", "", routes)
        .cluster_with(&format!("name: stock, endpoints_file: {}", file.display()))
        .cluster_with(&named)
        .text(folder.path());
    std::fs::write(&config, file_text).expect("the folder takes files");
    let config = config.display().to_string();
    let ask = |path: &str, more: &[&str]| {
        let url = format!("http://a{path}");
        text(&explain(&[&["-c", &config, "GET", &url], more].concat()), 0)
    };
    assert!(
        ask("/stock", &[]).contains("stock.yaml: cannot be read: No such file"),
        "{}",
        ask("/stock", &[])
    );
    std::fs::write(&file, "- 127.0.0.1:8000\n- ups\n").expect("the folder takes files");
    assert!(ask("/stock", &[]).contains("stock.yaml:2:3: error: `ups` is not an address"));
    std::fs::write(&file, "- 127.0.0.1:8000\n").expect("the folder takes files");
    let said = ask("/stock", &[]);
    assert!(
        said.contains("endpoint:     127.0.0.1:8000: the only one; as ")
            && said.contains("stock.yaml has them now"),
        "{said}"
    );
    let said = ask("/", &[]);
    assert!(
        said.contains("endpoint:     none: api.test is resolved at run time; --resolve does it now"),
        "{said}"
    );
    let said = ask("/", &["--resolve"]);
    assert!(
        said.contains("endpoint:     127.0.0.9:8080: the only one; api.test as it is resolved now"),
        "{said}"
    );
    server.fail("api.test");
    let said = ask("/", &["--resolve"]);
    assert!(said.contains("endpoint:     none: `api.test` cannot be resolved"), "{said}");
}
