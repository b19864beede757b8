//! The doctor on what this process may do: seccomp, the sysctl for io_uring, capabilities.

use super::report::{Fact, Grade, Section};
use crate::host;
use sidering_ring::Sandbox;

/// CAP_NET_BIND_SERVICE and CAP_NET_ADMIN.
const NET_BIND_SERVICE: u32 = 10;
const NET_ADMIN: u32 = 12;

pub(super) fn permissions(sandbox: &Sandbox) -> Section {
    let facts = vec![
        seccomp(sandbox),
        no_new_privileges(sandbox),
        disabled(sandbox),
        group(sandbox),
        transparent(sandbox),
        low_ports(sandbox),
    ];
    Section { title: "permissions", facts }
}

fn seccomp(sandbox: &Sandbox) -> Fact {
    let count = sandbox.seccomp_filters.map_or(String::new(), |count| format!(", {count} in a row"));
    let (value, meaning) = match sandbox.seccomp_mode {
        None => ("cannot be read".to_owned(), "/proc is hidden, or this kernel has no seccomp"),
        Some(0) => (
            "none".to_owned(),
            "no system call is filtered; configs/seccomp/minimal.json would be a hardening",
        ),
        Some(1) => ("strict".to_owned(), "only read, write and exit"),
        Some(_) => (
            format!("a filter{count}"),
            "every system call passes it; configs/seccomp has profiles that allow io_uring",
        ),
    };
    Fact::new("seccomp", value, Grade::Plain, meaning)
}

fn no_new_privileges(sandbox: &Sandbox) -> Fact {
    let (value, meaning) = match sandbox.no_new_privileges {
        Some(true) => ("yes", "no program started from here can gain any"),
        Some(false) => ("no", "the proxy needs none: allowPrivilegeEscalation: false costs nothing"),
        None => ("cannot be read", "/proc is hidden"),
    };
    Fact::new("no new privileges", value, Grade::Plain, meaning)
}

fn disabled(sandbox: &Sandbox) -> Fact {
    let (value, meaning) = match sandbox.io_uring_disabled {
        None => {
            ("unknown".to_owned(), "came with Linux 6.6; older kernels do not restrict io_uring this way")
        }
        Some(0) => ("0".to_owned(), "everybody may use io_uring"),
        Some(1) => (
            "1".to_owned(),
            "members of kernel.io_uring_group and CAP_SYS_ADMIN may; set it to 0, or join that group",
        ),
        Some(value) => (value.to_string(), "nobody may use io_uring; set it to 0 or 1"),
    };
    Fact::new(
        "kernel.io_uring_disabled",
        value,
        Grade::good_if(!sandbox.is_disabled(), Grade::Costs),
        meaning,
    )
}

fn group(sandbox: &Sandbox) -> Fact {
    let (value, meaning) = match sandbox.io_uring_group {
        None => ("unknown".to_owned(), "no such sysctl"),
        Some(group) if group < 0 => ("none".to_owned(), "no group is spared"),
        Some(group) if sandbox.is_in_group() => (group.to_string(), "this process is in it"),
        Some(group) => (group.to_string(), "this process is not in it"),
    };
    Fact::new("kernel.io_uring_group", value, Grade::Plain, meaning)
}

fn transparent(sandbox: &Sandbox) -> Fact {
    let value = if host::may_be_transparent() { "yes" } else { "no" };
    let has = if sandbox.has_capability(NET_ADMIN) { "is there" } else { "is not" };
    let meaning = format!(
        "IP_TRANSPARENT was tried; for connections redirected by TPROXY, which this version does not take (CAP_NET_ADMIN {has})"
    );
    Fact::new("TPROXY", value, Grade::Plain, meaning)
}

fn low_ports(sandbox: &Sandbox) -> Fact {
    let first = host::sysctl("net/ipv4/ip_unprivileged_port_start").and_then(|text| text.parse().ok());
    let first: u32 = first.unwrap_or(1024);
    if first == 0 || sandbox.has_capability(NET_BIND_SERVICE) {
        return Fact::new("ports below 1024", "yes", Grade::Good, "listeners may be on any port");
    }
    let meaning = format!(
        "listeners on ports below {first} are refused: use others, add CAP_NET_BIND_SERVICE, or set \
         net.ipv4.ip_unprivileged_port_start"
    );
    Fact::new(
        "ports below 1024",
        format!("from {first} on"),
        Grade::good_if(first <= 80, Grade::Costs),
        meaning,
    )
}
