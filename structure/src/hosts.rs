//! Where packages come from is the machine's business: no file names the host of a package registry, so that the
//! project builds behind any mirror.

use crate::Finding;

/// Put together here, so that this file does not name them either.
const HOSTS: [&str; 9] = [
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("://", "crates.io"),
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
    concat!("npm", "js.org"),
    concat!("npm", "js.com"),
    concat!("deb.", "debian.org"),
    concat!("security.", "debian.org"),
];

/// The lines of a file that name a registry's host.
#[must_use]
pub fn registry_hosts(file: &str, text: &str) -> Vec<Finding> {
    let mut findings = vec![];
    for (index, line) in text.lines().enumerate() {
        if let Some(host) = HOSTS.iter().find(|host| line.contains(**host)) {
            let message =
                format!("names {host}, a package registry's host: name the package, its client knows where");
            findings.push(Finding::new(file, index + 1, message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_and_names_of_registries_are_not() {
        let found = registry_hosts("a.md", concat!("one\nfrom https://pypi", ".org/simple"));
        assert_eq!((found.len(), found[0].line), (1, 2));
        let lock = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
        assert_eq!(registry_hosts("Cargo.lock", lock), []);
        assert_eq!(registry_hosts("a.md", "packages from crates.io and PyPI"), []);
    }
}
