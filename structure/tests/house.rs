//! The rules of the house, over every file of the repository.

use sidering_structure::finding::assert_none;
use sidering_structure::{
    Finding, Source, architecture, examples, hosts, layers, leftovers, lints, opening, purity, repository,
    size,
};

/// What one rule finds in all Rust files.
fn in_sources<F: IntoIterator<Item = Finding>>(rule: impl Fn(&Source) -> F) -> Vec<Finding> {
    repository::sources().iter().flat_map(rule).collect()
}

#[test]
fn files_are_short() {
    assert_none(&in_sources(size::long_file));
}

#[test]
fn functions_fit_a_screen() {
    assert_none(&in_sources(size::long_functions));
}

#[test]
fn unsafe_stays_in_ring() {
    let mut findings = in_sources(lints::strays);
    for file in repository::files().iter().filter(|file| file.ends_with("/Cargo.toml")) {
        findings.extend(lints::permissive_crate(file, &repository::text(file)));
    }
    findings.extend(lints::permissive_workspace("Cargo.toml", &repository::text("Cargo.toml")));
    assert_none(&findings);
}

#[test]
fn dependencies_run_one_way() {
    let dependencies = layers::direct_dependencies();
    assert!(
        dependencies.iter().any(|dependency| dependency.to == "sidering-codecs"),
        "cargo tree told nothing"
    );
    let mut findings = layers::unknown_crates(&dependencies);
    findings.extend(layers::wrong_ways(&dependencies));
    for (package, forbidden) in layers::MUST_NOT_REACH {
        findings.extend(layers::wrong_reach(package, &layers::reached_from(package), forbidden));
    }
    assert_none(&findings);
}

#[test]
fn codecs_and_data_plane_are_pure() {
    assert_none(&in_sources(purity::impurities));
}

#[test]
fn every_file_says_what_it_is() {
    assert_none(&in_sources(opening::silent_file));
}

#[test]
fn nothing_is_left_unfinished() {
    assert_none(&in_sources(leftovers::leftovers));
}

#[test]
fn no_file_names_the_host_of_a_registry() {
    let files = repository::files();
    assert_none(
        &files
            .iter()
            .flat_map(|file| hosts::registry_hosts(file, &repository::text(file)))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn architecture_names_every_folder() {
    let files = repository::files();
    let is_there = files.iter().any(|file| file == architecture::DOCUMENT);
    let document = if is_there { repository::text(architecture::DOCUMENT) } else { String::new() };
    assert_none(&architecture::unnamed_folders(&document, &files));
}

#[test]
fn every_example_is_driven() {
    let files = repository::files();
    let is_driver = |file: &&String| {
        let is_test = file.contains("/tests/") && file.ends_with(".rs") && !file.starts_with("structure/");
        is_test || file.ends_with("README.md")
    };
    let texts: Vec<String> = files.iter().filter(is_driver).map(|file| repository::text(file)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    assert_none(&examples::unused_examples(&files, &texts));
}
