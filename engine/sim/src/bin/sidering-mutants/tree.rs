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
