//! Programs that others wrote and the tests need; scripts/peers and scripts/test-peers install them.

use std::path::PathBuf;
use std::process::{Command, Output};

/// Where a program is.
#[track_caller]
pub(crate) fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("{name} is not installed: run scripts/peers, which installs what the tests need")
    })
}

/// The Python that has the clients and servers of RPC protocols.
#[track_caller]
pub(crate) fn python_with_rpc_peers() -> PathBuf {
    let python = repository().join("target/peers/rpc-venv/bin/python");
    assert!(python.is_file(), "{} is not there: run scripts/test-peers", python.display());
    python
}

/// The folder that `npm` installed its packages into.
#[track_caller]
pub(crate) fn node_modules() -> PathBuf {
    let folder = repository().join("target/peers/node/node_modules");
    assert!(
        ["ws", "sofa-rpc-node"].iter().all(|name| folder.join(name).is_dir()),
        "npm's packages are not all in {}: run scripts/test-peers",
        folder.display()
    );
    folder
}

/// A script of this folder's `peers`.
pub(crate) fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/peers").join(name)
}

/// Where the repository is.
pub(crate) fn repository() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    folder.ancestors().nth(2).expect("the crate is two folders down").to_owned()
}

/// Runs curl; it must succeed.
#[track_caller]
pub(crate) fn curl(arguments: &[&str]) -> Vec<u8> {
    let output = try_curl(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "curl {arguments:?}: {}: {errors}", output.status);
    output.stdout
}

/// Runs curl, quietly and for at most a minute.
#[track_caller]
pub(crate) fn try_curl(arguments: &[&str]) -> Output {
    let always = ["--silent", "--show-error", "--noproxy", "*", "--max-time", "60"];
    let command = Command::new(program("curl")).args(always).args(arguments).output();
    command.expect("curl runs")
}
