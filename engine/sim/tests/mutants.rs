//! The list of mutants fits the code: every bug can still be planted where it says.

#[path = "../src/bin/sidering-mutants/list.rs"]
mod list;

use std::path::Path;

#[test]
fn every_mutant_can_be_planted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mutants =
        list::read_folder(&root.join("engine/sim/mutants")).unwrap_or_else(|error| panic!("{error}"));
    assert!(mutants.len() >= 20, "{} mutants prove little", mutants.len());
    let mut stale = vec![];
    for mutant in &mutants {
        let text = std::fs::read_to_string(root.join(&mutant.file)).unwrap_or_default();
        stale.extend(mutant.apply(&text).err());
    }
    assert!(stale.is_empty(), "{}", stale.join("\n"));
}

#[test]
fn a_mutant_is_read_as_it_is_written() {
    let text = "# A comment.\n\nmutant: a bug\nfile: a.rs\nnoticed by: lost | cut\n     if a {\n-        b();\n+        c();\n     }\n";
    let mutants = list::read("area", text).unwrap();
    assert_eq!(mutants.len(), 1);
    let mutant = &mutants[0];
    assert_eq!((mutant.name.as_str(), mutant.file.as_str(), mutant.noticed_by.len()), ("a bug", "a.rs", 2));
    let before = "fn d() {\n    if a {\n        b();\n    }\n}\n";
    assert_eq!(mutant.apply(before).unwrap(), "fn d() {\n    if a {\n        c();\n    }\n}\n");
    assert!(mutant.apply("fn d() {}\n").is_err(), "it is not there");
    assert!(mutant.apply(&before.repeat(2)).is_err(), "it is there twice");
}

#[test]
fn what_is_no_mutant_is_refused_with_its_line() {
    let refused = |text: &str| list::read("area", text).unwrap_err();
    assert!(refused("file: a.rs\n").starts_with("area.mutants:1:"));
    assert!(refused("mutant: a\nfile: a.rs\nnonsense\n").starts_with("area.mutants:3:"));
}
