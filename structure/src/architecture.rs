//! ARCHITECTURE.md is a map: every folder is on it, by its path from the root.

use crate::Finding;
use std::collections::BTreeSet;

/// The document that names the folders.
pub const DOCUMENT: &str = "ARCHITECTURE.md";
/// Folders further down belong to the one above them.
const DEPTH: usize = 4;
/// Inside a crate these mean what Cargo says they mean, and the crate's own line is theirs.
const CARGO_FOLDERS: [&str; 3] = ["src", "tests", "benches"];

/// Every folder of these files that the document has to name.
#[must_use]
pub fn folders(files: &[String]) -> BTreeSet<String> {
    let mut folders = BTreeSet::new();
    for file in files {
        let parts: Vec<&str> = file.split('/').collect();
        for depth in 1..parts.len().min(DEPTH + 1) {
            let is_cargos = depth > 1 && CARGO_FOLDERS.contains(&parts[depth - 1]);
            if !is_cargos {
                folders.insert(parts[..depth].join("/"));
            }
        }
    }
    folders
}

/// The folders that the document does not name.
#[must_use]
pub fn unnamed_folders(document: &str, files: &[String]) -> Vec<Finding> {
    let unnamed = folders(files).into_iter().filter(|folder| !names(document, folder));
    unnamed
        .map(|folder| Finding::new(DOCUMENT, 1, format!("does not name `{folder}/`: say what it is for")))
        .collect()
}

/// Whether the path stands in the text as a path of its own, not as a part of a longer one.
fn names(text: &str, folder: &str) -> bool {
    text.match_indices(folder).any(|(start, _)| {
        let (in_front, behind) = (&text[..start], &text[start + folder.len()..]);
        !in_front.ends_with(is_of_path) && !goes_on(behind.strip_prefix('/').unwrap_or(behind))
    })
}

fn is_of_path(character: char) -> bool {
    character.is_alphanumeric() || "_-./".contains(character)
}

/// A full stop goes on only if it is one inside of a name.
fn goes_on(behind: &str) -> bool {
    let behind = behind.strip_prefix('.').unwrap_or(behind);
    behind.starts_with(|character: char| character.is_alphanumeric() || "_-".contains(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn folders_down_to_the_depth() {
        let found =
            folders(&files(&["README.md", "benches/benches/a.rs", "engine/x/src/net/lb/a.rs", ".ci/run"]));
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [".ci", "benches", "engine", "engine/x", "engine/x/src/net"]
        );
    }

    #[test]
    fn a_folder_is_named_by_its_whole_path() {
        let unnamed = |text: &str| unnamed_folders(text, &files(&["a/src/net/b.rs"])).len();
        assert_eq!(unnamed(""), 2);
        assert_eq!(unnamed("`a/` is a crate, `a/src/net` its sockets"), 0);
        assert_eq!(unnamed("a/: a crate. a/src/net/: its sockets."), 0);
        assert_eq!(unnamed("a is a crate; a/src/network and ba/src/net are not"), 1);
        assert_eq!(unnamed("only a/src/net/b.rs is named"), 2);
    }
}
