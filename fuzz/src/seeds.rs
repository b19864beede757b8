//! The inputs that fuzzing starts from: what the tests of the codecs know to be worth a look, behind control bytes that
//! lead each target to its parts. It is run to begin a corpus, not to replay one.

/// Request heads and what follows them.
const REQUESTS: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /a?b=c HTTP/1.1\r\nHost: a.test:8080\r\nX-One:  two \t\r\nEmpty:\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.3\r\nHost: a\r\n\r\n",
    "GET / HTTP/2.0\r\n\r\n",
    "GET http://b:80?c HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET https://[::1]:8443/x HTTP/1.1\r\nHost: A%20b\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\nOPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT b:1 HTTP/1.1\r\nHost: a\r\n\r\nbytes of the tunnel",
    "HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nabcdeGET / HTTP/1.1\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\nb: c\r\nHost: d\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: d\r\n\r\n",
    "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n\u{1}\u{2}frames",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Secret\r\nX-Secret: s\r\nTE: trailers\r\nKeep-Alive: 5\r\n\r\n",
    "GET / HTTP/1.1\nHost: a\n\n",
    "GET / HTTP/1.1\r\nHost: a\r\nb: c\r\n d\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nb : c\rd\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\nabc",
    "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "M-SEARCH /xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx HTTP/1.1\r\nHost: a\r\nb: 1\r\nb: 2\r\nb: 3\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\nProxy-Connection: close\r\nVia: b\r\nTrailer: x\r\n\r\n",
];

/// Targets, hosts and field lines that were made to be read in two ways, or lie at a bound.
const TARGETS: &[&str] = &[
    "/a/../b//%2f\\|?x=http://b/%41",
    "/%20%00",
    "/a#b",
    "HTTP://A?x",
    "http://u:p@a/",
    "http://a:65535/",
    "http://a:065535/",
    "http:///x",
    "a:80",
    "*",
    "/\u{e4}",
];
const HOSTS: &[&str] = &[
    "", "a:", "a:65536", "a:000080", ":80", "a:1:2", "a:+80", "[::1]:80", "[::1]x", "[]", "a%20%00", "a%2",
    "a,b", "a@b", "a_b!$", "a b",
];
const LINES: &[&str] = &[
    "Content-Length: +5",
    "Content-Length: 5, 5",
    "Content-Length: 18446744073709551616",
    "Content-Length: 0\r\nConnection: upgrade\r\nUpgrade: a/1, b",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding:",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Connection: host",
    "Connection: X-Forwarded-For",
    "Connection: close, keep-alive,, a b",
    "Connection: upgrade\r\nUpgrade: a, h2",
    "Expect: banana",
    "Expect: 100-continue\r\nContent-Length: 1",
    "a: b\rc",
    "a: b\0c",
    "a b: c",
    ": b",
    "abc",
    "Connectiox: close\r\nContent-Lengtx: 1\r\nTransfer-Encodinx: chunked\r\nHosx: b",
    "Host: b",
    "a: b\nc: d",
];

/// What upstreams say.
const RESPONSES: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No\r\nA: b\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\nContent-Length: 4\r\n\r\n",
    "HTTP/1.0 200\r\n\r\nuntil the end",
    "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx",
    "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc",
    "HTTP/1.1 99 OK\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nframes",
    "HTTP/1.1 304 Same\r\nContent-Length: 9\r\nETag: b\r\n\r\nHTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\n",
    "HTTP/1.1 599 Sch\u{f6}n\r\nConnection: close, X\r\nX: y\r\nContent-Length: 1\r\n\r\nz",
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
];

/// Chunked bodies.
const BODIES: &[&str] = &[
    "0\r\n\r\n",
    "5\r\nabcde\r\n0\r\n\r\nrest",
    "3;a=b\r\nabc\r\n0a\r\n0123456789\r\n00;c\r\nx: y\r\nHost: d\r\n\r\n",
    "5\nabcde\r\n0\r\n\r\n",
    "ffffffffffffffff\r\nabc",
    "10000000000000000\r\n",
    "0\r\na: b\r\n c\r\n\r\n",
    "0\r\na: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\ne: 5\r\n\r\n",
];

fn get(target: &str, lines: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

fn odd_requests() -> Vec<String> {
    let mut all: Vec<String> = TARGETS.iter().map(|target| get(target, "")).collect();
    all.extend(HOSTS.iter().map(|host| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")));
    all.extend(LINES.iter().map(|line| get("/", &format!("{line}\r\n"))));
    all
}

/// Requests at the bounds, and one beyond.
fn long_requests() -> Vec<String> {
    let mut all = odd_requests();
    for extra in 0..2 {
        all.push(format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(64 + extra)));
        all.push(get(&format!("/{}", "x".repeat(31 + extra)), ""));
        all.push(get("/", &format!("Connection: {}\r\n", vec!["b"; 64 + extra].join(","))));
        all.push(get("/", &"b: c\r\n".repeat(3 + extra)));
        all.push(get("/", &"b: c\r\n".repeat(99 + extra)));
        let frame = get("/", "b: \r\n").len();
        all.push(get("/", &format!("b: {}\r\n", "x".repeat(256 - frame + extra))));
    }
    all
}

/// Responses at the bounds, and one beyond.
fn long_responses() -> Vec<String> {
    let interim = |count| "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(count) + "HTTP/1.1 204 No\r\n\r\n";
    let fields = |count| format!("HTTP/1.1 204 No\r\n{}\r\n", "b: c\r\n".repeat(count));
    vec![interim(16), interim(17), fields(4), fields(5), fields(100), fields(101)]
}

/// Chunked bodies at the bounds, and one beyond.
fn long_bodies() -> Vec<String> {
    let mut all = Vec::new();
    for extra in 0..2 {
        all.push(format!("{:0>width$}\r\nabcde\r\n0\r\n\r\n", 5, width = 16 + extra));
        all.push(format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(255 + extra)));
        let lines = format!("1;{}\r\na\r\n", "y".repeat(255)).repeat(15);
        all.push(format!("{lines}1;{}\r\na\r\n0;{}\r\n\r\n", "y".repeat(99), "z".repeat(155 + extra)));
        all.push(format!("0\r\n{}\r\n", "b: c\r\n".repeat(4 + extra)));
        all.push(format!("0\r\nb: {}\r\n\r\n", "c".repeat(256 - 7 + extra)));
    }
    all
}

/// Values that a key of the configuration may get by mistake.
const VALUES: &[&str] = &[
    "",
    "-1",
    "0",
    "1",
    "99999999",
    "18446744073709551616",
    "1.5",
    "true",
    "'5s'",
    "[]",
    "{ x: 1 }",
    "*a",
    "!x y",
    "1h",
    "18446744073709551615ms",
    "99999999999GiB",
    "\"\\u00e4\"",
    "|\n    a\n    b",
];

/// The examples, and files in which many keys have such a value.
fn configurations() -> Vec<Vec<u8>> {
    let examples: [&str; 5] = [
        include_str!("../../configs/http.yaml"),
        include_str!("../../configs/tcp.yaml"),
        include_str!("../../configs/default.yaml"),
        include_str!("../../configs/access-log.yaml"),
        include_str!("../../configs/routes.yaml"),
    ];
    let keys = |keys: &[&str], indent: &str, value: &str| {
        keys.iter().map(|key| format!("{indent}{key}: {value}\n")).collect::<String>()
    };
    let odd = VALUES.iter().map(|value| {
        let top = keys(&["workers", "engine", "admin", "drain_timeout", "access_log"], "", value);
        let limits = ["max_connections", "header_bytes", "headers", "uri_bytes", "idle_timeout"];
        let limits = keys(&limits, "    ", value);
        let http = keys(&["via", "upgrades", "underscores", "normalize_path", "virtual_hosts"], "  ", value);
        let pool = keys(&["max_connections", "max_pending", "idle_timeout"], "    ", value);
        let cluster = keys(&["name", "protocol", "endpoints", "lb", "connect_timeout"], "  ", value);
        format!(
            "{top}listeners:\n- name: &a web\n  address: 127.0.0.1:0\n  protocol: http\n  limits:\n{limits}{http}\
             clusters:\n- pool:\n{pool}{cluster}"
        )
    });
    examples.into_iter().map(str::to_owned).chain(odd).map(String::into_bytes).collect()
}

/// Choices for the simulator: the first byte is the kind of run, the others are as good as random.
fn choices() -> Vec<Vec<u8>> {
    let mut state = 1u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    let mut blob = |index: u8| {
        let length = 64 << (index % 7);
        [index % 6].into_iter().chain((1..length).map(|_| next())).collect()
    };
    (0..42).map(&mut blob).collect()
}

/// Ways to cut: not at all, in halves, in small pieces of several lengths.
const CUTS: &[&[u8]] = &[&[1, 0], &[1, 7], &[3, 1, 2, 40], &[2, 60, 3]];

fn with_long(short: &[&str], long: Vec<String>) -> Vec<String> {
    short.iter().map(|text| (*text).to_owned()).chain(long).collect()
}

/// The first inputs of a target.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let requests = with_long(REQUESTS, long_requests());
    let responses = with_long(RESPONSES, long_responses());
    let bodies = with_long(BODIES, long_bodies());
    match target {
        "http1_requests" => {
            let styles = [[0, 1, 2], [3, 7, 1], [4, 13, 66], [3, 11, 6], [22, 41, 5]];
            behind(&leading(&[0, 1, 2, 3], &styles), &requests)
        }
        "http1_responses" => {
            let styles = [[0, 1, 4], [2, 0, 0], [3, 0, 0], [12, 13, 5], [6, 7, 16], [1, 0, 0]];
            behind(&leading(&[8, 0, 1, 2], &styles), &responses)
        }
        "http1_round_trip" => {
            let ways = [[0], [7], [15], [31], [39], [1]];
            let mut all = behind(&leading(&[0, 1, 2], &ways), &requests);
            all.extend(behind(&leading(&[4, 12, 20, 28, 36, 44, 100, 116], &ways), &responses));
            all
        }
        "http1_head_differential" => {
            let mut all = cross(&leading(&[0, 1, 2], &[[]]), &requests);
            all.extend(cross(&leading(&[16, 17, 18, 20, 24, 28], &[[]]), &responses));
            all
        }
        "rpc_connections" => crate::rpc_connections::seeds(),
        "detection" => crate::detection::seeds(),
        "config" => configurations(),
        "data_plane" => choices(),
        "chunked_differential" => behind(&[vec![0], vec![1]], &bodies),
        _ => vec![],
    }
}

fn leading<const N: usize>(choices: &[u8], styles: &[[u8; N]]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for choice in choices {
        all.extend(styles.iter().map(|style| [&[*choice], style.as_slice()].concat()));
    }
    all
}

/// Every text behind one of the fronts and one of the cuts, each of which is used in turn.
fn behind(fronts: &[Vec<u8>], texts: &[String]) -> Vec<Vec<u8>> {
    let mut cuts = CUTS.iter().cycle();
    let with_cuts: Vec<Vec<u8>> =
        fronts.iter().map(|front| [front, *cuts.next().expect("a cycle")].concat()).collect();
    cross(&with_cuts, texts)
}

fn cross(fronts: &[Vec<u8>], texts: &[String]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for text in texts {
        all.extend(fronts.iter().map(|front| [front, text.as_bytes()].concat()));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::seeds;

    #[test]
    fn every_seed_passes() {
        for target in crate::TARGETS {
            seeds(target.name).iter().for_each(|seed| (target.run)(seed));
        }
    }
}
