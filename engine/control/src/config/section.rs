//! Reads the values of one mapping and complains about the rest: every key is asked for, belongs to a later version,
//! or is an error. Readers never stop at a problem; they put it down and go on with a default.

use super::problem::{Place, Problems};
use super::suggest::nearest;
use super::tree::{Entry, Tree, Value};
use super::units;
use sidering_dataplane::io::Address;
use std::ops::RangeInclusive;

/// The longest duration that is taken for meant: a year.
const LONGEST_MS: u64 = 365 * 24 * 3_600_000;

const MAPPING: &str = "a mapping of `key: value`";
/// So many keys are shown where all of them could stand.
const SHOWN_KEYS: usize = 5;

/// One mapping under reading.
pub(super) struct Section<'t> {
    /// "a listener", for messages.
    what: &'static str,
    /// Where it begins: that is where a missing key is missed.
    pub(super) place: Place,
    pub(super) problems: &'t Problems,
    /// Whether it could be opened: nothing is missed in what is no mapping at all.
    is_mapping: bool,
    entries: &'t [Entry<'t>],
    known: Vec<&'static str>,
    settled: Vec<&'static str>,
    /// Required keys that aren't there, and what they would be.
    missing: Vec<(&'static str, String)>,
    lacking: Vec<Lack>,
}

/// What one of several keys would give, and none does.
struct Lack {
    keys: &'static [&'static str],
    message: String,
    expected: String,
}

impl<'t> Section<'t> {
    /// Takes a value as a mapping. One that is none is a problem and read as an empty one.
    pub(super) fn open(what: &'static str, tree: &'t Tree<'t>, problems: &'t Problems) -> Section<'t> {
        let (is_mapping, entries) = match &tree.value {
            Value::Mapping(entries) => (true, entries.as_slice()),
            _ => {
                problems.error(tree.place, format!("{} where {what} belongs", tree.describe()), MAPPING);
                (false, &[][..])
            }
        };
        Section {
            what,
            place: tree.place,
            problems,
            is_mapping,
            entries,
            known: vec![],
            settled: vec![],
            missing: vec![],
            lacking: vec![],
        }
    }

    /// The value of a key that may be left out.
    pub(super) fn find(&mut self, key: &'static str) -> Option<&'t Tree<'t>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The value of a key that must be there.
    pub(super) fn require(&mut self, key: &'static str, expected: &str) -> Option<&'t Tree<'t>> {
        let found = self.find(key);
        if found.is_none() && self.is_mapping {
            self.missing.push((key, format!("`{key}`: {expected}")));
        }
        found
    }

    /// One of these keys would have to be there.
    pub(super) fn lacks(
        &mut self,
        keys: &'static [&'static str],
        message: impl Into<String>,
        expected: impl Into<String>,
    ) {
        self.lacking.push(Lack { keys, message: message.into(), expected: expected.into() });
    }

    /// Whether a key is there, without asking for it.
    pub(super) fn place_of(&self, key: &str) -> Option<Place> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| entry.place)
    }

    /// Keys of the format that this version does not have yet.
    pub(super) fn later(&mut self, keys: &[&'static str]) {
        self.refuse(keys, |key| {
            (
                format!("`{key}` is in the format but not in this version"),
                "no such key yet: leave it out".to_owned(),
            )
        });
    }

    /// Keys that belong to another kind of this thing.
    pub(super) fn misplaced(&mut self, keys: &[&'static str], owner: &str) {
        self.refuse(keys, |key| (format!("`{key}` has no meaning here"), format!("it belongs to {owner}")));
    }

    /// Keys that cannot be judged.
    pub(super) fn settle(&mut self, keys: &[&'static str]) {
        self.settled.extend_from_slice(keys);
    }

    /// Whatever is left is unknown, and what was required but not found is missed, unless it was only misspelled.
    pub(super) fn finish(mut self) {
        if !self.is_mapping {
            self.problems.expect_instead(self.place, &format!("{MAPPING}: {}", shown_keys(&self.known)));
            return;
        }
        for entry in self.entries {
            let key = &*entry.key;
            if self.known.contains(&key) || self.settled.contains(&key) {
                continue;
            }
            let near = nearest(key, self.known.iter().copied());
            let expected = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("one of `{}`", self.known.join("`, `")),
            };
            self.missing.retain(|(missing, _)| Some(*missing) != near);
            self.lacking.retain(|lack| !near.is_some_and(|near| lack.keys.contains(&near)));
            self.problems.error(
                entry.place,
                format!("unknown key `{}` in {}", key.escape_debug(), self.what),
                expected,
            );
        }
        for (key, expected) in self.missing {
            self.problems.error(self.place, format!("{} without `{key}`", self.what), expected);
        }
        for Lack { message, expected, .. } in self.lacking {
            self.problems.error(self.place, message, expected);
        }
    }

    pub(super) fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        let problems = self.problems;
        self.find(key).map_or(default, |tree| match plain(tree) {
            Some("true" | "True" | "TRUE") => true,
            Some("false" | "False" | "FALSE") => false,
            _ => {
                problems.error(tree.place, format!("{} is not a boolean", tree.describe()), "true or false");
                default
            }
        })
    }

    pub(super) fn integer(&mut self, key: &'static str, range: RangeInclusive<u64>, default: u64) -> u64 {
        let problems = self.problems;
        self.find(key).and_then(|tree| integer(tree, range, problems)).unwrap_or(default)
    }

    /// Milliseconds; from `least` on.
    pub(super) fn duration_ms(&mut self, key: &'static str, least: u64, default: u64) -> u64 {
        let problems = self.problems;
        let Some(tree) = self.find(key) else { return default };
        let Some(ms) = scalar(tree).and_then(units::duration_ms) else {
            problems.error(tree.place, format!("{} is not a duration", tree.describe()), units::DURATION);
            return default;
        };
        if !(least..=LONGEST_MS).contains(&ms) {
            let expected = format!("{} to {}", units::show_ms(least), units::show_ms(LONGEST_MS));
            problems.error(tree.place, format!("{} is out of range", tree.describe()), expected);
            return default;
        }
        ms
    }

    pub(super) fn size_bytes(&mut self, key: &'static str, range: RangeInclusive<u64>, default: u64) -> u64 {
        let problems = self.problems;
        let Some(tree) = self.find(key) else { return default };
        let Some(bytes) = scalar(tree).and_then(units::size_bytes) else {
            problems.error(tree.place, format!("{} is not a size", tree.describe()), units::SIZE);
            return default;
        };
        if !range.contains(&bytes) {
            let expected =
                format!("{} to {}", units::show_bytes(*range.start()), units::show_bytes(*range.end()));
            problems.error(tree.place, format!("{} is out of range", tree.describe()), expected);
            return default;
        }
        bytes
    }

    /// One of the names of `now`; those of `later` are refused in words of their own.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        now: &[(&str, T)],
        later: &[&str],
    ) -> Option<T> {
        let problems = self.problems;
        let tree = self.find(key)?;
        choice(tree, now, later, problems)
    }

    fn refuse(&mut self, keys: &[&'static str], say: impl Fn(&str) -> (String, String)) {
        for entry in self.entries.iter().filter(|entry| keys.contains(&&*entry.key)) {
            let (message, expected) = say(&entry.key);
            self.problems.error(entry.place, message, expected);
        }
        self.settled.extend_from_slice(keys);
    }
}

fn shown_keys(known: &[&'static str]) -> String {
    let shown: Vec<String> = known.iter().take(SHOWN_KEYS).map(|key| format!("{key}: ..")).collect();
    let more = if known.len() > SHOWN_KEYS { ", .." } else { "" };
    format!("{{ {}{more} }}", shown.join(", "))
}

/// The text of a scalar, quoted or not.
pub(super) fn scalar<'t>(tree: &'t Tree<'t>) -> Option<&'t str> {
    match &tree.value {
        Value::Text(text) => Some(&text.text),
        _ => None,
    }
}

/// A scalar that must be there.
pub(super) fn text<'t>(tree: &'t Tree<'t>, expected: &str, problems: &Problems) -> Option<&'t str> {
    let text = scalar(tree);
    if text.is_none() {
        problems.error(tree.place, format!("{} is not a text", tree.describe()), expected);
    }
    text
}

/// The items of a list; anything else is a problem and read as an empty list.
pub(super) fn list<'t>(tree: &'t Tree<'t>, of: &str, problems: &Problems) -> &'t [Tree<'t>] {
    match &tree.value {
        Value::Sequence(items) if !items.is_empty() => items,
        Value::Sequence(_) => {
            problems.error(tree.place, "an empty list", format!("at least one of {of}"));
            &[]
        }
        _ => {
            problems.error(
                tree.place,
                format!("{} is not a list", tree.describe()),
                format!("a list of {of}"),
            );
            &[]
        }
    }
}

/// A whole number within bounds.
pub(super) fn integer(tree: &Tree, range: RangeInclusive<u64>, problems: &Problems) -> Option<u64> {
    let expected = || format!("a whole number from {} to {}", range.start(), range.end());
    let digits =
        plain(tree).filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(digits) = digits else {
        problems.error(tree.place, format!("{} is not a number", tree.describe()), expected());
        return None;
    };
    match digits.parse() {
        Ok(number) if range.contains(&number) => Some(number),
        _ => {
            problems.error(tree.place, format!("{digits} is out of range"), expected());
            None
        }
    }
}

/// One of several names.
pub(super) fn choice<T: Copy>(
    tree: &Tree,
    now: &[(&str, T)],
    later: &[&str],
    problems: &Problems,
) -> Option<T> {
    let names = || now.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let given = text(tree, &names(), problems)?;
    if let Some((_, value)) = now.iter().find(|(name, _)| *name == given) {
        return Some(*value);
    }
    if later.contains(&given) {
        problems.error(tree.place, format!("`{given}` is in the format but not in this version"), names());
        return None;
    }
    let expected = match nearest(given, now.iter().map(|(name, _)| *name)) {
        Some(near) => format!("{}; did you mean `{near}`?", names()),
        None => names(),
    };
    problems.error(tree.place, format!("{} is not among the choices", tree.describe()), expected);
    None
}

/// An address.
pub(super) fn address(tree: &Tree, problems: &Problems) -> Option<Address> {
    let given = text(tree, units::ADDRESS, problems)?;
    match units::address(given) {
        Ok(address) => Some(address),
        Err(expected) => {
            problems.error(tree.place, format!("{} is not an address", tree.describe()), expected);
            None
        }
    }
}

/// A name: not empty, not too long, printable.
pub(super) fn name(tree: &Tree, problems: &Problems) -> Option<String> {
    let given = text(tree, "a name", problems)?;
    if given.is_empty() || given.len() > 255 || given.chars().any(char::is_control) {
        problems.error(tree.place, format!("{} is not a name", tree.describe()), "1 to 255 printable bytes");
        return None;
    }
    Some(given.to_owned())
}

fn plain<'t>(tree: &'t Tree<'t>) -> Option<&'t str> {
    match &tree.value {
        Value::Text(text) if text.plain => Some(&text.text),
        _ => None,
    }
}

/// The place of a part of a scalar, as far as the scalar stands in the file as it reads: on one line and without
/// escapes. Otherwise the scalar's own place.
pub(super) fn inside(tree: &Tree, text: &str, offset: usize, width: usize) -> Place {
    let length = text.chars().count() as u32;
    let quote = match tree.place.width {
        whole if whole == length => 0,
        whole if whole == length + 2 => 1,
        _ => return tree.place,
    };
    Place { column: tree.place.column + quote + offset as u32, width: width.max(1) as u32, ..tree.place }
}
