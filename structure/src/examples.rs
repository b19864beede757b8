//! Every file in configs/ is driven by a test or shown in the README: an example that nobody runs is wrong soon. Those of a crate are
//! built, and have tests of their own.

use crate::Finding;

/// The folder of the examples.
pub const FOLDER: &str = "configs/";

/// The examples among these files that none of the texts names.
#[must_use]
pub fn unused_examples(files: &[String], texts: &[&str]) -> Vec<Finding> {
    let examples = files.iter().filter(|file| file.starts_with(FOLDER) && !file.ends_with(".rs"));
    let unused = examples.filter(|file| {
        let name = file.rsplit('/').next().expect("a split has at least one part");
        !texts.iter().any(|text| text.contains(name))
    });
    unused
        .map(|file| Finding::new(file, 1, "no test and no README names this example: drive it or delete it"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_named_somewhere() {
        let files =
            ["configs/a.yaml", "configs/b.yaml", "src/c.yaml", "configs/d/src/lib.rs"].map(ToOwned::to_owned);
        let found = unused_examples(&files, &["load(\"a.yaml\")", ""]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].file, "configs/b.yaml");
    }
}
