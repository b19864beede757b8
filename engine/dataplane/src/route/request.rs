//! A request as routing sees it: views of lent bytes, and nothing of where they came from.

use sidering_codecs::{Fields, Method, RequestHead};
use std::net::IpAddr;

/// What routes may ask about. What a request does not have is empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestView<'a> {
    /// Host and optional port.
    pub authority: &'a [u8],
    /// With query; normalised if the listener says so.
    pub path: &'a [u8],
    pub method: &'a [u8],
    pub is_connect: bool,
    pub fields: Fields<'a>,
    /// The client's address; `None` on unix sockets, and where no route asks ([`super::RouteTable::asks`]).
    pub source: Option<IpAddr>,
    /// Stays the same for all lookups of one request.
    pub random: u64,
    pub rpc: Option<RpcView<'a>>,
}

/// The neutral fields of an RPC request.
#[derive(Debug, Clone, Copy, Default)]
pub struct RpcView<'a> {
    pub service: &'a [u8],
    pub method: &'a [u8],
    pub version: &'a [u8],
    pub group: &'a [u8],
}

impl<'a> RequestView<'a> {
    /// The view of a head whose path was perhaps normalised, without source address and random number.
    #[must_use]
    pub fn of_head(head: &RequestHead<'a>, path: &'a [u8]) -> Self {
        RequestView {
            authority: head.authority,
            path,
            method: head.method.as_bytes(),
            is_connect: head.method == Method::Connect,
            fields: head.fields,
            rpc: head.rpc.map(|rpc| RpcView {
                service: rpc.service(),
                method: rpc.method(),
                version: rpc.version(),
                group: rpc.group(),
            }),
            ..RequestView::default()
        }
    }

    /// A GET without fields, for tests and tools.
    #[must_use]
    pub fn get(authority: &'a [u8], path: &'a [u8]) -> Self {
        RequestView { authority, path, method: b"GET", ..RequestView::default() }
    }

    /// The path up to its query.
    #[must_use]
    pub fn bare_path(&self) -> &'a [u8] {
        path_without_query(self.path)
    }

    /// The first query parameter of this name, as sent; empty if it has no value.
    #[must_use]
    pub fn query(&self, name: &[u8]) -> Option<&'a [u8]> {
        let query = self.path.get(self.bare_path().len() + 1..)?;
        query.split(|&byte| byte == b'&').find_map(|parameter| {
            let end = memchr::memchr(b'=', parameter).unwrap_or(parameter.len());
            (&parameter[..end] == name).then(|| parameter.get(end + 1..).unwrap_or(b""))
        })
    }

    /// The value of the first cookie of this name (RFC 6265 section 5.4).
    #[must_use]
    pub fn cookie(&self, name: &[u8]) -> Option<&'a [u8]> {
        let fields = self.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(b"cookie"));
        let mut pairs = fields.flat_map(|field| field.value.split(|&byte| byte == b';'));
        pairs.find_map(|pair| {
            let (found, value) = pair.split_at(memchr::memchr(b'=', pair)?);
            (found.trim_ascii() == name).then(|| value[1..].trim_ascii())
        })
    }

    /// The path's segment of this number, from 0.
    #[must_use]
    pub(super) fn segment(&self, number: u8) -> Option<&'a [u8]> {
        self.bare_path().split(|&byte| byte == b'/').nth(usize::from(number) + 1)
    }
}

/// The path up to its query.
pub(crate) fn path_without_query(path: &[u8]) -> &[u8] {
    memchr::memchr(b'?', path).map_or(path, |query| &path[..query])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_segments() {
        let view = RequestView::get(b"h", b"/a//b?x=1&y&x=2&=e&z=a=b");
        let text =
            |name: &str| view.query(name.as_bytes()).map(|value| String::from_utf8_lossy(value).into_owned());
        assert_eq!(text("x").as_deref(), Some("1"));
        assert_eq!(text("y").as_deref(), Some(""));
        assert_eq!(text("z").as_deref(), Some("a=b"));
        assert_eq!(text("q"), None);
        assert_eq!(RequestView::get(b"h", b"/a").query(b"x"), None);
        assert_eq!(RequestView::get(b"h", b"/a?").query(b"x"), None);
        assert_eq!([0, 1, 2, 3].map(|at| view.segment(at)), [Some(&b"a"[..]), Some(b""), Some(b"b"), None]);
    }

    #[test]
    fn cookies() {
        let fields = [("Cookie", "a=1;b=2 ;  c=x=y; flag; =e"), ("x", "d=5"), ("cookie", "a=3; d=4")];
        let head = crate::route::tests::Head::new(&fields);
        let view = RequestView { fields: head.fields(), ..RequestView::get(b"h", b"/") };
        for (name, value) in [
            ("a", Some("1")),
            ("b", Some("2")),
            ("c", Some("x=y")),
            ("d", Some("4")),
            ("flag", None),
            ("e", None),
        ] {
            assert_eq!(view.cookie(name.as_bytes()), value.map(str::as_bytes), "{name}");
        }
    }
}
