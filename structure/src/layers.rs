//! Dependencies run one way: sidering → control, ring, epoll → system → dataplane → codecs.

use crate::{Finding, repository};
use std::process::Command;

/// Which crates of the workspace each of them may name. A new crate gets a line here.
const MAY_DEPEND_ON: [(&str, &[&str]); 13] = [
    ("sidering-codecs", &[]),
    ("sidering-dataplane", &["sidering-codecs"]),
    ("sidering-system", &["sidering-dataplane"]),
    ("sidering-ring", &["sidering-system", "sidering-dataplane"]),
    ("sidering-epoll", &["sidering-system", "sidering-dataplane"]),
    ("sidering-control", &["sidering-dataplane", "sidering-codecs"]),
    ("sidering-sim", &["sidering-dataplane", "sidering-codecs"]),
    (
        "sidering",
        &[
            "sidering-control",
            "sidering-ring",
            "sidering-epoll",
            "sidering-system",
            "sidering-dataplane",
            "sidering-codecs",
        ],
    ),
    // What somebody else's proxy with a codec of their own needs, and no more.
    ("sidering-example-protocol", &["sidering", "sidering-codecs"]),
    ("sidering-benches", &["sidering-dataplane", "sidering-codecs"]),
    // The byte-blind relay that proxies are measured against runs on the same engine.
    ("sidering-perf", &["sidering-ring", "sidering-system", "sidering-dataplane"]),
    // Fuzz targets reach what reads bytes from outside: peers' and the operator's.
    ("sidering-fuzz", &["sidering-codecs", "sidering-control", "sidering-sim"]),
    ("sidering-structure", &[]),
];

/// Crates that must not be reached, by any way, from a crate of the workspace.
pub const MUST_NOT_REACH: [(&str, &[&str]); 4] = [
    ("sidering-codecs", &["io-uring", "libc", "rustix", "tokio", "socket2", "mio"]),
    ("sidering-dataplane", &["io-uring", "libc", "rustix", "tokio", "socket2", "mio"]),
    ("sidering-epoll", &["io-uring", "sidering-ring", "tokio", "mio"]),
    ("sidering-control", &["io-uring", "sidering-ring"]),
];

/// A crate and one that its manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    pub from: String,
    pub to: String,
}

/// What every crate of the workspace names in its manifest, for tests and builds too.
#[must_use]
pub fn direct_dependencies() -> Vec<Dependency> {
    let tree =
        cargo_tree(&["--workspace", "--depth", "1", "--prefix", "depth", "--edges", "normal,build,dev"]);
    read_direct(&tree)
}

/// Every crate that is built into `package`. What only its build scripts need (a C compiler's driver) is not.
#[must_use]
pub fn reached_from(package: &str) -> Vec<String> {
    let tree = cargo_tree(&["--package", package, "--prefix", "none", "--edges", "normal"]);
    tree.lines().filter_map(|line| line.split_whitespace().next()).map(ToOwned::to_owned).collect()
}

/// The dependencies that run the wrong way. The workspace's crates are those that begin with its name.
#[must_use]
pub fn wrong_ways(dependencies: &[Dependency]) -> Vec<Finding> {
    let ours = dependencies.iter().filter(|dependency| dependency.to.starts_with("sidering"));
    let wrong = ours.filter(|dependency| !may_depend(&dependency.from, &dependency.to));
    wrong.map(|Dependency { from, to }| manifest_finding(from, to, "dependencies run one way")).collect()
}

/// Crates of the workspace that have no line in the table.
#[must_use]
pub fn unknown_crates(dependencies: &[Dependency]) -> Vec<Finding> {
    let mut names: Vec<&str> = dependencies.iter().map(|dependency| dependency.from.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| !MAY_DEPEND_ON.iter().any(|(known, _)| known == name));
    let message =
        |name| format!("say in MAY_DEPEND_ON what {name} may depend on, and in ARCHITECTURE.md why");
    names.into_iter().map(|name| Finding::new("structure/src/layers.rs", 7, message(name))).collect()
}

/// Those of the `reached` crates that `package` must not have.
#[must_use]
pub fn wrong_reach(package: &str, reached: &[String], forbidden: &[&str]) -> Vec<Finding> {
    let wrong = reached.iter().filter(|name| forbidden.contains(&name.as_str()));
    wrong.map(|name| manifest_finding(package, name, "it must stay free of it, by any way")).collect()
}

fn manifest_finding(from: &str, to: &str, rule: &str) -> Finding {
    let folder = from.strip_prefix("sidering-").unwrap_or(from);
    let file = ["engine/", ""].map(|parent| format!("{parent}{folder}/Cargo.toml"));
    let file = file.iter().find(|file| repository::root().join(file).is_file()).unwrap_or(&file[1]);
    Finding::new(file, 1, format!("{from} depends on {to}; {rule} (see `cargo tree -i {to} -p {from}`)"))
}

fn may_depend(from: &str, to: &str) -> bool {
    MAY_DEPEND_ON.iter().any(|(name, allowed)| *name == from && allowed.contains(&to))
}

/// Reads lines like `0sidering v0.1.0 (path)` and, below it, `1sidering-ring v0.1.0 (path)`.
fn read_direct(tree: &str) -> Vec<Dependency> {
    let mut from = "";
    let mut dependencies = vec![];
    for name in tree.lines().filter_map(|line| line.split_whitespace().next()) {
        if let Some(name) = name.strip_prefix('0') {
            from = name;
        } else if let Some(to) = name.strip_prefix('1') {
            dependencies.push(Dependency { from: from.to_owned(), to: to.to_owned() });
        }
    }
    dependencies
}

fn cargo_tree(arguments: &[&str]) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let command = ["tree", "--offline", "--locked", "--quiet"];
    let run = Command::new(cargo).args(command).args(arguments).current_dir(repository::root()).output();
    let output = run.expect("cargo is there: it runs this test");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree {arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("names of crates are UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dependency(from: &str, to: &str) -> Dependency {
        Dependency { from: from.to_owned(), to: to.to_owned() }
    }

    #[test]
    fn a_tree_is_read() {
        let tree = "0sidering v0.1.0 (/a)\n1sidering-ring v0.1.0 (/b)\n1clap v4.0.0\n\n0sidering-codecs v0.1.0 (/c)\n1memchr v2 (*)";
        let expected = [
            dependency("sidering", "sidering-ring"),
            dependency("sidering", "clap"),
            dependency("sidering-codecs", "memchr"),
        ];
        assert_eq!(read_direct(tree), expected);
    }

    #[test]
    fn only_downwards() {
        for (from, to) in [
            ("sidering", "sidering-ring"),
            ("sidering-dataplane", "sidering-codecs"),
            ("sidering-codecs", "memchr"),
        ] {
            assert_eq!(wrong_ways(&[dependency(from, to)]), [], "{from} {to}");
        }
        for (from, to) in [
            ("sidering-codecs", "sidering-dataplane"),
            ("sidering-dataplane", "sidering-ring"),
            ("sidering-control", "sidering-ring"),
            ("sidering-ring", "sidering-control"),
        ] {
            let found = wrong_ways(&[dependency(from, to)]);
            assert_eq!(found.len(), 1, "{from} {to}");
        }
        let found = wrong_ways(&[dependency("sidering-dataplane", "sidering-ring")]);
        assert_eq!(found[0].file, "engine/dataplane/Cargo.toml");
    }

    #[test]
    fn a_crate_without_a_line_and_one_that_reaches_too_far() {
        assert_eq!(unknown_crates(&[dependency("sidering-new", "memchr")]).len(), 1);
        assert_eq!(unknown_crates(&[dependency("sidering-ring", "libc")]), []);
        let reached = ["memchr", "libc"].map(ToOwned::to_owned);
        assert_eq!(wrong_reach("sidering-codecs", &reached, &["libc"]).len(), 1);
    }
}
