//! Where the load goes, and the bytes of the request it repeats.

use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::{Context, bail};

use crate::call::Protocol;

/// What is spoken with the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Tcp,
    Calls(Protocol),
}

/// A resolved target.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) scheme: Scheme,
    pub(crate) address: SocketAddr,
    host: String,
    path: String,
}

impl Target {
    /// Reads `http://host:port/path`, `tcp://host:port`, `bolt://host:port` or `dubbo://host:port`.
    pub(crate) fn resolve(url: &str) -> anyhow::Result<Self> {
        let (scheme, rest) = match url.split_once("://") {
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(("tcp", rest)) => (Scheme::Tcp, rest),
            Some(("bolt", rest)) => (Scheme::Calls(Protocol::Bolt), rest),
            Some(("dubbo", rest)) => (Scheme::Calls(Protocol::Dubbo), rest),
            _ => bail!(
                "load: cannot use '{url}'; write http://host:port/path, or tcp://, bolt:// or dubbo://host:port"
            ),
        };
        let (host, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        };
        let with_port =
            if scheme == Scheme::Http && !has_port(host) { format!("{host}:80") } else { host.to_owned() };
        let address = with_port
            .to_socket_addrs()
            .with_context(|| format!("load: cannot resolve '{with_port}'; write it as host:port"))?
            .next()
            .with_context(|| format!("load: '{with_port}' has no address; name a host that has one"))?;
        Ok(Self { scheme, address, host: host.to_owned(), path: path.to_owned() })
    }

    /// The request as it goes out every time. It is leaked: sends borrow it for the life of the process.
    pub(crate) fn request(&self, method: &str, body_bytes: usize, close: bool) -> &'static [u8] {
        let (host, path) = (&self.host, &self.path);
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
        if close {
            request.push_str("Connection: close\r\n");
        }
        if body_bytes > 0 || method == "POST" || method == "PUT" {
            request.push_str(&format!("Content-Length: {body_bytes}\r\n"));
        }
        request.push_str("\r\n");
        let mut request = request.into_bytes();
        request.resize(request.len() + body_bytes, b'r');
        request.leak()
    }
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_become_addresses_and_requests() {
        let target = Target::resolve("http://127.0.0.1:8080/a?b").expect("a sound URL");
        assert_eq!(target.address, SocketAddr::from(([127, 0, 0, 1], 8080)));
        assert_eq!(
            target.request("POST", 2, true),
            b"POST /a?b HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: close\r\nContent-Length: 2\r\n\r\nrr"
        );
        assert_eq!(target.request("GET", 0, false), b"GET /a?b HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n");
    }

    #[test]
    fn other_schemes_are_refused() {
        assert!(Target::resolve("https://127.0.0.1/").is_err());
        assert!(Target::resolve("127.0.0.1:80").is_err());
        let dubbo = Target::resolve("dubbo://127.0.0.1:9").expect("a sound URL");
        assert_eq!(dubbo.scheme, Scheme::Calls(Protocol::Dubbo));
        assert_eq!(Target::resolve("tcp://[::1]:9").expect("a sound URL").scheme, Scheme::Tcp);
    }
}
