//! What filters and routes change of a head, kept beside the lent head so that unchanged bytes are copied once.
//!
//! One value serves all requests of a core: it is cleared, never dropped.

use crate::message::{FieldName, FieldSpan, Fields};
use std::fmt;
use std::ops::Range;

/// An overlay on a lent head. Names and values added here must be valid: no CR, LF or NUL, and a token as name.
#[derive(Clone, Debug, Default)]
pub struct Edits {
    path: Vec<u8>,
    has_path: bool,
    authority: Vec<u8>,
    has_authority: bool,
    keeps_upgrade: bool,
    removed: Vec<u16>,
    added: Vec<u8>,
    added_spans: Vec<FieldSpan>,
    timeout_ms: Option<u32>,
}

impl Edits {
    /// Forgets every change, keeping the memory.
    pub fn clear(&mut self) {
        self.has_path = false;
        self.has_authority = false;
        self.keeps_upgrade = false;
        self.removed.clear();
        self.added.clear();
        self.added_spans.clear();
        self.timeout_ms = None;
    }

    /// Whether the head goes out as it came, apart from what is hop-by-hop.
    pub fn is_empty(&self) -> bool {
        !self.has_path && !self.has_authority && self.removed.is_empty() && self.added.is_empty()
    }

    /// Replaces the path with query.
    pub fn set_path(&mut self, path: &[u8]) {
        self.set_path_parts(&[path]);
    }

    /// Replaces the path with query by what `parts` make together.
    pub fn set_path_parts(&mut self, parts: &[&[u8]]) {
        self.path.clear();
        for part in parts {
            self.path.extend_from_slice(part);
        }
        self.has_path = true;
    }

    /// Replaces the authority (Host).
    pub fn set_authority(&mut self, authority: &[u8]) {
        self.authority.clear();
        self.authority.extend_from_slice(authority);
        self.has_authority = true;
    }

    /// Replaces what a call's frame says of how long its caller waits: what is left of that.
    pub fn set_timeout(&mut self, timeout_ms: u32) {
        self.timeout_ms = Some(timeout_ms);
    }

    /// Lets the head's Upgrade pass, with `Connection: Upgrade` written anew. Without it, Upgrade is dropped.
    pub fn keep_upgrade(&mut self) {
        self.keeps_upgrade = true;
    }

    /// Removes the field at `index` of the head's fields.
    pub fn remove(&mut self, index: usize) {
        let index = u16::try_from(index).unwrap_or(u16::MAX);
        if !self.removed.contains(&index) {
            self.removed.push(index);
        }
    }

    /// Removes every field of this name (ASCII case-insensitive), the head's own and those added.
    pub fn remove_named(&mut self, fields: &Fields<'_>, name: &[u8]) {
        self.remove_own(fields, name);
        self.remove_added(name, self.added_spans.len());
    }

    /// Removes every field of this name but those added from `kept_from` on, a place among the added ones.
    pub fn remove_older(&mut self, fields: &Fields<'_>, name: &[u8], kept_from: usize) {
        self.remove_own(fields, name);
        self.remove_added(name, kept_from);
    }

    fn remove_own(&mut self, fields: &Fields<'_>, name: &[u8]) {
        for (index, span) in fields.spans().iter().enumerate() {
            if is_named(fields.bytes(), span, name) {
                self.remove(index);
            }
        }
    }

    fn remove_added(&mut self, name: &[u8], end: usize) {
        for at in (0..end).rev() {
            if is_named(&self.added, &self.added_spans[at], name) {
                let gone = self.added_spans.remove(at);
                self.added.drain(gone.line_start as usize..gone.line_end as usize);
                let length = gone.line_end - gone.line_start;
                for span in &mut self.added_spans[at..] {
                    span.line_start -= length;
                    span.value_start -= length;
                    span.line_end -= length;
                }
            }
        }
    }

    /// The value of the first field of this name as it goes out: of the head's own, else of those added.
    pub fn value_of<'a>(&'a self, fields: &Fields<'a>, name: &[u8]) -> Option<&'a [u8]> {
        match self.find(fields, name, self.added_spans.len())? {
            Found::Own(range) => Some(&fields.bytes()[range]),
            Found::Added(range) => Some(&self.added[range]),
        }
    }

    /// The values of all fields of this name as they go out, the head's own first.
    pub fn values_of<'a>(&'a self, fields: &Fields<'a>, name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
        let own = fields.iter().enumerate().filter(|(index, _)| !self.is_removed(*index));
        let all = own.map(|(_, field)| field).chain(self.added().iter());
        all.filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    fn find(&self, fields: &Fields<'_>, name: &[u8], visible: usize) -> Option<Found> {
        let value = |span: &FieldSpan| {
            let start = span.value_start as usize;
            start..start + span.value_len as usize
        };
        let own = fields.spans().iter().enumerate();
        let own = own.filter(|(_, span)| is_named(fields.bytes(), span, name));
        let own = own.filter(|(index, _)| !self.is_removed(*index)).map(|(_, span)| Found::Own(value(span)));
        let added = self.added_spans[..visible].iter().filter(|span| is_named(&self.added, span, name));
        own.chain(added.map(|span| Found::Added(value(span)))).next()
    }

    /// Begins a field behind all others whose value is written piece by piece, and which is there once it is finished.
    /// It sees only the first `visible` of the added fields.
    pub fn start_field(&mut self, name: &[u8], visible: usize) -> FieldWriter<'_> {
        let line_start = self.added.len();
        self.added.extend_from_slice(name);
        self.added.extend_from_slice(b": ");
        let value_start = self.added.len();
        FieldWriter { edits: self, line_start, value_start, name_len: name.len(), visible }
    }

    /// Adds a field behind the head's own.
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        self.add_parts(FieldName::Other, name, &[value]);
    }

    /// Adds a field whose value is put together from `parts`.
    pub fn add_parts(&mut self, known: FieldName, name: &[u8], parts: &[&[u8]]) {
        let mut field = self.start_field(name, 0);
        for part in parts {
            field.push(part);
        }
        field.end(known);
    }

    /// The new path, if it was replaced.
    pub fn path(&self) -> Option<&[u8]> {
        self.has_path.then_some(self.path.as_slice())
    }

    /// The new authority, if it was replaced.
    pub fn authority(&self) -> Option<&[u8]> {
        self.has_authority.then_some(self.authority.as_slice())
    }

    /// What is left of the time that a call's caller waits, if it was replaced.
    pub fn timeout_ms(&self) -> Option<u32> {
        self.timeout_ms
    }

    /// Whether Upgrade passes.
    pub fn keeps_upgrade(&self) -> bool {
        self.keeps_upgrade
    }

    /// Whether any field was removed.
    pub fn removes_fields(&self) -> bool {
        !self.removed.is_empty()
    }

    /// Whether the field at `index` was removed.
    pub fn is_removed(&self, index: usize) -> bool {
        self.removed.iter().any(|&removed| usize::from(removed) == index)
    }

    /// The added fields; `added().bytes()` is exactly their lines, ready to be copied in one piece.
    pub fn added(&self) -> Fields<'_> {
        Fields::new(&self.added, &self.added_spans)
    }
}

/// Where a value stands.
enum Found {
    /// In the head's bytes.
    Own(Range<usize>),
    /// In the bytes of the added lines.
    Added(Range<usize>),
}

fn is_named(bytes: &[u8], span: &FieldSpan, name: &[u8]) -> bool {
    let start = span.line_start as usize;
    // Most names are told apart by their length, without a look at their bytes.
    usize::from(span.name_len) == name.len() && bytes[start..start + name.len()].eq_ignore_ascii_case(name)
}

/// A field under way. What is pushed must be valid in a value: no CR, LF or NUL.
#[derive(Debug)]
pub struct FieldWriter<'e> {
    edits: &'e mut Edits,
    line_start: usize,
    value_start: usize,
    name_len: usize,
    visible: usize,
}

impl FieldWriter<'_> {
    /// Appends to the value.
    pub fn push(&mut self, bytes: &[u8]) {
        self.edits.added.extend_from_slice(bytes);
    }

    /// Appends at most `limit` bytes of the first field of this name, as [`Edits::value_of`] tells it. Tells whether
    /// there is one.
    pub fn push_value_of(&mut self, fields: &Fields<'_>, name: &[u8], limit: usize) -> bool {
        match self.edits.find(fields, name, self.visible) {
            Some(Found::Own(range)) => self.push(cut(&fields.bytes()[range], limit)),
            Some(Found::Added(range)) => {
                let end = range.end.min(range.start.saturating_add(limit));
                self.edits.added.extend_from_within(range.start..end);
            }
            None => return false,
        }
        true
    }

    /// Appends at most `limit` bytes of the path as it goes out; `came` is the head's own.
    pub fn push_path(&mut self, came: &[u8], limit: usize) {
        let Edits { path, has_path, added, .. } = &mut *self.edits;
        added.extend_from_slice(cut(if *has_path { path } else { came }, limit));
    }

    /// Appends at most `limit` bytes of the authority as it goes out; `came` is the head's own.
    pub fn push_authority(&mut self, came: &[u8], limit: usize) {
        let Edits { authority, has_authority, added, .. } = &mut *self.edits;
        added.extend_from_slice(cut(if *has_authority { authority } else { came }, limit));
    }

    /// Bytes of all added lines up to here.
    pub fn added_bytes(&self) -> usize {
        self.edits.added.len()
    }

    /// Adds the field, unless its value is empty. Tells whether it is there.
    pub fn finish(self) -> bool {
        if self.edits.added.len() == self.value_start {
            self.edits.added.truncate(self.line_start);
            return false;
        }
        self.end(FieldName::Other);
        true
    }

    fn end(self, known: FieldName) {
        let added = &mut self.edits.added;
        let value_len = added.len() - self.value_start;
        added.extend_from_slice(b"\r\n");
        let line_end = added.len();
        self.edits.added_spans.push(FieldSpan {
            line_start: self.line_start as u32,
            value_start: self.value_start as u32,
            value_len: value_len as u32,
            line_end: line_end as u32,
            name_len: self.name_len as u16,
            name: known,
            hop_by_hop: false,
        });
    }
}

impl fmt::Write for FieldWriter<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

fn cut(value: &[u8], limit: usize) -> &[u8] {
    &value[..value.len().min(limit)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(edits: &Edits) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        edits.added().iter().map(|field| (text(field.name), text(field.value))).collect()
    }

    #[test]
    fn a_field_that_goes_leaves_the_others_whole() {
        let mut edits = Edits::default();
        for (name, value) in [("a", "1"), ("B", "22"), ("c", ""), ("b", "4444"), ("d", "5")] {
            edits.add(name.as_bytes(), value.as_bytes());
        }
        edits.remove_older(&Fields::default(), b"b", 3);
        let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(added(&edits), [of("a", "1"), of("c", ""), of("b", "4444"), of("d", "5")]);
        edits.remove_named(&Fields::default(), b"B");
        edits.remove_named(&Fields::default(), b"none");
        assert_eq!(added(&edits), [of("a", "1"), of("c", ""), of("d", "5")]);
        assert_eq!(edits.added().bytes(), b"a: 1\r\nc: \r\nd: 5\r\n");
    }

    #[test]
    fn a_field_under_way_is_there_when_it_is_finished_unless_it_is_empty() {
        let mut edits = Edits::default();
        edits.add(b"a", b"1");
        assert!(!edits.start_field(b"b", 1).finish());
        let mut field = edits.start_field(b"c", 1);
        field.push(b"x");
        assert!(field.push_value_of(&Fields::default(), b"A", 9));
        assert!(!field.push_value_of(&Fields::default(), b"b", 9));
        field.push_path(b"/came", 3);
        assert!(field.finish());
        // It sees no more than it is told to.
        let mut field = edits.start_field(b"d", 1);
        assert!(!field.push_value_of(&Fields::default(), b"c", 9));
        assert!(!field.finish());
        assert_eq!(edits.added().bytes(), b"a: 1\r\nc: x1/ca\r\n");
        assert_eq!(edits.value_of(&Fields::default(), b"C"), Some(&b"x1/ca"[..]));
    }
}
