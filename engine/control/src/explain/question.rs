//! A request to be explained, and the world it is asked in: read from words, written as HTTP/1.1 or as a call of its
//! protocol. It routes nothing.

use sidering_codecs::registry::{Protocol, protocol};
use sidering_codecs::rpc::NewCall;
use sidering_dataplane::config::{HealthFlags, Snapshot};
use sidering_dataplane::io::Address;
use sidering_dataplane::worker::first_random;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// A request. Its parts were checked to be one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// As the user wrote it.
    pub words: String,
    pub method: String,
    /// As it is sent: a path with query, `*`, or the authority of CONNECT.
    pub target: String,
    /// Of the URL.
    pub authority: Option<String>,
    pub is_https: bool,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// What is asked for, if it is a call and no request of HTTP.
    pub call: Option<Asked>,
    /// The listener to ask, instead of the one that the URL suggests.
    pub listener: Option<String>,
    pub world: World,
}

/// A call, as a URL names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// A name of the codec registry.
    pub protocol: &'static str,
    pub service: String,
    pub version: String,
    pub group: String,
}

/// What the request meets, beside the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct World {
    /// The client.
    pub source: Option<IpAddr>,
    /// The seed of the core's random numbers.
    pub random: u64,
    /// Endpoints that refuse connections.
    pub down: Vec<Address>,
    /// Endpoints that health checks have found unhealthy.
    pub unhealthy: Vec<Address>,
    /// What endpoints answer, in turn; the last one stays.
    pub answers: Vec<u16>,
    /// What is to be said of the endpoints of clusters that do not list them, by the cluster's name.
    pub sources: BTreeMap<String, String>,
}

impl Default for World {
    fn default() -> Self {
        World {
            source: Some(Ipv4Addr::LOCALHOST.into()),
            random: 1,
            down: vec![],
            unhealthy: vec![],
            answers: vec![200],
            sources: BTreeMap::new(),
        }
    }
}

impl World {
    /// The configuration as cores have it once they know who is unhealthy.
    pub(super) fn marked(&self, snapshot: &Arc<Snapshot>) -> Arc<Snapshot> {
        if self.unhealthy.is_empty() {
            return Arc::clone(snapshot);
        }
        let mut snapshot = Snapshot::clone(snapshot);
        for cluster in &mut snapshot.clusters {
            let mut endpoints = cluster.endpoints.to_vec();
            for endpoint in endpoints.iter_mut().filter(|endpoint| self.unhealthy.contains(&endpoint.address))
            {
                endpoint.health = endpoint.health.with(HealthFlags::FAILED_ACTIVE_CHECK);
            }
            Arc::make_mut(cluster).endpoints = endpoints.into();
        }
        Arc::new(snapshot)
    }

    /// What routes see as the first request's random number.
    #[must_use]
    pub fn first_random(&self) -> u64 {
        first_random(self.random)
    }
}

impl Question {
    /// Reads a method and a URL: `http://host/path`, a path alone where a header names the host, `*`, or `host:port` of
    /// CONNECT. The error says what is wrong with it.
    pub fn new(method: &str, url: &str, headers: Vec<(String, String)>) -> Result<Question, String> {
        if !is_token(method) {
            return Err(format!("`{}` is not a method: expected one such as GET", method.escape_debug()));
        }
        if url.is_empty() || url.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err(format!("`{}` is not a URL: percent-encode what is not ASCII", url.escape_debug()));
        }
        if let Some((protocol, rest)) = of_calls(url) {
            let expected = format!("`{url}` names its method itself: expected {}", call_form(protocol));
            return if method == "GET" { Question::call(protocol, rest, headers) } else { Err(expected) };
        }
        let (is_https, authority, target) = split(method, url)?;
        let has_host = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
        if authority.is_none() && !has_host {
            return Err(format!("`{url}` names no host: give http://host/path, or a `host` header"));
        }
        Ok(Question {
            words: format!("{method} {url}"),
            method: method.to_owned(),
            target,
            authority,
            is_https,
            headers,
            body: String::new(),
            call: None,
            listener: None,
            world: World::default(),
        })
    }

    /// What stands behind the scheme: `ADDRESS/SERVICE/METHOD?version=V&group=G`.
    fn call(protocol: &'static str, url: &str, headers: Vec<(String, String)>) -> Result<Question, String> {
        let wrong = || format!("`{protocol}://{url}` is not a call: expected {}", call_form(protocol));
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let parts: Vec<&str> = path.split('/').collect();
        let [address, service, method] = parts[..] else { return Err(wrong()) };
        if method.is_empty() || service.is_empty() {
            return Err(wrong());
        }
        let mut asked =
            Asked { protocol, service: service.to_owned(), version: String::new(), group: String::new() };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').ok_or_else(wrong)? {
                ("version", version) => asked.version = version.to_owned(),
                ("group", group) => asked.group = group.to_owned(),
                _ => return Err(wrong()),
            }
        }
        Ok(Question {
            words: format!("{protocol}://{url}"),
            method: method.to_owned(),
            target: String::new(),
            authority: (!address.is_empty()).then(|| address.to_owned()),
            is_https: false,
            headers,
            body: String::new(),
            call: Some(asked),
            listener: None,
            world: World::default(),
        })
    }

    /// The words `METHOD URL`, or a URL alone for GET.
    pub fn from_words(words: &str, headers: Vec<(String, String)>) -> Result<Question, String> {
        match words.split_whitespace().collect::<Vec<_>>()[..] {
            [url] => Question::new("GET", url, headers),
            [method, url] => Question::new(method, url, headers),
            _ => Err(format!(
                "`{}` is not a request: expected one such as GET http://host/path",
                words.escape_debug()
            )),
        }
    }

    /// A connection to a TCP listener.
    #[must_use]
    pub fn connection(listener: &str) -> Question {
        Question {
            words: format!("a connection to {listener}"),
            method: String::new(),
            target: String::new(),
            authority: None,
            is_https: false,
            headers: vec![],
            body: String::new(),
            call: None,
            listener: Some(listener.to_owned()),
            world: World::default(),
        }
    }

    /// A line `name: value`.
    pub fn header(line: &str) -> Result<(String, String), String> {
        let wrong = |expected: &str| format!("`{}` is not a header: {expected}", line.escape_debug());
        let (name, value) = line.split_once(':').ok_or_else(|| wrong("expected `name: value`"))?;
        if !is_token(name) {
            return Err(wrong("its name is not a token"));
        }
        if value.contains(['\r', '\n', '\0']) {
            return Err(wrong("a value is one line"));
        }
        Ok((name.to_owned(), value.trim().to_owned()))
    }

    /// The request as a client sends it.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        if self.method.is_empty() {
            return vec![];
        }
        if let Some(call) = &self.call {
            return self.frame(call);
        }
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let named = |wanted: &str| self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
        if let Some(authority) = self.authority.as_ref().filter(|_| !named("host")) {
            text += &format!("host: {authority}\r\n");
        }
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() && !named("content-length") {
            text += &format!("content-length: {}\r\n", self.body.len());
        }
        text += "\r\n";
        text += &self.body;
        text.into_bytes()
    }

    fn frame(&self, call: &Asked) -> Vec<u8> {
        let new = NewCall {
            service: &call.service,
            method: &self.method,
            version: &call.version,
            group: &call.group,
            fields: &self.headers,
            payload: self.body.as_bytes(),
            ..NewCall::default()
        };
        let mut frame = vec![];
        if let Some(protocol) = protocol(call.protocol) {
            (protocol.write_call)(&new, 1, &mut frame);
        }
        frame
    }

    /// What the client speaks; `None` if it only connects.
    #[must_use]
    pub fn protocol(&self) -> Option<&'static Protocol> {
        match &self.call {
            Some(call) => protocol(call.protocol),
            None if self.method.is_empty() => None,
            None => protocol("http1"),
        }
    }

    /// Whether what follows is bytes, without an end of its own.
    #[must_use]
    pub fn is_tunnel(&self) -> bool {
        self.method.is_empty() || (self.method == "CONNECT" && self.call.is_none())
    }

    /// The port of the URL, or the one that goes with its scheme, and whether it was named.
    #[must_use]
    pub fn port(&self) -> Option<(u16, bool)> {
        let authority = self.authority.as_deref()?;
        let named =
            authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        match named {
            Some((_, port)) => port.parse().ok().map(|port| (port, true)),
            None if self.call.is_some() => None,
            None => Some((if self.is_https { 443 } else { 80 }, false)),
        }
    }
}

/// The protocol of calls whose URL this is, and what stands behind its scheme.
fn of_calls(url: &str) -> Option<(&'static str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let protocol = protocol(scheme).filter(|protocol| protocol.is_rpc)?;
    Some((protocol.name, rest))
}

fn call_form(protocol: &str) -> String {
    format!("{protocol}://ADDRESS/SERVICE/METHOD, with ?version=V&group=G where there are some")
}

/// Whether it is https, the authority, and what stands in the request line.
fn split(method: &str, url: &str) -> Result<(bool, Option<String>, String), String> {
    if method == "CONNECT" {
        return Ok((false, Some(url.to_owned()), url.to_owned()));
    }
    if url.starts_with('/') || url == "*" {
        return Ok((false, None, without_fragment(url).to_owned()));
    }
    let (is_https, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => return Err(format!("`{url}` is not a URL: expected http://host/path")),
    };
    let rest = without_fragment(rest);
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.is_empty() || authority.contains('@') {
        return Err(format!("`{url}` is not a URL: expected http://host/path, without user and password"));
    }
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ok((is_https, Some(authority.to_owned()), path))
}

fn without_fragment(url: &str) -> &str {
    url.split('#').next().unwrap_or(url)
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (words, target, authority) in [
            ("GET http://a.b/c?d#e", "/c?d", Some("a.b")),
            ("http://a.b:81", "/", Some("a.b:81")),
            ("GET http://a?x=/", "/?x=/", Some("a")),
            ("GET https://[::1]:443/%2F//..", "/%2F//..", Some("[::1]:443")),
            ("CONNECT a:443", "a:443", Some("a:443")),
        ] {
            let question = Question::from_words(words, vec![]).unwrap();
            assert_eq!(
                (question.target.as_str(), question.authority.as_deref()),
                (target, authority),
                "{words}"
            );
        }
        for bad in [
            "",
            "GET",
            "GET a b",
            "GET /a",
            "GET ftp://a/",
            "GET http:///a",
            "G@T http://a/",
            "GET http://u@a/",
        ] {
            assert!(Question::from_words(bad, vec![]).is_err(), "{bad}");
        }
        assert!(Question::new("GET", "http://a/b c", vec![]).is_err());
        assert!(Question::new("GET", "http://ä/", vec![]).is_err());
    }

    #[test]
    fn calls() {
        let call = |words: &str| Question::from_words(words, vec![]);
        let question = call("dubbo://127.0.0.1:20880/com.a.Facade/get?version=1.0&group=g").unwrap();
        let asked = question.call.clone().unwrap();
        assert_eq!(
            (asked.protocol, asked.service.as_str(), question.method.as_str()),
            ("dubbo", "com.a.Facade", "get")
        );
        assert_eq!(
            (asked.version.as_str(), asked.group.as_str(), question.port()),
            ("1.0", "g", Some((20880, true)))
        );
        let question = call("bolt:///com.a.Facade:1.0/get").unwrap();
        assert_eq!((question.authority.as_deref(), question.port()), (None, None));
        for bad in [
            "bolt://a",
            "bolt://a/b",
            "bolt://a/b/",
            "bolt://a//c",
            "bolt://a/b/c/d",
            "bolt://a/b/c?x=1",
            "bolt://a/b/c?version",
            "POST bolt://a/b/c",
            "smtp://a/b/c",
        ] {
            assert!(call(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn headers_and_bytes() {
        let header = |line| Question::header(line).unwrap();
        assert_eq!(header("X-A:  b: c "), ("X-A".to_owned(), "b: c".to_owned()));
        for bad in ["", "a", ": b", "a b: c", "a: b\r\nc: d"] {
            assert!(Question::header(bad).is_err(), "{bad:?}");
        }
        let mut question = Question::new("POST", "/x", vec![header("Host: h")]).unwrap();
        question.body = "ab".to_owned();
        let text = String::from_utf8(question.bytes()).unwrap();
        assert_eq!(text, "POST /x HTTP/1.1\r\nHost: h\r\ncontent-length: 2\r\n\r\nab");
        let question = Question::new("OPTIONS", "*", vec![header("host: h:1")]).unwrap();
        assert_eq!(String::from_utf8(question.bytes()).unwrap(), "OPTIONS * HTTP/1.1\r\nhost: h:1\r\n\r\n");
    }
}
