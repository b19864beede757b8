//! The list of mutants as it stands in `engine/sim/mutants`: small bugs as exact text, to be found once and replaced. It
//! knows no tree and applies nothing by itself.
//!
//! ```text
//! # Comments begin with a number sign.
//! mutant: what goes wrong, as a sentence
//! file: path/from/the/root.rs
//! noticed by: part of a message | part of another one
//!      a line that stays, for orientation
//! -    a line that goes
//! +    a line that comes
//! ```

use std::path::Path;

/// One small bug.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Mutant {
    /// The name of the file it is listed in: `pool`, `flow`, ...
    pub(crate) area: String,
    /// What goes wrong, as a sentence.
    pub(crate) name: String,
    /// From the root of the repository.
    pub(crate) file: String,
    /// Each is a part of a message with which the simulator may notice it. Any other failure does not count.
    pub(crate) noticed_by: Vec<String>,
    /// Stands in the file exactly once.
    pub(crate) find: String,
    /// Takes its place.
    pub(crate) replacement: String,
}

impl Mutant {
    /// The file's text with the bug in it. Errors: the text to be replaced does not stand there exactly once.
    pub(crate) fn apply(&self, text: &str) -> Result<String, String> {
        match text.matches(&self.find).count() {
            1 => Ok(text.replacen(&self.find, &self.replacement, 1)),
            count => Err(format!(
                "{}: the text of mutant '{}' stands there {count} times instead of once: bring it up to date \
                 in engine/sim/mutants/{}.mutants",
                self.file, self.name, self.area
            )),
        }
    }
}

/// Every mutant of a folder, in the order of its files. Errors name the file and the line.
pub(crate) fn read_folder(folder: &Path) -> Result<Vec<Mutant>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "mutants"));
    paths.sort();
    let mut mutants = vec![];
    for path in &paths {
        let area = path.file_stem().unwrap_or_default().to_string_lossy();
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        mutants.extend(read(&area, &text)?);
    }
    check(&mutants)?;
    Ok(mutants)
}

/// The mutants of one file.
pub(crate) fn read(area: &str, text: &str) -> Result<Vec<Mutant>, String> {
    let mut mutants: Vec<Mutant> = vec![];
    for (index, line) in text.lines().enumerate() {
        let misplaced = || format!("{area}.mutants:{}: nothing of a mutant: '{line}'", index + 1);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("mutant: ") {
            mutants.push(Mutant { area: area.to_owned(), name: name.to_owned(), ..Mutant::default() });
            continue;
        }
        let mutant = mutants.last_mut().ok_or_else(misplaced)?;
        take_line(mutant, line).ok_or_else(misplaced)?;
    }
    Ok(mutants)
}

fn take_line(mutant: &mut Mutant, line: &str) -> Option<()> {
    if let Some(file) = line.strip_prefix("file: ") {
        file.clone_into(&mut mutant.file);
        return Some(());
    }
    if let Some(messages) = line.strip_prefix("noticed by: ") {
        mutant.noticed_by = messages.split(" | ").map(|message| message.trim().to_owned()).collect();
        return Some(());
    }
    let (sign, code) = line.split_at_checked(1)?;
    let (stays, goes, comes) = (sign == " ", sign == "-", sign == "+");
    for (concerns, text) in [(stays || goes, &mut mutant.find), (stays || comes, &mut mutant.replacement)] {
        if concerns {
            text.push_str(code);
            text.push('\n');
        }
    }
    (stays || goes || comes).then_some(())
}

/// Names are told apart, and every mutant says where it is, what it changes, and who notices.
fn check(mutants: &[Mutant]) -> Result<(), String> {
    for (index, mutant) in mutants.iter().enumerate() {
        let flaw = if mutant.file.is_empty() {
            "has no file"
        } else if mutant.find.is_empty() || mutant.find == mutant.replacement {
            "changes nothing"
        } else if mutant.noticed_by.iter().all(String::is_empty) {
            "does not say who notices it"
        } else if mutants[..index].iter().any(|other| other.name == mutant.name) {
            "has the name of another one"
        } else {
            continue;
        };
        return Err(format!("{}.mutants: the mutant '{}' {flaw}", mutant.area, mutant.name));
    }
    Ok(())
}
