//! A request head that outlives the buffer it came in, for requests that wait for a connection or are sent again.

use sidering_codecs::rpc::{Call, Frame, RpcHead};
use sidering_codecs::{BodyLength, Edits, FieldSpan, Fields, Method, RequestHead, Version};
use std::ops::Range;

/// A copy of a request head as it goes out: what edits remove is gone, what they add stands in it.
#[derive(Debug, Default)]
pub struct OwnedHead {
    fields: Vec<u8>,
    spans: Vec<FieldSpan>,
    texts: Vec<u8>,
    method: Range<usize>,
    authority: Range<usize>,
    path: Range<usize>,
    upgrade: Option<Range<usize>>,
    version: Option<Version>,
    body: Option<BodyLength>,
    authority_overrides_host: bool,
    expects_continue: bool,
    keeps_upgrade: bool,
    rpc: Option<OwnedFrame>,
    /// What changes a call's frame, which can only be read as it came.
    frame_edits: Edits,
}

/// The frame of a call.
#[derive(Debug, Clone, Copy)]
struct OwnedFrame {
    frame: Frame,
    taken_bytes: u32,
    call: Call,
}

impl OwnedHead {
    /// Takes a copy of `head` as `edits` change it, reusing the memory.
    pub fn fill(&mut self, head: &RequestHead<'_>, edits: &Edits) {
        self.texts.clear();
        self.method = self.keep_text(head.method.as_bytes());
        self.authority = self.keep_text(edits.authority().unwrap_or(head.authority));
        self.path = self.keep_text(edits.path().unwrap_or(head.path));
        self.upgrade = head.upgrade.map(|upgrade| self.keep_text(upgrade));
        self.version = Some(head.version);
        self.body = Some(head.body);
        self.authority_overrides_host = head.authority_overrides_host || edits.authority().is_some();
        self.expects_continue = head.expects_continue;
        self.keeps_upgrade = edits.keeps_upgrade();
        self.rpc =
            head.rpc.map(|rpc| OwnedFrame { frame: rpc.frame, taken_bytes: rpc.taken_bytes, call: rpc.call });
        match head.rpc {
            Some(rpc) => self.keep_frame(&rpc, head, edits),
            None => self.keep_fields(head, edits),
        }
    }

    /// The memory that it has, whatever it holds.
    pub fn kept_bytes(&self) -> usize {
        self.fields.capacity() + self.texts.capacity()
    }

    fn keep_frame(&mut self, rpc: &RpcHead<'_>, head: &RequestHead<'_>, edits: &Edits) {
        self.fields.clear();
        self.fields.extend_from_slice(rpc.seen);
        self.spans.clear();
        self.spans.extend_from_slice(head.fields.spans());
        self.frame_edits.clone_from(edits);
    }

    /// The head, lent again. `edits` is cleared and filled with what is needed to encode it (the upgrade; all that changes a
    /// call's frame).
    pub fn lend(&self, edits: &mut Edits) -> RequestHead<'_> {
        edits.clear();
        if self.rpc.is_some() && !self.frame_edits.is_empty() {
            edits.clone_from(&self.frame_edits);
        }
        if self.keeps_upgrade {
            edits.keep_upgrade();
        }
        RequestHead {
            rpc: self.rpc.map(|kept| RpcHead {
                frame: kept.frame,
                seen: &self.fields,
                taken_bytes: kept.taken_bytes,
                call: kept.call,
            }),
            method: self.lend_method(),
            version: self.version.unwrap_or(Version::Http11),
            authority: &self.texts[self.authority.clone()],
            path: &self.texts[self.path.clone()],
            authority_overrides_host: self.authority_overrides_host,
            fields: Fields::new(&self.fields, &self.spans),
            body: self.body.unwrap_or(BodyLength::None),
            upgrade: self.upgrade.clone().map(|range| &self.texts[range]),
            expects_continue: self.expects_continue,
        }
    }

    fn lend_method(&self) -> Method<'_> {
        let name = &self.texts[self.method.clone()];
        if self.rpc.is_some() { Method::Other(name) } else { Method::from_bytes(name) }
    }

    /// Marks the authority as Envoy does those of mirrored requests, in front of its port.
    pub fn become_shadow(&mut self) {
        const SUFFIX: &[u8] = b"-shadow";
        self.expects_continue = false;
        if self.rpc.is_some() {
            // The service of a call is in its frame, and stays what it is.
            return;
        }
        let authority = self.authority.clone();
        if authority.is_empty() {
            return;
        }
        let end = authority.start + port_start(&self.texts[authority.clone()]);
        let start = self.texts.len();
        self.texts.extend_from_within(authority.start..end);
        self.texts.extend_from_slice(SUFFIX);
        self.texts.extend_from_within(end..authority.end);
        self.authority = start..self.texts.len();
        self.authority_overrides_host = true;
    }

    fn keep_text(&mut self, text: &[u8]) -> Range<usize> {
        let start = self.texts.len();
        self.texts.extend_from_slice(text);
        start..self.texts.len()
    }

    fn keep_fields(&mut self, head: &RequestHead<'_>, edits: &Edits) {
        self.fields.clear();
        self.fields.extend_from_slice(head.fields.bytes());
        self.spans.clear();
        let kept = head.fields.spans().iter().enumerate().filter(|(index, _)| !edits.is_removed(*index));
        self.spans.extend(kept.map(|(_, span)| *span));
        let offset = self.fields.len() as u32;
        self.fields.extend_from_slice(edits.added().bytes());
        self.spans.extend(edits.added().spans().iter().map(|span| FieldSpan {
            line_start: span.line_start + offset,
            value_start: span.value_start + offset,
            line_end: span.line_end + offset,
            ..*span
        }));
    }
}

/// Where the port of an authority begins, with its colon; its length if it has none. The colons of an IPv6 address stand in
/// brackets.
fn port_start(authority: &[u8]) -> usize {
    let colon = authority.iter().rposition(|&byte| byte == b':');
    let is_port = |at: &usize| authority[at + 1..].iter().all(u8::is_ascii_digit);
    colon.filter(is_port).unwrap_or(authority.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shadow_is_marked_in_front_of_its_port() {
        for (given, marked) in [
            ("api.example", "api.example-shadow"),
            ("api.example:8080", "api.example-shadow:8080"),
            ("[::1]:80", "[::1]-shadow:80"),
            ("[2001:db8::1]", "[2001:db8::1]-shadow"),
            ("", ""),
        ] {
            let mut head = OwnedHead::default();
            head.authority = head.keep_text(given.as_bytes());
            head.become_shadow();
            let lent = head.lend(&mut Edits::default()).authority.to_vec();
            assert_eq!(String::from_utf8(lent).unwrap(), marked);
        }
    }
}
