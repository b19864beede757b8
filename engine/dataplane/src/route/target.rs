//! The target that a route makes of a request's: the path that is forwarded, the location that a redirect names. Only
//! bytes that were checked (by the codec or by the control side) come in, so that what goes out is a valid field value.

use super::request::path_without_query;
use crate::config::{PathMatch, Redirect, RedirectPath};

/// As long as a DNS name with a port can be.
const LONGEST_HOST: usize = 261;

/// `path` (with query) with `prefix` in the place of what `matched` takes of it, in two parts. A path that `matched` does
/// not begin (`*` of OPTIONS) stays as it is.
pub fn replace_prefix<'a>(matched: &PathMatch, path: &'a [u8], prefix: &'a str) -> [&'a [u8]; 2] {
    let rest = match matched {
        PathMatch::Any => path.strip_prefix(b"/"),
        PathMatch::Exact(_) => Some(&path[path_without_query(path).len()..]),
        PathMatch::Prefix(taken) => path.strip_prefix(taken.as_bytes()),
        // Of these there is no prefix that was taken.
        PathMatch::Regex(_) | PathMatch::Template(_) => None,
    };
    rest.map_or([path, b""], |rest| [prefix.as_bytes(), rest])
}

/// What a redirect is made from, as the request has it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// `http` or `https`, as the client spoke.
    pub scheme: &'a [u8],
    /// Not empty, unless the redirect names a host.
    pub authority: &'a [u8],
    /// With query.
    pub path: &'a [u8],
    /// What a regex makes of the path, without query, if that is asked for.
    pub replaced: &'a [u8],
}

/// Writes the absolute URI of a redirect (Envoy: `newUri`).
pub fn write_location(redirect: &Redirect, matched: &PathMatch, asked: Asked<'_>, out: &mut Vec<u8>) {
    let scheme = redirect.scheme.map_or(asked.scheme, str::as_bytes);
    out.extend_from_slice(scheme);
    out.extend_from_slice(b"://");
    match &redirect.host {
        Some(host) => out.extend_from_slice(host.as_bytes()),
        None => out.extend_from_slice(kept_authority(redirect, scheme, asked)),
    }
    if let Some(port) = redirect.port {
        out.push(b':');
        write_port(port, out);
    }
    write_path(redirect, matched, asked, out);
}

/// The request's authority, without its port if another one is named, or if it is the port that goes with the scheme
/// which is left.
fn kept_authority<'a>(redirect: &Redirect, scheme: &[u8], asked: Asked<'a>) -> &'a [u8] {
    let (host, port) = split_port(asked.authority);
    let default = if asked.scheme == b"https" { &b":443"[..] } else { b":80" };
    let goes = redirect.port.is_some() || (scheme != asked.scheme && port == default);
    if goes { host } else { asked.authority }
}

/// The port with its colon; an IPv6 address has colons of its own, but brackets around them.
fn split_port(authority: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memrchr(b':', authority) {
        Some(colon) if authority[colon + 1..].iter().all(u8::is_ascii_digit) => authority.split_at(colon),
        _ => (authority, b""),
    }
}

fn write_path(redirect: &Redirect, matched: &PathMatch, asked: Asked<'_>, out: &mut Vec<u8>) {
    let path = asked.path;
    let bare = path_without_query(path);
    let query = if redirect.strip_query { &b""[..] } else { &path[bare.len()..] };
    let (parts, query) = match &redirect.path {
        RedirectPath::Same => ([bare, b""], query),
        RedirectPath::Whole(whole) if whole.contains('?') => ([whole.as_bytes(), b""], &b""[..]),
        RedirectPath::Whole(whole) => ([whole.as_bytes(), b""], query),
        RedirectPath::Prefix(prefix) => (replace_prefix(matched, bare, prefix), query),
        RedirectPath::Regex(_) => ([asked.replaced, b""], query),
    };
    // `*` of OPTIONS is no path of a URI.
    if parts[0].first() != Some(&b'/') {
        out.push(b'/');
    }
    for part in [parts[0], parts[1], query] {
        out.extend_from_slice(part);
    }
}

/// Whether a request's own text may become its Host: what RFC 3986 section 3.2.2 lets stand there, as far as hosts are
/// written like that.
pub fn is_host(text: &[u8]) -> bool {
    let may_stand = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%:[]".contains(byte);
    (1..=LONGEST_HOST).contains(&text.len()) && text.iter().all(may_stand)
}

/// Without the formatting machinery.
fn write_port(port: u16, out: &mut Vec<u8>) {
    let mut divisor = 10_000;
    while divisor > 1 && port < divisor {
        divisor /= 10;
    }
    while divisor > 0 {
        out.push(b'0' + (port / divisor % 10) as u8);
        divisor /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Substitution;

    fn replaced(matched: PathMatch, path: &str, prefix: &str) -> String {
        String::from_utf8(replace_prefix(&matched, path.as_bytes(), prefix).concat()).unwrap()
    }

    /// As Envoy documents `prefix_rewrite`, with its doubled and missing slashes.
    #[test]
    fn prefixes() {
        let prefix = |prefix: &str| PathMatch::Prefix(prefix.into());
        for (matched, path, with, expected) in [
            (prefix("/prefix"), "/prefix", "/", "/"),
            (prefix("/prefix"), "/prefix/etc", "/", "//etc"),
            (prefix("/prefix/"), "/prefix/etc", "/", "/etc"),
            (prefix("/v1"), "/v1/a?b=/v1", "/v2", "/v2/a?b=/v1"),
            (prefix("/v1"), "/v1?b", "/v2", "/v2?b"),
            (prefix("/v1"), "/v10", "/v2", "/v20"),
            (prefix("/"), "/a", "/x/", "/x/a"),
            (prefix("/"), "*", "/x", "*"),
            (PathMatch::Any, "/a?b", "/x/", "/x/a?b"),
            (PathMatch::Any, "*", "/x/", "*"),
            (PathMatch::Exact("/a".into()), "/a?q", "/b", "/b?q"),
        ] {
            assert_eq!(replaced(matched.clone(), path, with), expected, "{matched:?} {path} {with}");
        }
    }

    fn location(redirect: &Redirect, matched: &PathMatch, uri: &str) -> String {
        let (scheme, rest) = uri.split_once("://").unwrap();
        let slash = rest.find(['/', '*']).unwrap();
        let (authority, path) = rest.split_at(slash);
        let asked = Asked {
            scheme: scheme.as_bytes(),
            authority: authority.as_bytes(),
            path: path.as_bytes(),
            replaced: b"",
        };
        let mut out = vec![];
        write_location(redirect, matched, asked, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn schemes_hosts_and_ports() {
        let scheme = |scheme| Redirect { scheme: Some(scheme), ..Redirect::default() };
        let port = |port| Redirect { port: Some(port), ..Redirect::default() };
        let host = || Redirect { host: Some("new.lyft.com".into()), ..Redirect::default() };
        let all = Redirect { scheme: Some("https"), port: Some(8443), ..host() };
        for (redirect, asked, expected) in [
            (scheme("https"), "http://lyft.com/foo", "https://lyft.com/foo"),
            (scheme("https"), "http://lyft.com:80/foo", "https://lyft.com/foo"),
            (scheme("https"), "http://lyft.com:8080/foo", "https://lyft.com:8080/foo"),
            (scheme("https"), "http://lyft.com:443/foo", "https://lyft.com:443/foo"),
            (scheme("http"), "https://lyft.com:443/foo", "http://lyft.com/foo"),
            (scheme("http"), "http://lyft.com:80/foo", "http://lyft.com:80/foo"),
            (scheme("https"), "http://[fe80::1]/foo", "https://[fe80::1]/foo"),
            (scheme("https"), "http://[fe80::1]:80/foo", "https://[fe80::1]/foo"),
            (port(8080), "http://lyft.com/foo", "http://lyft.com:8080/foo"),
            (port(8080), "http://lyft.com:443/foo", "http://lyft.com:8080/foo"),
            (port(1), "http://[fe80::1]:10/foo", "http://[fe80::1]:1/foo"),
            (port(65_535), "http://10.0.0.1/", "http://10.0.0.1:65535/"),
            (host(), "http://lyft.com:8080/foo?a=b", "http://new.lyft.com/foo?a=b"),
            (all, "http://lyft.com:80/foo", "https://new.lyft.com:8443/foo"),
            (scheme("https"), "http://h*", "https://h/*"),
        ] {
            assert_eq!(location(&redirect, &PathMatch::Any, asked), expected, "{asked} {redirect:?}");
        }
    }

    #[test]
    fn paths_and_queries() {
        let whole = |path: &str| RedirectPath::Whole(path.into());
        let prefix = |path: &str| RedirectPath::Prefix(path.into());
        for (path, strip_query, asked, expected) in [
            (RedirectPath::Same, false, "/old/x?a=b", "/old/x?a=b"),
            (RedirectPath::Same, true, "/old/x?a=b", "/old/x"),
            (whole("/new"), false, "/old/x?a=b", "/new?a=b"),
            (whole("/new"), true, "/old/x?a=b", "/new"),
            (whole("/new?c=d"), false, "/old/x?a=b", "/new?c=d"),
            (whole("/new?c=d"), true, "/old/x?a=b", "/new?c=d"),
            (prefix("/new"), false, "/old/x?a=/old", "/new/x?a=/old"),
            (prefix("/new"), true, "/old/x?a=b", "/new/x"),
            (prefix("/"), false, "/old", "/"),
        ] {
            let redirect = Redirect { path, strip_query, ..Redirect::default() };
            let found = location(&redirect, &PathMatch::Prefix("/old".into()), &format!("http://h{asked}"));
            assert_eq!(found, format!("http://h{expected}"), "{asked} {redirect:?}");
        }
    }

    #[test]
    fn paths_that_a_regex_has_changed() {
        let regex = Box::new(Substitution::new("^/old/(.*)$", r"/new/\1").unwrap());
        for (strip_query, expected) in [(false, "https://h/new/x?a=b"), (true, "https://h/new/x")] {
            let path = RedirectPath::Regex(regex.clone());
            let redirect = Redirect { path, strip_query, ..Redirect::default() };
            for replaced in ["/new/x", "new/x"] {
                let asked = Asked {
                    scheme: b"https",
                    authority: b"h",
                    path: b"/old/x?a=b",
                    replaced: replaced.as_bytes(),
                };
                let mut out = vec![];
                write_location(&redirect, &PathMatch::Any, asked, &mut out);
                assert_eq!(String::from_utf8(out).unwrap(), expected);
            }
        }
    }

    #[test]
    fn hosts_that_requests_name() {
        for (host, expected) in [
            ("a.example:80", true),
            ("[::1]", true),
            ("", false),
            ("a b", false),
            ("a/b", false),
            ("a@b", false),
        ] {
            assert_eq!(is_host(host.as_bytes()), expected, "{host}");
        }
        for (length, expected) in [(260, true), (261, true), (262, false)] {
            assert_eq!(is_host("a".repeat(length).as_bytes()), expected, "{length}");
        }
    }
}
