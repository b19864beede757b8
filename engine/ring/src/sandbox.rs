//! What the system says about this process and io_uring: seccomp, sysctls, capabilities, limits. It reads files in /proc
//! and judges nothing.

use std::fs::read_to_string;

/// CAP_IPC_LOCK: locked memory is not counted.
const IPC_LOCK: u32 = 14;
/// CAP_SYS_ADMIN.
const SYS_ADMIN: u32 = 21;

/// What stands between this process and io_uring. `None` wherever the system does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// 0 none, 1 strict, 2 a filter.
    pub seccomp_mode: Option<u32>,
    /// Filters in force, each of which every system call passes.
    pub seccomp_filters: Option<u32>,
    /// Whether executing a program can no longer bring privileges.
    pub no_new_privileges: Option<bool>,
    /// Effective capabilities, a bit each.
    pub capabilities: Option<u64>,
    /// `kernel.io_uring_disabled`: 0 for everybody, 1 for a group, 2 for nobody. Linux 6.6 has it.
    pub io_uring_disabled: Option<u32>,
    /// `kernel.io_uring_group`, which may use io_uring under 1; -1 is no group.
    pub io_uring_group: Option<i64>,
    /// The groups of this process, the effective one first.
    pub groups: Vec<i64>,
    /// RLIMIT_MEMLOCK in bytes, the soft one; `None` if there is no limit.
    pub memlock_bytes: Option<u64>,
}

impl Sandbox {
    /// Reads it all anew.
    #[must_use]
    pub fn read() -> Sandbox {
        let status = read_to_string("/proc/self/status").unwrap_or_default();
        let limits = read_to_string("/proc/self/limits").unwrap_or_default();
        let sysctl = |name: &str| read_to_string(format!("/proc/sys/kernel/{name}")).ok();
        Sandbox {
            io_uring_disabled: sysctl("io_uring_disabled").and_then(|text| text.trim().parse().ok()),
            io_uring_group: sysctl("io_uring_group").and_then(|text| text.trim().parse().ok()),
            ..Sandbox::parse(&status, &limits)
        }
    }

    fn parse(status: &str, limits: &str) -> Sandbox {
        let field = |name: &str| {
            let lines = status.lines().filter_map(|line| line.split_once(':'));
            lines.filter(|(known, _)| *known == name).map(|(_, value)| value.trim()).next()
        };
        let number = |name: &str| field(name).and_then(|value| value.parse().ok());
        let words = |name: &str| field(name).unwrap_or_default().split_whitespace();
        let effective = words("Gid").nth(1).into_iter();
        let locked = limits.lines().find_map(|line| line.strip_prefix("Max locked memory"));
        Sandbox {
            seccomp_mode: number("Seccomp"),
            seccomp_filters: number("Seccomp_filters"),
            no_new_privileges: number("NoNewPrivs").map(|value: u32| value == 1),
            capabilities: field("CapEff").and_then(|value| u64::from_str_radix(value, 16).ok()),
            groups: effective.chain(words("Groups")).filter_map(|id| id.parse().ok()).collect(),
            memlock_bytes: locked.and_then(|rest| rest.split_whitespace().next()?.parse().ok()),
            io_uring_disabled: None,
            io_uring_group: None,
        }
    }

    /// Whether a seccomp filter is in force.
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        self.seccomp_mode.is_some_and(|mode| mode > 0)
    }

    /// Whether this process is in the group that may use io_uring under `kernel.io_uring_disabled` 1.
    #[must_use]
    pub fn is_in_group(&self) -> bool {
        self.io_uring_group.is_some_and(|group| group >= 0 && self.groups.contains(&group))
    }

    /// Whether `kernel.io_uring_disabled` keeps this process from it.
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        match self.io_uring_disabled {
            None | Some(0) => false,
            Some(1) => !self.is_in_group() && !self.has_capability(SYS_ADMIN),
            Some(_) => true,
        }
    }

    /// Whether memory of rings counts against `memlock_bytes`: without CAP_IPC_LOCK, and with a limit.
    #[must_use]
    pub fn counts_locked_memory(&self) -> bool {
        self.memlock_bytes.is_some() && !self.has_capability(IPC_LOCK)
    }

    /// Whether a capability, by its number, is effective. In a user namespace of its own a process may have it here
    /// and still be refused.
    #[must_use]
    pub fn has_capability(&self, number: u32) -> bool {
        self.capabilities.is_some_and(|bits| bits >> number & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tproxy\nGid:\t0\t33\t0\t0\nGroups:\t4 27\nCapEff:\t0000000000204000\n\
                          NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3\n";
    const LIMITS: &str =
        "Limit  Soft Limit  Hard Limit  Units\nMax locked memory  8388608  unlimited  bytes\n";

    #[test]
    fn what_proc_says_is_understood() {
        let sandbox = Sandbox::parse(STATUS, LIMITS);
        assert_eq!((sandbox.seccomp_mode, sandbox.seccomp_filters), (Some(2), Some(3)));
        assert!(sandbox.is_filtered() && sandbox.no_new_privileges == Some(true));
        assert_eq!((sandbox.groups.as_slice(), sandbox.memlock_bytes), (&[33, 4, 27][..], Some(8 << 20)));
        assert!(sandbox.has_capability(SYS_ADMIN) && !sandbox.has_capability(0));
        assert!(!sandbox.counts_locked_memory(), "CAP_IPC_LOCK is there");
        let unlimited = LIMITS.replace("8388608", "unlimited");
        assert_eq!(Sandbox::parse("", &unlimited), Sandbox::default());
    }

    #[test]
    fn who_may_use_io_uring_under_the_sysctl() {
        let sandbox = |disabled, group, capabilities| Sandbox {
            io_uring_disabled: disabled,
            io_uring_group: Some(group),
            groups: vec![33, 4],
            capabilities: Some(capabilities),
            ..Sandbox::default()
        };
        let admin = 1 << SYS_ADMIN;
        for (disabled, group, capabilities, expected) in [
            (None, -1, 0, false),
            (Some(0), -1, 0, false),
            (Some(1), -1, 0, true),
            (Some(1), 4, 0, false),
            (Some(1), 5, 0, true),
            (Some(1), -1, admin, false),
            (Some(2), 4, admin, true),
        ] {
            assert_eq!(
                sandbox(disabled, group, capabilities).is_disabled(),
                expected,
                "{disabled:?} {group}"
            );
        }
    }

    #[test]
    fn this_process_can_be_read() {
        let sandbox = Sandbox::read();
        assert!(
            sandbox.seccomp_mode.is_some() && sandbox.capabilities.is_some() && !sandbox.groups.is_empty()
        );
    }
}
