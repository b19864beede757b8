//! The files of the repository, as git knows them.

use crate::Source;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the crate lies in the repository's root").to_owned()
}

/// Every file that is tracked or would be with `git add .`, relative to the root, sorted. New files count, so that a
/// rule is broken before the commit and not after it.
#[must_use]
pub fn files() -> Vec<String> {
    let root = root();
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(&root)
        .output()
        .expect("git is installed: it knows which files are the project's");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git ls-files in {}: {errors}", root.display());
    let names = String::from_utf8(output.stdout).expect("file names are UTF-8");
    let mut files: Vec<String> = names.split_terminator('\0').map(ToOwned::to_owned).collect();
    files.retain(|file| root.join(file).is_file());
    files.sort();
    files.dedup();
    files
}

/// The text of one of the files. Bytes that are not UTF-8 are replaced.
#[must_use]
pub fn text(file: &str) -> String {
    let bytes = std::fs::read(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Every Rust file, read as tokens.
#[must_use]
pub fn sources() -> Vec<Source> {
    let files = files();
    let rust = files.iter().filter(|file| file.ends_with(".rs"));
    rust.map(|file| Source::read(file, &text(file)).unwrap_or_else(|finding| panic!("{finding}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_file_is_found() {
        assert!(files().iter().any(|file| file == "structure/src/repository.rs"));
        assert!(text("structure/src/repository.rs").starts_with("//! The files of the repository"));
        assert!(files().iter().all(|file| !file.starts_with("target/")));
    }
}
