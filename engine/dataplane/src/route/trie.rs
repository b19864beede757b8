//! Texts that begin with, or are, one of many: a radix tree over bytes. A walk looks at each byte of its text once and
//! costs the same for ten keys and for ten thousand, but for a few more branches. It owns no values: they are numbers.

use std::collections::VecDeque;

/// No value.
const NONE: u32 = u32::MAX;

/// A key and what is found by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: Box<[u8]>,
    /// For texts that begin with the key.
    pub(super) prefix: Option<u32>,
    /// For texts that are the key.
    pub(super) exact: Option<u32>,
}

#[derive(Debug, Default)]
pub(super) struct Trie {
    nodes: Box<[Node]>,
    /// The first byte of each node's label.
    firsts: Box<[u8]>,
    labels: Box<[u8]>,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    /// Its label without the first byte.
    label_start: u32,
    label_len: u32,
    children_start: u32,
    children: u16,
    prefix: u32,
    exact: u32,
}

impl Trie {
    /// Builds it level by level, so that siblings lie side by side. Keys must be different.
    pub(super) fn build(mut entries: Vec<Entry>) -> Trie {
        entries.sort_by(|one, other| one.key.cmp(&other.key));
        if entries.is_empty() {
            return Trie::default();
        }
        let mut building = Building { entries: &entries, nodes: vec![], firsts: vec![], labels: vec![] };
        let mut waiting = VecDeque::new();
        building.reserve();
        waiting.push_back(Part { node: 0, from: 0, to: entries.len(), depth: 0, skips: 0 });
        while let Some(part) = waiting.pop_front() {
            building.finish(&part, &mut waiting);
        }
        let Building { nodes, firsts, labels, .. } = building;
        Trie { nodes: nodes.into(), firsts: firsts.into(), labels: labels.into() }
    }

    /// Tells the prefix values of all keys that `text` begins with, shortest first, with the keys' lengths; returns the
    /// exact value of the key that it is.
    pub(super) fn walk(&self, text: &[u8], mut found: impl FnMut(u32, usize)) -> Option<u32> {
        let mut node = self.nodes.first()?;
        let mut depth = 0;
        loop {
            let label = &self.labels[node.label_start as usize..][..node.label_len as usize];
            if !text[depth..].starts_with(label) {
                return None;
            }
            depth += label.len();
            if node.prefix != NONE {
                found(node.prefix, depth);
            }
            let Some(next) = text.get(depth) else {
                return (node.exact != NONE).then_some(node.exact);
            };
            let start = node.children_start as usize;
            let siblings = &self.firsts[start..start + usize::from(node.children)];
            // Few siblings are the rule, for which a plain loop beats a search made for long texts.
            node = &self.nodes[start + siblings.iter().position(|first| first == next)?];
            depth += 1;
        }
    }
}

/// A node under construction: the sorted entries below it, which share their first `depth` bytes.
struct Part {
    node: usize,
    from: usize,
    to: usize,
    depth: usize,
    /// 1 if the byte at `depth` is the node's first one, which stands apart.
    skips: usize,
}

struct Building<'e> {
    entries: &'e [Entry],
    nodes: Vec<Node>,
    firsts: Vec<u8>,
    labels: Vec<u8>,
}

impl Building<'_> {
    fn reserve(&mut self) {
        let node =
            Node { label_start: 0, label_len: 0, children_start: 0, children: 0, prefix: NONE, exact: NONE };
        self.nodes.push(node);
        self.firsts.push(0);
    }

    fn finish(&mut self, part: &Part, waiting: &mut VecDeque<Part>) {
        let entries = &self.entries[part.from..part.to];
        let (first, last) = (&entries[0].key, &entries[entries.len() - 1].key);
        let begin = part.depth + part.skips;
        let end = begin + shared(&first[begin..], &last[begin..]);
        let mut node = self.nodes[part.node];
        (node.label_start, node.label_len) = (self.labels.len() as u32, (end - begin) as u32);
        self.labels.extend_from_slice(&first[begin..end]);
        let mut at = part.from;
        if first.len() == end {
            node.prefix = entries[0].prefix.unwrap_or(NONE);
            node.exact = entries[0].exact.unwrap_or(NONE);
            at += 1;
        }
        node.children_start = self.nodes.len() as u32;
        while at < part.to {
            let byte = self.entries[at].key[end];
            let same = self.entries[at..part.to].iter().take_while(|entry| entry.key[end] == byte).count();
            waiting.push_back(Part { node: self.nodes.len(), from: at, to: at + same, depth: end, skips: 1 });
            self.reserve();
            if let Some(first) = self.firsts.last_mut() {
                *first = byte;
            }
            node.children += 1;
            at += same;
        }
        self.nodes[part.node] = node;
    }
}

fn shared(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, prefix: Option<u32>, exact: Option<u32>) -> Entry {
        Entry { key: key.as_bytes().into(), prefix, exact }
    }

    fn walk(trie: &Trie, text: &str) -> (Vec<(u32, usize)>, Option<u32>) {
        let mut found = vec![];
        let exact = trie.walk(text.as_bytes(), |value, length| found.push((value, length)));
        (found, exact)
    }

    #[test]
    fn all_prefixes_and_the_exact_key() {
        let trie = Trie::build(vec![
            entry("/api/v2", Some(3), None),
            entry("", Some(0), Some(9)),
            entry("/api/v1", Some(2), Some(7)),
            entry("/a", Some(1), None),
            entry("/b", None, Some(8)),
        ]);
        assert_eq!(walk(&trie, ""), (vec![(0, 0)], Some(9)));
        assert_eq!(walk(&trie, "/api/v1"), (vec![(0, 0), (1, 2), (2, 7)], Some(7)));
        assert_eq!(walk(&trie, "/api/v1/x"), (vec![(0, 0), (1, 2), (2, 7)], None));
        assert_eq!(walk(&trie, "/api/v3"), (vec![(0, 0), (1, 2)], None));
        assert_eq!(walk(&trie, "/b"), (vec![(0, 0)], Some(8)));
        assert_eq!(walk(&trie, "/bb"), (vec![(0, 0)], None));
        assert_eq!(walk(&trie, "/"), (vec![(0, 0)], None));
        assert_eq!(walk(&Trie::build(vec![]), "/"), (vec![], None));
    }

    #[test]
    fn keys_that_nest_deep_and_branch_wide() {
        let mut entries: Vec<_> =
            (0..3000u32).map(|at| entry(&"x".repeat(at as usize), Some(at), None)).collect();
        entries.extend((0..=255u8).map(|byte| Entry {
            key: [b'y', byte].into(),
            prefix: None,
            exact: Some(byte.into()),
        }));
        let trie = Trie::build(entries);
        assert_eq!(walk(&trie, &"x".repeat(4000)).0.len(), 3000);
        for byte in 0..=255u8 {
            assert_eq!(trie.walk(&[b'y', byte], |_, _| {}), Some(byte.into()));
        }
    }
}
