//! What filters and routes change of a head, kept beside the lent head so that unchanged bytes are copied once.
//!
//! One value serves all requests of a core: it is cleared, never dropped.

use crate::message::{FieldName, FieldSpan, Fields};

/// An overlay on a lent head. Names and values added here must be valid: no CR, LF or NUL, and a token as name.
#[derive(Debug, Default)]
pub struct Edits {
    path: Vec<u8>,
    has_path: bool,
    authority: Vec<u8>,
    has_authority: bool,
    keeps_upgrade: bool,
    removed: Vec<u16>,
    added: Vec<u8>,
    added_spans: Vec<FieldSpan>,
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

    /// Adds a field behind the head's own.
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        self.add_parts(FieldName::Other, name, &[value]);
    }

    /// Adds a field whose value is put together from `parts`.
    pub fn add_parts(&mut self, known: FieldName, name: &[u8], parts: &[&[u8]]) {
        let line_start = self.added.len();
        self.added.extend_from_slice(name);
        self.added.extend_from_slice(b": ");
        let value_start = self.added.len();
        for part in parts {
            self.added.extend_from_slice(part);
        }
        let value_len = self.added.len() - value_start;
        self.added.extend_from_slice(b"\r\n");
        self.added_spans.push(FieldSpan {
            line_start: line_start as u32,
            value_start: value_start as u32,
            value_len: value_len as u32,
            line_end: self.added.len() as u32,
            name_len: name.len() as u16,
            name: known,
            hop_by_hop: false,
        });
    }

    /// The new path, if it was replaced.
    pub fn path(&self) -> Option<&[u8]> {
        self.has_path.then_some(self.path.as_slice())
    }

    /// The new authority, if it was replaced.
    pub fn authority(&self) -> Option<&[u8]> {
        self.has_authority.then_some(self.authority.as_slice())
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
