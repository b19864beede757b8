//! A request head that outlives the buffer it came in, for requests that wait for a connection or are sent again.

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
        self.keep_fields(head, edits);
    }

    /// The head, lent again. `edits` is cleared and filled with what is needed to encode it (the upgrade).
    pub fn lend(&self, edits: &mut Edits) -> RequestHead<'_> {
        edits.clear();
        if self.keeps_upgrade {
            edits.keep_upgrade();
        }
        RequestHead {
            method: Method::from_bytes(&self.texts[self.method.clone()]),
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
