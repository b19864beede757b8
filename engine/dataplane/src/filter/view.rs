//! What filters see of a request and of its answer, and where they write what they change.

use crate::config::HeaderMatch;
use crate::io::Time;
use crate::observe::access_log::ResponseFlags;
use sidering_codecs::{Edits, FieldSpan, Fields, RequestHead};
use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};

/// A request at its head.
pub struct RequestView<'a> {
    pub(crate) head: &'a RequestHead<'a>,
    /// What goes upstream otherwise than it came.
    pub edits: &'a mut Edits,
    /// Header lines of the answer, should the filter give one: each with its CRLF.
    pub lines: Vec<u8>,
    /// To be added to the stream's.
    pub flags: ResponseFlags,
    /// `None` on unix sockets, and if no filter of the chain wants it.
    pub peer: Option<SocketAddr>,
    /// Whether what X-Forwarded-For says is believed: nobody appends the peer's address to it here.
    pub believes_forwarded_for: bool,
    /// Whether its route sends it to a cluster.
    pub is_forwarded: bool,
    pub now: Time,
    pub(crate) random: u64,
    /// Where fields of one name are joined.
    pub(crate) joined: Cell<Vec<u8>>,
}

impl RequestView<'_> {
    /// The request's method, as sent.
    pub fn method(&self) -> &[u8] {
        self.head.method.as_bytes()
    }

    /// The path with query, as it goes upstream by now.
    pub fn path(&self) -> &[u8] {
        self.edits.path().unwrap_or(self.head.path)
    }

    /// Host and port, as it goes upstream by now.
    pub fn authority(&self) -> &[u8] {
        self.edits.authority().unwrap_or(self.head.authority)
    }

    /// The values of the fields of a name (ASCII case-insensitive) that came and are not dropped.
    fn values<'s>(&'s self, name: &'s [u8]) -> impl Iterator<Item = &'s [u8]> + 's {
        let fields = &self.head.fields;
        // Most names are told apart by their length, without a look at their bytes.
        let fits = |span: &FieldSpan| usize::from(span.name_len) == name.len();
        let spans = fields.spans().iter().enumerate().filter(move |(_, span)| fits(span));
        spans.filter_map(move |(index, span)| {
            let (start, value) = (span.line_start as usize, span.value_start as usize);
            let is_named = fields.bytes()[start..start + name.len()].eq_ignore_ascii_case(name);
            let is_there = is_named && !self.edits.is_removed(index);
            is_there.then(|| &fields.bytes()[value..value + span.value_len as usize])
        })
    }

    /// The value of the first field of this name.
    pub fn first_value<'s>(&'s self, name: &'s [u8]) -> Option<&'s [u8]> {
        self.values(name).next()
    }

    /// The values of all fields of this name, joined by commas as RFC 9110 section 5.3 has it.
    pub fn with_value<T>(&self, name: &[u8], look: impl FnOnce(Option<&[u8]>) -> T) -> T {
        if let Some(part) = self.part(name) {
            return look(Some(part));
        }
        let mut values = self.values(name);
        let Some(first) = values.next() else { return look(None) };
        let Some(second) = values.next() else { return look(Some(first)) };
        let mut joined = self.joined.take();
        joined.clear();
        joined.extend_from_slice(first);
        for value in std::iter::once(second).chain(values) {
            joined.push(b',');
            joined.extend_from_slice(value);
        }
        let seen = look(Some(&joined));
        self.joined.set(joined);
        seen
    }

    /// Whether it is as the condition has it.
    pub fn fulfils(&self, header: &HeaderMatch) -> bool {
        let name = header.name.as_bytes();
        match self.part(name) {
            Some(part) => header.takes(std::iter::once(part)),
            None => header.takes(self.values(name)),
        }
    }

    /// What a name means that is no field's: a part of the request.
    fn part(&self, name: &[u8]) -> Option<&[u8]> {
        match name {
            b":method" => Some(self.method()),
            b":path" => Some(self.path()),
            b":authority" | b"host" => Some(self.authority()),
            _ => None,
        }
    }

    /// The client's address: the peer's, or, where X-Forwarded-For is believed, the last one there.
    pub fn remote_address(&self) -> Option<IpAddr> {
        let peer = self.peer.map(|peer| peer.ip());
        if !self.believes_forwarded_for {
            return peer;
        }
        let told = self.with_value(b"x-forwarded-for", |value| {
            let last = value?.rsplit(|&byte| byte == b',').next()?;
            std::str::from_utf8(last).ok()?.trim().parse().ok()
        });
        told.or(peer)
    }

    /// A random number, another one each time: nothing may depend on its being hard to guess.
    pub fn draw(&mut self) -> u64 {
        // splitmix64
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// Drops all fields of a name.
    pub fn remove(&mut self, name: &[u8]) {
        self.edits.remove_named(&self.head.fields, name);
    }

    /// Adds a header line to the answer.
    pub fn add_line(&mut self, name: &str, value: &[u8]) {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            self.lines.extend_from_slice(part);
        }
    }
}

/// An answer at its head.
pub struct ResponseView<'a> {
    pub status: u16,
    /// None in answers of the proxy's own.
    pub(crate) fields: Fields<'a>,
    /// Whether an upstream's body follows. (It may not if HEAD was asked for.)
    pub has_body: bool,
    /// The body's, if its upstream said it.
    pub length: Option<u64>,
    pub edits: &'a mut Edits,
    pub now: Time,
}

impl ResponseView<'_> {
    /// The values of the fields of a name (ASCII case-insensitive) as they go out by now.
    fn values<'s>(&'s self, name: &'s [u8]) -> impl Iterator<Item = &'s [u8]> + 's {
        let own = self.fields.iter().enumerate().filter(|(index, _)| !self.edits.is_removed(*index));
        let all = own.map(|(_, field)| field).chain(self.edits.added().iter());
        all.filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    /// Whether there is a field of this name.
    pub fn has(&self, name: &[u8]) -> bool {
        self.values(name).next().is_some()
    }

    /// Whether a field of this name, a list, has this item, in whatever case.
    pub fn lists(&self, name: &[u8], item: &[u8]) -> bool {
        let mut items = self.values(name).flat_map(|value| value.split(|&byte| byte == b','));
        items.any(|known| known.trim_ascii().eq_ignore_ascii_case(item))
    }

    /// The first value of a name.
    pub fn with_first<T>(&self, name: &[u8], look: impl FnOnce(Option<&[u8]>) -> T) -> T {
        look(self.values(name).next())
    }

    /// Drops all fields of a name.
    pub fn remove(&mut self, name: &[u8]) {
        self.edits.remove_named(&self.fields, name);
    }

    /// Puts one field in the place of all of its name.
    pub fn set(&mut self, name: &str, value: &[u8]) {
        self.edits.remove_named(&self.fields, name.as_bytes());
        self.edits.add(name.as_bytes(), value);
    }
}

/// How a request and its answer ended.
#[derive(Debug, Clone, Copy)]
pub struct EndView {
    /// Of the answer; 0 if there was none.
    pub status: u16,
    /// Whether the answer went out whole.
    pub is_complete: bool,
    pub started: Time,
    pub now: Time,
}

#[cfg(test)]
mod tests {
    use crate::config::{HeaderMatch, HeaderTest, StringMatch};
    use crate::filter::test_request::Asked;

    #[test]
    fn each_field_of_a_name_is_looked_at_and_parts_of_the_request_have_names() {
        let asked = Asked::new("PUT", "/p?q", &[("a", "1"), ("b", "x"), ("A", "2")]);
        for (name, value, is_there) in [
            ("a", "1", true),
            ("a", "2", true),
            ("a", "1,2", false),
            (":method", "PUT", true),
            (":path", "/p?q", true),
            (":authority", "host", true),
            ("host", "host", true),
        ] {
            let test = HeaderTest::Text(StringMatch::exact(value));
            for invert in [false, true] {
                let header = HeaderMatch { name: name.into(), test: test.clone(), invert };
                assert_eq!(
                    asked.with(|request| request.fulfils(&header)),
                    is_there != invert,
                    "{name} {value}"
                );
            }
        }
        let joined = asked.with(|request| request.with_value(b"a", |value| value == Some(&b"1,2"[..])));
        assert!(joined);
    }
}
