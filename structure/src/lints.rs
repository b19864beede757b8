//! `unsafe` stays in the one crate that has to have it, and every other crate says so to the compiler.

use crate::{Finding, Source};

/// The folder whose code may say `unsafe`.
pub const UNSAFE_FOLDER: &str = "engine/ring/";

/// Where `unsafe` stands outside of its folder.
#[must_use]
pub fn strays(source: &Source) -> Vec<Finding> {
    if source.file.starts_with(UNSAFE_FOLDER) {
        return vec![];
    }
    let message =
        format!("`unsafe` stays in {UNSAFE_FOLDER}: move what needs it there, behind a safe function");
    source.lines_of(&["unsafe"]).map(|line| Finding::new(&source.file, line, message.clone())).collect()
}

/// A crate's manifest that does not forbid `unsafe`.
#[must_use]
pub fn permissive_crate(file: &str, manifest: &str) -> Option<Finding> {
    let inherits = value(manifest, "lints", "workspace") == Some("true");
    let forbids = value(manifest, "lints.rust", "unsafe_code") == Some("\"forbid\"");
    let is_exempt = file.starts_with(UNSAFE_FOLDER);
    let message = "the crate does not forbid unsafe code: add `workspace = true` under [lints]";
    (!inherits && !forbids && !is_exempt).then(|| Finding::new(file, 1, message))
}

/// The workspace's manifest, if what crates inherit from it does not forbid `unsafe`.
#[must_use]
pub fn permissive_workspace(file: &str, manifest: &str) -> Option<Finding> {
    let forbids = value(manifest, "workspace.lints.rust", "unsafe_code") == Some("\"forbid\"");
    let message = "write `unsafe_code = \"forbid\"` under [workspace.lints.rust]";
    (!forbids).then(|| Finding::new(file, 1, message))
}

/// The value of a key in a section of a manifest, as written.
fn value<'m>(manifest: &'m str, section: &str, key: &str) -> Option<&'m str> {
    let header = format!("[{section}]");
    let lines = manifest.lines().map(str::trim).skip_while(|line| *line != header).skip(1);
    let mut pairs = lines.take_while(|line| !line.starts_with('[')).filter_map(|line| line.split_once('='));
    pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_only_in_its_folder() {
        let text = "//! A module.\nfn a() { unsafe { b() } }";
        assert_eq!(strays(&Source::read("engine/ring/src/a.rs", text).unwrap()), []);
        let found = strays(&Source::read("codecs/src/a.rs", text).unwrap());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 2);
        let text = "#![forbid(unsafe_code)]";
        assert_eq!(strays(&Source::read("codecs/src/a.rs", text).unwrap()), []);
    }

    #[test]
    fn every_crate_forbids_it() {
        assert_eq!(permissive_crate("a/Cargo.toml", "[lints]\nworkspace = true\n"), None);
        assert_eq!(permissive_crate("a/Cargo.toml", "[lints.rust]\nunsafe_code = \"forbid\""), None);
        assert_eq!(permissive_crate("engine/ring/Cargo.toml", "[package]"), None);
        assert!(permissive_crate("a/Cargo.toml", "[package]\nworkspace = true\n[lints]\n").is_some());
        assert!(permissive_crate("a/Cargo.toml", "[lints.rust]\nunsafe_code = \"deny\"").is_some());
    }

    #[test]
    fn the_workspace_forbids_it() {
        assert_eq!(permissive_workspace("a", "[workspace.lints.rust]\nunsafe_code = \"forbid\""), None);
        assert!(permissive_workspace("a", "[workspace.lints.rust]\n[b]\nunsafe_code = \"forbid\"").is_some());
    }
}
