//! Why there can be no ring here, in words for whoever has to change it. It asks nothing itself.

use std::fmt;
use std::io;

use crate::sandbox::Sandbox;

/// io_uring cannot be used by this process. Displayed, it is one line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// The system call, or the feature, that was asked for.
    pub asked: &'static str,
    /// What stands in the way.
    pub reason: Reason,
}

/// What stands in the way of io_uring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The kernel has none: built without it, or older than 5.1.
    NotInKernel,
    /// Refused by this errno, and a seccomp filter is in force.
    Seccomp(i32),
    /// `kernel.io_uring_disabled` has this value, and the process is not among the exceptions.
    Sysctl(u32),
    /// Refused, by neither of them: a security module, perhaps.
    Forbidden(i32),
    /// No memory. With the bytes of RLIMIT_MEMLOCK, if rings count against it.
    NoMemory(Option<u64>),
    /// The process, or the system, has no descriptor left.
    NoDescriptors(i32),
    /// The kernel is too old for this.
    Missing {
        /// The first release that has it.
        since: &'static str,
    },
    /// Anything else.
    Other(i32),
}

impl Unusable {
    /// Why `asked` was refused with `error`, as far as `sandbox` tells.
    pub(crate) fn refused(asked: &'static str, error: &io::Error, sandbox: &Sandbox) -> Unusable {
        let errno = error.raw_os_error().unwrap_or(0);
        // Where the sysctl exists there is an io_uring, and who says otherwise is a filter.
        let pretended = sandbox.is_filtered() && sandbox.io_uring_disabled.is_some();
        let reason = match errno {
            libc::ENOSYS if pretended => Reason::Seccomp(errno),
            libc::ENOSYS => Reason::NotInKernel,
            libc::EPERM | libc::EACCES => match sandbox.io_uring_disabled {
                Some(value) if sandbox.is_disabled() => Reason::Sysctl(value),
                _ if sandbox.is_filtered() => Reason::Seccomp(errno),
                _ => Reason::Forbidden(errno),
            },
            libc::ENOMEM if sandbox.counts_locked_memory() => Reason::NoMemory(sandbox.memlock_bytes),
            libc::ENOMEM => Reason::NoMemory(None),
            libc::EMFILE | libc::ENFILE => Reason::NoDescriptors(errno),
            other => Reason::Other(other),
        };
        Unusable { asked, reason }
    }

    pub(crate) fn missing(asked: &'static str, since: &'static str) -> Unusable {
        Unusable { asked, reason: Reason::Missing { since } }
    }

    /// What to do about it, as a sentence.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self.reason {
            Reason::NotInKernel | Reason::Missing { .. } => {
                "The ring needs Linux 6.0, and is good from 6.1 on: use a newer kernel, or engine epoll."
            }
            Reason::Seccomp(_) => {
                "Containers often forbid io_uring: allow io_uring_setup, io_uring_enter and io_uring_register in the \
                 seccomp profile (configs/seccomp has profiles that do), or use engine epoll."
            }
            Reason::Sysctl(_) => {
                "Set kernel.io_uring_disabled to 0, or to 1 with a group of this process in kernel.io_uring_group, or \
                 use engine epoll."
            }
            Reason::Forbidden(_) => {
                "See what SELinux, AppArmor or the container's runtime says about io_uring, or use engine epoll."
            }
            Reason::NoMemory(Some(_)) => {
                "Raise the limit of locked memory (ulimit -l, LimitMEMLOCK=, --ulimit memlock=), of which each worker \
                 needs about a quarter of a MiB, or use engine epoll."
            }
            Reason::NoMemory(None) => "Give the container more memory, or use fewer workers.",
            Reason::NoDescriptors(_) => "Raise the limit of descriptors (ulimit -n, LimitNOFILE=).",
            Reason::Other(_) => "See what `sidering doctor` says, or use engine epoll.",
        }
    }
}

impl std::error::Error for Unusable {}

impl fmt::Display for Unusable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = self.asked;
        match &self.reason {
            Reason::NotInKernel => write!(formatter, "{asked}: this kernel has no io_uring"),
            Reason::Seccomp(errno) => {
                write!(formatter, "{asked}: {} (a seccomp filter is in force)", words(*errno))
            }
            Reason::Sysctl(1) => write!(
                formatter,
                "{asked}: operation not permitted (kernel.io_uring_disabled is 1, and this process is not in \
                 kernel.io_uring_group)"
            ),
            Reason::Sysctl(value) => {
                write!(formatter, "{asked}: operation not permitted (kernel.io_uring_disabled is {value})")
            }
            Reason::Forbidden(errno) => write!(
                formatter,
                "{asked}: {} (neither by a seccomp filter nor by kernel.io_uring_disabled: a security module, perhaps)",
                words(*errno)
            ),
            Reason::NoMemory(Some(bytes)) => write!(
                formatter,
                "{asked}: cannot allocate memory (rings count as locked memory here, and its limit is {} KiB)",
                bytes / 1024
            ),
            Reason::NoMemory(None) => write!(formatter, "{asked}: cannot allocate memory"),
            Reason::Missing { since } => {
                write!(formatter, "{asked}: not in this kernel (it came with Linux {since})")
            }
            Reason::NoDescriptors(errno) | Reason::Other(errno) => {
                write!(formatter, "{asked}: {}", words(*errno))
            }
        }
    }
}

/// The system's words for an errno, as they look inside of a sentence.
fn words(errno: i32) -> String {
    match errno {
        libc::EPERM => "operation not permitted".to_owned(),
        libc::EACCES => "permission denied".to_owned(),
        libc::ENOSYS => "function not implemented".to_owned(),
        other => io::Error::from_raw_os_error(other).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(errno: i32, sandbox: &Sandbox) -> String {
        Unusable::refused("io_uring_setup", &io::Error::from_raw_os_error(errno), sandbox).to_string()
    }

    #[test]
    fn each_refusal_is_told_by_who_refused() {
        let free = Sandbox { io_uring_disabled: Some(0), ..Sandbox::default() };
        let filtered = Sandbox { seccomp_mode: Some(2), ..free.clone() };
        let old_filtered = Sandbox { io_uring_disabled: None, ..filtered.clone() };
        let group = Sandbox { io_uring_disabled: Some(1), ..filtered.clone() };
        let nobody = Sandbox { io_uring_disabled: Some(2), ..filtered.clone() };
        let locked = Sandbox { memlock_bytes: Some(64 << 10), ..free.clone() };
        for (errno, sandbox, expected) in [
            (libc::ENOSYS, &free, "io_uring_setup: this kernel has no io_uring"),
            (libc::ENOSYS, &old_filtered, "io_uring_setup: this kernel has no io_uring"),
            (libc::ENOSYS, &filtered, "function not implemented (a seccomp filter is in force)"),
            (libc::EPERM, &filtered, "operation not permitted (a seccomp filter is in force)"),
            (libc::EPERM, &group, "io_uring_disabled is 1, and this process is not in kernel.io_uring_group"),
            (libc::EPERM, &nobody, "(kernel.io_uring_disabled is 2)"),
            (libc::EACCES, &free, "permission denied (neither"),
            (libc::ENOMEM, &locked, "its limit is 64 KiB"),
            (libc::ENOMEM, &free, "io_uring_setup: cannot allocate memory"),
            (libc::EMFILE, &free, "Too many open files"),
            (libc::EINVAL, &free, "Invalid argument"),
        ] {
            let line = told(errno, sandbox);
            assert!(line.contains(expected) && !line.contains('\n'), "{line}");
        }
        assert_eq!(
            Unusable::missing("multishot RECV", "6.0").to_string(),
            "multishot RECV: not in this kernel (it came with Linux 6.0)"
        );
    }
}
