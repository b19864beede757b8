//! `sidering doctor`: tells what this system allows and what each lack costs. It changes nothing.

use crate::cli::{FAILURE, say};
use crate::host;
use rustix::process::{Resource, Rlimit, getrlimit};
use std::fmt::Write;
use std::process::ExitCode;

pub(crate) fn doctor() -> ExitCode {
    let report = sidering_ring::probe();
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{}\n", kernel());
    let _ = writeln!(text, "io_uring\n{report}\n");
    let _ = writeln!(text, "{}", limits());
    let _ = writeln!(text, "{}", cpus());
    let _ = write!(text, "verdict: ");
    if report.is_usable() {
        let _ = write!(text, "engine uring can run here");
        say(&text)
    } else {
        let _ = write!(text, "no engine can run here (engine epoll is not in this version)\n{}", remedy());
        say(&text);
        ExitCode::from(FAILURE)
    }
}

fn kernel() -> String {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy().into_owned();
    let disabled = match sysctl("kernel/io_uring_disabled").as_deref() {
        None => "unknown to this kernel, or hidden: not restricted by it".to_owned(),
        Some("0") => "0: everybody may use io_uring".to_owned(),
        Some("1") => "1: only members of kernel.io_uring_group or CAP_SYS_ADMIN may use io_uring".to_owned(),
        Some(other) => format!("{other}: nobody may use io_uring"),
    };
    format!(
        "kernel {release} (6.0 is needed, 6.1 and later are good: before that, completions interrupt the work,\n  \
         which costs about a third more CPU per request)\nkernel.io_uring_disabled: {disabled}"
    )
}

fn limits() -> String {
    let mut text = "limits\n".to_owned();
    let limits = [
        (
            "nofile",
            Resource::Nofile,
            "each connection needs a descriptor, each relayed one a share of a pipe's two; beyond it accepting pauses",
        ),
        ("memlock", Resource::Memlock, "kernels before 5.12 count rings against it; later ones do not"),
        ("nproc", Resource::Nproc, "one thread per worker, one for control, one for the access log"),
    ];
    for (name, resource, meaning) in limits {
        let Rlimit { current, maximum } = getrlimit(resource);
        let _ = writeln!(text, "{name}: soft {}, hard {}: {meaning}", bound(current), bound(maximum));
    }
    let sysctls = [
        (
            "net/core/somaxconn",
            "connections that wait to be accepted, per core; beyond it clients retry after a second",
        ),
        (
            "fs/pipe-user-pages-soft",
            "pages of all pipes of a user (0: no limit); beyond it relays work with small pipes and cost more",
        ),
        ("fs/pipe-max-size", "bytes of one pipe; relays ask for large ones"),
        ("net/ipv4/ip_local_port_range", "local ports for connections to upstreams"),
    ];
    for (name, meaning) in sysctls {
        let value = sysctl(name).unwrap_or_else(|| "cannot be read".to_owned());
        let _ = writeln!(text, "{}: {value}: {meaning}", name.replace('/', "."));
    }
    text
}

fn cpus() -> String {
    let affinity = host::affinity().len();
    let usable = sidering_control::config::usable_cpus();
    let quota =
        if (usable as usize) < affinity { ", fewer by the cgroup's quota: cores are not pinned" } else { "" };
    format!("cpus: {affinity} in the affinity mask; workers: auto is {usable}{quota}\n")
}

fn remedy() -> &'static str {
    "Containers often forbid io_uring: allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp \
     profile.\nIf kernel.io_uring_disabled is not 0, set it to 0, or put this user into kernel.io_uring_group."
}

fn bound(limit: Option<u64>) -> String {
    limit.map_or("unlimited".to_owned(), |limit| limit.to_string())
}

fn sysctl(name: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/sys/{name}")).ok()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}
