//! Reads regular expressions whose matches are replaced.

use super::problem::Problems;
use super::section::{Section, text};
use super::tree::Tree;
use sidering_dataplane::route::{REPLACEMENT_BYTES, Substitution};

/// Reads a `regex` of a rewrite or of a redirect.
pub(super) fn read(tree: &Tree, problems: &Problems) -> Option<Substitution> {
    let mut section = Section::open("a substitution", tree, problems);
    let pattern_tree = section.require("pattern", "a regular expression; each of its matches is replaced");
    let pattern = pattern_tree.and_then(|tree| text(tree, "a regular expression", problems));
    let replacement_tree =
        section.require("substitution", "what stands in its place; \\1 is the first group");
    let replacement = replacement_tree.and_then(|tree| replacement(tree, problems));
    section.finish();
    let (pattern, replacement) = (pattern?, replacement?);
    // Wrong replacements are told of at their own place.
    let tree = match Substitution::new(pattern, "") {
        Ok(_) => replacement_tree?,
        Err(_) => pattern_tree?,
    };
    let refused = |error: sidering_dataplane::route::SubstitutionError| {
        let expected = "a regular expression without look-around or back-references, at most 4KiB, \
                        and \\0 to \\9 or \\\\ in what stands in its place";
        problems.error(tree.place, format!("{}: {error}", tree.describe()), expected);
    };
    Substitution::new(pattern, replacement).map_err(refused).ok()
}

/// Only bytes that may stand in a path (RFC 3986 section 3.3); groups of a path have no others.
fn replacement<'t>(tree: &'t Tree<'t>, problems: &Problems) -> Option<&'t str> {
    let given = text(tree, "what stands in the place of a match", problems)?;
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%\\".contains(&byte);
    let expected = if given.len() > REPLACEMENT_BYTES {
        "at most 4096 bytes"
    } else if given.bytes().all(may_stand) && !given.contains("\\\\") {
        return Some(given);
    } else {
        "a part of a path as a request writes it, percent-encoded, without its query; \\1 is the first group"
    };
    problems.error(tree.place, format!("{} is no part of a path", tree.describe()), expected);
    None
}
