//! Compression and decompression, as curl, Python and the upstream see them.

use crate::support::access_log::record_of;
use crate::support::peers::{curl, program, try_curl};
use crate::support::{Config, Origin, Proxy, Wire, pattern};
use std::io::Write;
use std::process::Command;

const SIZES: [usize; 9] = [0, 1, 29, 30, 1000, 16_384, 65_537, 300_000, 1 << 20];
const CODINGS: [&str; 3] = ["gzip", "br", "zstd"];
const LIBRARIES: &str = "libraries: [{ gzip: {} }, { brotli: {} }, { zstd: {} }]";

/// Bytes that compress: lines of the pattern, in hexadecimal.
fn body(length: usize) -> Vec<u8> {
    let mut text = vec![];
    while text.len() < length {
        let piece = pattern::piece(text.len() as u64 / 2, 64);
        for byte in piece.iter().take(32) {
            let _ = write!(text, "{byte:02x}");
        }
        text.push(b'\n');
    }
    text.truncate(length);
    text
}

/// `/sized/N`, `/chunked/N`, `/close/N`: N bytes, with further header lines behind a `?`, which stand there with `+` for
/// blanks and `&` between them.
fn origin() -> Origin {
    Origin::recording(|wire, _| {
        loop {
            let head = wire.head()?;
            let (path, query) = head.target().split_once('?').unwrap_or((head.target(), ""));
            let mut words = path.trim_start_matches('/').split('/');
            let how = words.next().unwrap_or_default();
            let body = body(words.next().and_then(|word| word.parse().ok()).unwrap_or(0));
            let mut answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n".to_vec();
            for line in query.split('&').filter(|line| !line.is_empty()) {
                answer.extend_from_slice(line.replace('+', " ").as_bytes());
                answer.extend_from_slice(b"\r\n");
            }
            match how {
                "chunked" => answer.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n"),
                "close" => answer.extend_from_slice(b"Connection: close\r\n\r\n"),
                _ => answer.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes()),
            }
            wire.send(&answer)?;
            if head.method() == "HEAD" {
                continue;
            }
            if how == "chunked" {
                for piece in body.chunks(10_000) {
                    wire.send(format!("{:x}\r\n", piece.len()).as_bytes())?;
                    wire.send(piece)?;
                    wire.send(b"\r\n")?;
                }
                wire.send(b"0\r\n\r\n")?;
            } else {
                wire.send(&body)?;
            }
            if how == "close" {
                return Ok(());
            }
        }
    })
}

fn start(origin: &Origin, filters: &str) -> Proxy {
    let keys = format!("filters: [{filters}]");
    let to_api = "{ match: { prefix: / }, cluster: api }";
    Proxy::start(&Config::new().http("web", &keys, to_api).cluster("api", origin, ""))
}

/// The head of an answer, lower-case, and its body as curl gives it.
fn ask(proxy: &Proxy, path: &str, arguments: &[&str]) -> (String, Vec<u8>) {
    let url = proxy.url(path);
    let answer = curl(&[&["-i"], arguments, &[&url]].concat());
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    (String::from_utf8_lossy(&answer[..end]).to_lowercase(), answer[end..].to_vec())
}

fn accept(coding: &str) -> [String; 2] {
    ["-H".to_owned(), format!("Accept-Encoding: {coding}")]
}

#[test]
fn curl_reads_bodies_of_all_sizes_in_all_codings() {
    let origin = origin();
    let proxy = start(&origin, &format!("{{ name: compressor, {LIBRARIES} }}"));
    let mut counted = 0;
    for coding in CODINGS {
        for how in ["sized", "chunked", "close"] {
            for size in SIZES {
                let [flag, accept] = accept(coding);
                let (head, seen) = ask(&proxy, &format!("/{how}/{size}"), &["--compressed", &flag, &accept]);
                let is_coded = size >= 30 || how != "sized";
                assert_eq!(
                    head.contains(&format!("content-encoding: {coding}\r\n")),
                    is_coded,
                    "{coding} {how} {size}: {head}"
                );
                assert_eq!(head.contains("vary: accept-encoding\r\n"), is_coded, "{head}");
                assert!(seen == body(size), "{coding} {how} {size}: {} bytes", seen.len());
                counted += usize::from(is_coded);
            }
        }
    }
    let metrics = proxy.metrics();
    let of = |name: &str| metrics.sum(&format!("sidering_http_compressor_{name}"));
    assert_eq!((of("compressed"), of("pool_overflow")), (counted as f64, 0.0));
    assert!(of("total_compressed_bytes") < of("total_uncompressed_bytes") / 2.0);
    // Without --compressed it is the coding itself, and less of it.
    let (_, coded) = ask(&proxy, "/sized/300000", &["-H", "Accept-Encoding: gzip"]);
    assert!(coded.starts_with(b"\x1f\x8b") && coded.len() < 200_000);
    drop(origin);
    proxy.assert_home();
}

#[test]
fn what_must_stay_as_it_is_stays() {
    let origin = origin();
    let filter = format!("{{ name: compressor, remove_accept_encoding_header: true, {LIBRARIES} }}");
    let proxy = start(&origin, &filter);
    for (path, arguments) in [
        ("/sized/1000", &["-H", "Accept-Encoding: identity, gzip;q=0.5"][..]),
        ("/sized/1000", &["-H", "Accept-Encoding: gzip;q=0"]),
        ("/sized/1000", &[]),
        ("/sized/1000?Cache-Control:+no-transform", &["-H", "Accept-Encoding: gzip"]),
        ("/sized/1000?Content-Encoding:+deflate", &["-H", "Accept-Encoding: gzip"]),
        ("/sized/1000?Content-Range:+bytes+0-999/2000", &["-H", "Accept-Encoding: gzip"]),
    ] {
        let (head, seen) = ask(&proxy, path, arguments);
        assert!(
            !head.contains("content-encoding: gzip") && head.contains("content-length: 1000\r\n"),
            "{path}: {head}"
        );
        assert!(seen == body(1000), "{path}");
    }
    let (head, _) = ask(&proxy, "/sized/1000", &["-I", "-H", "Accept-Encoding: gzip"]);
    assert!(head.contains("content-length: 1000\r\n") && !head.contains("content-encoding"), "{head}");
    let (head, _) = ask(&proxy, "/sized/1000?ETag:+\"a\"", &["-H", "Accept-Encoding: gzip;q=0.1, br;q=0.2"]);
    assert!(head.contains("etag: w/\"a\"\r\n") && head.contains("content-encoding: br\r\n"), "{head}");
    assert!(!origin.seen_text().to_lowercase().contains("accept-encoding"), "upstreams do not learn of it");
    // HTTP/1.0 knows no chunks: the end of the connection is the body's.
    let (head, seen) = ask(&proxy, "/sized/100000", &["-0", "--compressed", "-H", "Accept-Encoding: zstd"]);
    assert!(head.contains("content-encoding: zstd\r\n") && !head.contains("transfer-encoding"), "{head}");
    assert!(seen == body(100_000));
}

#[test]
fn bodies_are_decompressed_for_clients_that_accept_no_coding() {
    let origin = origin();
    let inner = start(&origin, &format!("{{ name: compressor, {LIBRARIES} }}"));
    for library in ["gzip", "brotli", "zstd"] {
        let keys = format!("filters: [{{ name: decompressor, libraries: [{library}] }}]");
        let to_api = "{ match: { prefix: / }, cluster: api }";
        let outer = Config::new().http("web", &keys, to_api).cluster("api", inner.address("web"), "");
        let outer = Proxy::start(&outer);
        for how in ["sized", "chunked", "close"] {
            for size in SIZES {
                let (head, seen) = ask(&outer, &format!("/{how}/{size}"), &[]);
                assert!(!head.contains("content-encoding"), "{library} {how} {size}: {head}");
                assert!(seen == body(size), "{library} {how} {size}: {} bytes", seen.len());
            }
        }
        let metrics = outer.metrics();
        let of = |name: &str| metrics.sum(&format!("sidering_http_decompressor_{name}"));
        // All but the sized ones below the compressor's least length.
        assert_eq!((of("decompressed"), of("errors")), (24.0, 0.0), "{library}");
    }
}

#[test]
fn a_bomb_is_cut_off_visibly_and_what_is_flushed_arrives() {
    let origin = Origin::start(|wire, _| {
        loop {
            let head = wire.head()?;
            if head.target() == "/flushed" {
                let start = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
                wire.send(start)?;
                // The rest comes once the client has seen the beginning.
                let _ = wire.head();
                return Ok(());
            }
            let bomb = zeros();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
                bomb.len()
            );
            wire.send(head.as_bytes())?;
            wire.send(&bomb)?;
        }
    });
    let filters = format!(
        "{{ name: compressor, {LIBRARIES} }}, {{ name: decompressor, libraries: [gzip], max_inflate_ratio: 10, \
         advertise_accept_encoding: false }}"
    );
    let proxy = start(&origin, &filters);
    let output = try_curl(&["-s", "-o", "/dev/null", &proxy.url("/bomb")]);
    assert!(!output.status.success(), "it must not look whole");
    let record = record_of(&proxy, "/bomb");
    assert_eq!(record["response_code_details"], "decompression_ratio_exceeded", "{record}");
    assert_eq!(proxy.metrics().sum("sidering_http_decompressor_errors"), 1.0);
    let mut wire = proxy.connect("web");
    wire.send(b"GET /flushed HTTP/1.1\r\nHost: test\r\nAccept-Encoding: gzip\r\n\r\n").unwrap();
    let head = wire.head().unwrap();
    assert_eq!((head.value("content-encoding"), head.is_chunked()), (Some("gzip"), true));
    // The whole of what was sent can be decoded before the answer ends.
    let mut coded = vec![];
    while gunzip_prefix(&coded) != b"hello" {
        coded.extend(chunk(&mut wire));
    }
    drop((wire, origin));
    proxy.assert_home();
}

/// The bytes of the next chunk of an answer; its framing must be right.
fn chunk(wire: &mut Wire) -> Vec<u8> {
    let mut read = |count: usize| {
        let mut bytes = vec![];
        wire.sized(count as u64, |piece| bytes.extend_from_slice(piece)).expect("more of the answer");
        bytes
    };
    let mut size = vec![];
    while !size.ends_with(b"\r\n") {
        size.append(&mut read(1));
    }
    let size = String::from_utf8_lossy(&size);
    let bytes = read(usize::from_str_radix(size.trim_end(), 16).expect("a size"));
    assert_eq!(read(2), b"\r\n");
    bytes
}

/// Thirty-two million zeros, as gzip has them.
fn zeros() -> Vec<u8> {
    python("import sys,gzip; sys.stdout.buffer.write(gzip.compress(bytes(32 << 20)))", b"")
}

fn gunzip_prefix(coded: &[u8]) -> Vec<u8> {
    python(
        "import sys,zlib; sys.stdout.buffer.write(zlib.decompressobj(31).decompress(sys.stdin.buffer.read()))",
        coded,
    )
}

fn python(script: &str, input: &[u8]) -> Vec<u8> {
    let mut command = Command::new(program("python3"));
    command.arg("-c").arg(script).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.stderr(std::process::Stdio::null()).spawn().expect("python3 runs");
    child.stdin.take().expect("a pipe").write_all(input).expect("it reads");
    child.wait_with_output().expect("it ends").stdout
}

#[test]
fn python_reads_what_is_compressed() {
    let origin = origin();
    let proxy = start(&origin, &format!("{{ name: compressor, {LIBRARIES} }}"));
    let script = format!(
        "import urllib.request,gzip,hashlib\n\
         for size in {SIZES:?}:\n\
         \u{20}request=urllib.request.Request('http://{}/chunked/%d'%size, headers={{'Accept-Encoding':'gzip'}})\n\
         \u{20}answer=urllib.request.urlopen(request)\n\
         \u{20}assert answer.headers['content-encoding']=='gzip', answer.headers\n\
         \u{20}body=gzip.decompress(answer.read())\n\
         \u{20}assert len(body)==size, (len(body), size)\n\
         \u{20}print(hashlib.sha256(body).hexdigest())\n",
        proxy.address("web")
    );
    let seen = String::from_utf8(python(&script, b"")).expect("text");
    assert_eq!(seen.lines().count(), SIZES.len(), "{seen}");
}
