//! Codecs and data plane are pure: bytes, completions and the time come in as arguments. No sockets, files, clocks,
//! threads, locks or async in them, in their unit tests neither.

use crate::{Finding, Source};

/// The folders that are pure.
pub const PURE_FOLDERS: [&str; 2] = ["codecs/src/", "engine/dataplane/src/"];

const FORBIDDEN_MODULES: [[&str; 2]; 7] = [
    ["std", "fs"],
    ["std", "thread"],
    ["std", "process"],
    ["std", "env"],
    ["net", "*"],
    ["time", "*"],
    ["sync", "*"],
];

/// Names that mean the same wherever they are imported from.
const FORBIDDEN_NAMES: [&str; 13] = [
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "UnixDatagram",
    "Instant",
    "SystemTime",
    "Mutex",
    "RwLock",
    "Condvar",
    "async",
    "await",
];

/// What a pure file must not name, and does.
#[must_use]
pub fn impurities(source: &Source) -> Vec<Finding> {
    if !PURE_FOLDERS.iter().any(|folder| source.file.starts_with(folder)) {
        return vec![];
    }
    let paths = source.paths();
    let impure = paths.iter().filter(|path| is_impure(&path.segments));
    impure.map(|path| Finding::new(&source.file, path.line, message(&path.segments))).collect()
}

fn is_impure(segments: &[String]) -> bool {
    let named = segments.iter().any(|segment| FORBIDDEN_NAMES.contains(&segment.as_str()));
    let reached = segments.windows(2).any(|pair| FORBIDDEN_MODULES.iter().any(|module| pair == module));
    named || reached
}

fn message(segments: &[String]) -> String {
    let path = segments.join("::");
    format!("`{path}` in a pure crate: take it as an argument, or do it behind `Io` or in control")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(file: &str, text: &str) -> usize {
        impurities(&Source::read(file, text).unwrap()).len()
    }

    #[test]
    fn what_does_io_or_reads_a_clock_is_found() {
        for text in [
            "use std::fs;",
            "use std::{io, fs::File};",
            "use std::net::{SocketAddr, TcpStream};",
            "use std::net::*;",
            "use std::time::Instant;",
            "fn a() { std::thread::sleep(b) }",
            "static A: std::sync::Mutex<u8> = b;",
            "async fn a() {}",
            "use tokio::sync::RwLock;",
        ] {
            assert_eq!(count("codecs/src/a.rs", text), 1, "{text}");
            assert_eq!(count("engine/dataplane/src/net/a.rs", text), 1, "{text}");
            assert_eq!(count("engine/ring/src/a.rs", text), 0, "{text}");
        }
    }

    #[test]
    fn plain_data_is_pure() {
        let text = "use std::net::{IpAddr, SocketAddr};\nuse std::sync::Arc;\nuse std::time::Duration;\n\
                    use crate::net::conn;\n/// Not an Instant, not std::fs.\nfn a() { \"Mutex\"; }";
        assert_eq!(count("codecs/src/a.rs", text), 0);
    }
}
