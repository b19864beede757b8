//! Clients and servers that nobody here wrote: curl, nginx, Python's http.client and http.server.

use crate::support::nginx::Nginx;
use crate::support::pattern;
use crate::support::peers::{curl, program, script};
use crate::support::process::Process;
use crate::support::{Config, Proxy, turns, until};
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

const SIZES: [u64; 10] = [0, 1, 2047, 2048, 2049, 16_383, 16_384, 16_385, 65_537, 1_048_576];
const LARGE: u64 = 100 * 1024 * 1024;

#[track_caller]
fn assert_file_is_pattern(path: &Path, length: u64) {
    let mut checker = pattern::Checker::default();
    let mut file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece).unwrap() {
            0 => break,
            length => checker.feed(&piece[..length]),
        }
    }
    assert_eq!(checker.verdict(length), Ok(()), "{}", path.display());
}

/// Downloads with Content-Length and in chunks, uploads with Content-Length and in chunks, all by curl from and to nginx.
#[track_caller]
fn assert_round_trips(proxy: &Proxy, nginx: &Nginx, length: u64) {
    let folder = tempfile::TempDir::new().unwrap();
    let local = folder.path().join("local");
    let local_name = local.to_str().unwrap();
    let source = format!("source-{length}");
    pattern::write(&mut File::create(nginx.file(&source)).unwrap(), length).unwrap();
    for framing in ["files", "chunked"] {
        curl(&["-f", "-o", local_name, &proxy.url(&format!("/{framing}/{source}"))]);
        if length > 0 {
            assert_file_is_pattern(&local, length);
        }
    }
    pattern::write(&mut File::create(&local).unwrap(), length).unwrap();
    for framing in ["Expect:", "Transfer-Encoding: chunked"] {
        // This curl never ends the chunks of an empty file, with or without a proxy.
        if length == 0 && framing.starts_with("Transfer") {
            continue;
        }
        let uploaded = format!("uploaded-{length}");
        let url = proxy.url(&format!("/files/{uploaded}"));
        curl(&["-f", "-T", local_name, "-H", framing, &url]);
        assert_file_is_pattern(&nginx.file(&uploaded), length);
        std::fs::remove_file(nginx.file(&uploaded)).unwrap();
    }
}

#[test]
fn curl_and_nginx_exchange_bodies_of_every_size() {
    let nginx = Nginx::start();
    let proxy = Proxy::start(&Config::http_to(nginx.address()));
    for length in SIZES {
        assert_round_trips(&proxy, &nginx, length);
    }
    drop(nginx);
    proxy.assert_home();
}

#[test]
fn curl_and_nginx_exchange_large_bodies() {
    let _turn = turns::heavy();
    let nginx = Nginx::start();
    let proxy = Proxy::start(&Config::http_to(nginx.address()));
    assert_round_trips(&proxy, &nginx, LARGE);
    drop(nginx);
    proxy.assert_home();
}

#[test]
fn curl_waits_for_100_continue() {
    let nginx = Nginx::start();
    let proxy = Proxy::start(&Config::http_to(nginx.address()));
    let folder = tempfile::TempDir::new().unwrap();
    let local = folder.path().join("local");
    pattern::write(&mut File::create(&local).unwrap(), 3_000_000).unwrap();
    // Without a 100 curl would wait for a minute, which is longer than it is given.
    let url = proxy.url("/files/continued");
    let arguments =
        ["-f", "-v", "--expect100-timeout", "60", "--max-time", "20", "-H", "Expect: 100-continue"];
    let output =
        crate::support::peers::try_curl(&[&arguments[..], &["-T", local.to_str().unwrap(), &url]].concat());
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    assert!(log.contains("HTTP/1.1 100 Continue"), "{log}");
    assert_file_is_pattern(&nginx.file("continued"), 3_000_000);
}

#[test]
fn curl_sees_ranges_heads_and_validators_as_nginx_made_them() {
    let nginx = Nginx::start();
    let proxy = Proxy::start(&Config::http_to(nginx.address()));
    pattern::write(&mut File::create(nginx.file("f")).unwrap(), 100_000).unwrap();
    let part = curl(&["-f", "-r", "5000-79999", &proxy.url("/files/f")]);
    assert_eq!(part, pattern::bytes(80_000)[5000..]);
    let head = String::from_utf8(curl(&["-I", &proxy.url("/files/f")])).unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("Content-Length: 100000"), "{head}");
    let tag = head.lines().find_map(|line| line.strip_prefix("ETag: ")).expect("nginx sends one").trim();
    let condition = format!("If-None-Match: {tag}");
    let code = curl(&["-o", "/dev/null", "-w", "%{http_code}", "-H", &condition, &proxy.url("/files/f")]);
    assert_eq!(code, b"304");
    let many = curl(&["-f", "-w", "%{num_connects}", &proxy.url("/hello"), &proxy.url("/hello")]);
    assert_eq!(
        String::from_utf8_lossy(&many),
        "hello from nginx\n1hello from nginx\n0",
        "curl keeps its connection"
    );
}

#[test]
fn curl_speaks_http_1_0() {
    let nginx = Nginx::start();
    let proxy = Proxy::start(&Config::http_to(nginx.address()));
    pattern::write(&mut File::create(nginx.file("f")).unwrap(), 100_000).unwrap();
    for path in ["/files/f", "/chunked/f"] {
        assert_eq!(curl(&["-f", "-0", &proxy.url(path)]), pattern::bytes(100_000), "{path}");
    }
}

#[test]
fn pythons_client_and_server_exchange_bodies_of_every_size() {
    let python = program("python3");
    let server = Process::start(Command::new(&python).arg(script("origin.py")));
    let address: SocketAddr = until("Python's server", || {
        server.lines().iter().find_map(|line| line.strip_prefix("listening "))?.parse().ok()
    });
    let proxy = Proxy::start(&Config::http_to(address));
    let target = proxy.address("web").to_string();
    let output = Command::new(&python).arg(script("client.py")).arg(target).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("all equal"), "{said}");
    drop(server);
    proxy.assert_home();
}

#[test]
fn random_pipelines_get_their_own_answers() {
    let _turn = turns::heavy();
    let python = program("python3");
    let server = Process::start(Command::new(&python).arg(script("mixture.py")).arg("origin"));
    let address: SocketAddr = until("the origin", || {
        server.lines().iter().find_map(|line| line.strip_prefix("listening "))?.parse().ok()
    });
    let proxy = Proxy::start(&Config::http_to(address).set("workers: 2"));
    let target = proxy.address("web").to_string();
    for seed in ["1", "2", "3"] {
        let arguments = ["client", &target, seed];
        let output = Command::new(&python).arg(script("mixture.py")).args(arguments).output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("all equal"), "seed {seed}: {said}");
    }
    drop(server);
    proxy.assert_home();
}
