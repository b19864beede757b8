//! Every input of the corpora, on stable: what a fuzzer found once stays found.

use sidering_fuzz::TARGETS;
use std::fs;
use std::path::{Path, PathBuf};

/// All corpora together.
const LARGEST_CORPORA_BYTES: u64 = 1_500_000;

fn folder(parts: &[&str]) -> PathBuf {
    parts.iter().fold(Path::new(env!("CARGO_MANIFEST_DIR")).to_owned(), |path, part| path.join(part))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.sort();
    files
}

/// Runs a target on its whole corpus, telling which input fails.
fn replay(target: &str) {
    let run = sidering_fuzz::target(target).unwrap_or_else(|| panic!("no target {target}")).run;
    let inputs = files(&folder(&["corpus", target]));
    assert!(!inputs.is_empty(), "an empty corpus");
    for input in inputs {
        let bytes = fs::read(&input).expect("a readable input");
        let outcome = std::panic::catch_unwind(|| run(&bytes));
        assert!(outcome.is_ok(), "{} fails: {}", input.display(), bytes.escape_ascii());
    }
}

#[test]
fn bridge() {
    replay("bridge");
}

#[test]
fn chunked_differential() {
    replay("chunked_differential");
}

#[test]
fn config() {
    replay("config");
}

#[test]
fn data_plane() {
    replay("data_plane");
}

#[test]
fn detection() {
    replay("detection");
}

#[test]
fn http1_head_differential() {
    replay("http1_head_differential");
}

#[test]
fn http1_requests() {
    replay("http1_requests");
}

#[test]
fn http1_responses() {
    replay("http1_responses");
}

#[test]
fn http1_round_trip() {
    replay("http1_round_trip");
}

#[test]
fn rpc_connections() {
    replay("rpc_connections");
}

#[test]
fn rpc_layouts() {
    replay("rpc_layouts");
}

#[test]
fn every_target_has_a_corpus_a_binary_and_a_replay() {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    let corpora: Vec<String> = files(&folder(&["corpus"])).iter().map(|path| name_of(path)).collect();
    assert_eq!(corpora, names, "one corpus for each target, in the order of the alphabet");
    let manifest =
        fs::read_to_string(folder(&["targets", "Cargo.toml"])).expect("the manifest of the targets");
    let tests = include_str!("replay.rs");
    for name in names {
        let source = format!("src/{name}.rs");
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"{source}\"")), "no binary {name}");
        let text = fs::read_to_string(folder(&["targets", &source])).expect("the source of the target");
        assert!(text.contains(&format!("sidering_fuzz::{name}::run(")), "{source} calls something else");
        assert!(
            tests.contains(&format!("fn {name}() {{\n    replay(\"{name}\");")),
            "{name} is not replayed"
        );
    }
}

#[test]
fn the_corpora_stay_small() {
    let inputs = files(&folder(&["corpus"])).into_iter().flat_map(|corpus| files(&corpus));
    let bytes: u64 = inputs.map(|input| fs::metadata(input).expect("a readable input").len()).sum();
    assert!(bytes < LARGEST_CORPORA_BYTES, "{bytes} bytes; minimise them: scripts/fuzz --merge");
}

fn name_of(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}
