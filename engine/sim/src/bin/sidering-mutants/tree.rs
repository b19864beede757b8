//! A copy of the working tree to plant bugs in. The real tree is only ever read, so that nothing has to be reverted there,
//! whatever interrupts a run.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A copy, and where Cargo builds it.
#[derive(Debug)]
pub(crate) struct Tree {
    root: PathBuf,
    pub(crate) target: PathBuf,
}

impl Tree {
    /// Brings the copy in `folder` up to date with the files of `source` that git tracks or would track. Files that
    /// did not change keep their times, so that Cargo builds only what differs from the last run.
    pub(crate) fn copy(source: &Path, folder: &Path) -> io::Result<Self> {
        let tree = Tree { root: folder.join("tree"), target: folder.join("target") };
        let files = files_of(source)?;
        remove_others(&tree.root, &tree.root, &files)?;
        for file in &files {
            let text = fs::read(source.join(file))?;
            tree.write_bytes(file, &text)?;
        }
        Ok(tree)
    }

    /// Where the copy lies.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The text of a file.
    pub(crate) fn read(&self, file: &str) -> io::Result<String> {
        fs::read_to_string(self.root.join(file))
    }

    /// Replaces a file's text.
    pub(crate) fn write(&self, file: &str, text: &str) -> io::Result<()> {
        self.write_bytes(file, text.as_bytes())
    }

    fn write_bytes(&self, file: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.root.join(file);
        if fs::read(&path).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, bytes)
    }
}

/// Every file that git tracks or would with `git add .`, from the root.
fn files_of(source: &Path) -> io::Result<BTreeSet<String>> {
    let listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(listing).current_dir(source).output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let names = String::from_utf8(output.stdout).map_err(io::Error::other)?;
    let names = names.split_terminator('\0').map(ToOwned::to_owned);
    Ok(names.filter(|file| source.join(file).is_file()).collect())
}

/// Removes what an earlier copy left behind.
fn remove_others(folder: &Path, root: &Path, kept: &BTreeSet<String>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(&path, root, kept)?;
            continue;
        }
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        if !kept.contains(&name) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of this test's own, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("sidering-mutants-{}-{name}", std::process::id()));
            fs::create_dir_all(path.join("source/a")).unwrap();
            let git = Command::new("git").args(["init", "--quiet"]).current_dir(path.join("source")).status();
            assert!(git.unwrap().success());
            Folder(path)
        }

        fn copy(&self) -> Tree {
            Tree::copy(&self.0.join("source"), &self.0.join("copy")).unwrap()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_copy_is_brought_up_to_date_and_what_was_planted_is_gone() {
        let folder = Folder::new("up-to-date");
        let source = folder.0.join("source");
        for (file, text) in [(".gitignore", "ignored\n"), ("a/kept", "1"), ("old", "2"), ("ignored", "3")] {
            fs::write(source.join(file), text).unwrap();
        }
        let tree = folder.copy();
        assert_eq!((tree.read("a/kept").unwrap(), tree.read("old").unwrap()), ("1".into(), "2".into()));
        assert!(tree.read("ignored").is_err());
        tree.write("a/kept", "planted").unwrap();
        fs::remove_file(source.join("old")).unwrap();
        let tree = folder.copy();
        assert_eq!(tree.read("a/kept").unwrap(), "1");
        assert!(tree.read("old").is_err(), "it is gone from the source");
        assert_eq!(fs::read_to_string(source.join("a/kept")).unwrap(), "1", "the source is only read");
    }

    #[test]
    fn a_file_that_did_not_change_keeps_its_time() {
        let folder = Folder::new("times");
        fs::write(folder.0.join("source/a/kept"), "1").unwrap();
        let path = folder.copy().root().join("a/kept");
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        fs::File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        folder.copy();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), long_ago);
    }
}
