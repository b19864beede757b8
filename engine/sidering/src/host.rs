//! What the binary asks of the operating system for the whole process: descriptor limits, CPUs, page sizes.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, disable_transparent_huge_pages, sched_getaffinity, sched_setaffinity};

/// Raises the soft limit of descriptors to the hard one: each connection needs one. Returns the limit in force.
pub(crate) fn raise_descriptor_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// Keeps the kernel from backing small allocations with huge pages: measured, an idle proxy takes 1 MiB without them
/// and 10 MiB with them. Without effect if the system refuses.
pub(crate) fn keep_pages_small() {
    let _ = disable_transparent_huge_pages(true);
}

/// The CPUs of this process's affinity mask.
pub(crate) fn affinity() -> Vec<usize> {
    let Ok(mask) = sched_getaffinity(None) else { return vec![] };
    (0..CpuSet::MAX_CPU).filter(|cpu| mask.is_set(*cpu)).collect()
}

/// Keeps the calling thread on one CPU. Without effect if the system refuses: it is an improvement, not a need.
pub(crate) fn pin(cpu: usize) {
    let mut mask = CpuSet::new();
    mask.set(cpu);
    let _ = sched_setaffinity(None, &mask);
}

/// A sysctl by its path below /proc/sys, with single blanks; `None` if it is hidden or unknown.
pub(crate) fn sysctl(name: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/sys/{name}")).ok()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A setting of this process's cgroup (version 2): the nearest one up the tree that is there and says something else
/// than `max`.
pub(crate) fn cgroup(name: &str) -> Option<String> {
    let table = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = table.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mut last = None;
    for folder in std::path::Path::new(own.trim_start_matches('/')).ancestors() {
        let file = std::path::Path::new("/sys/fs/cgroup").join(folder).join(name);
        if let Ok(text) = std::fs::read_to_string(file) {
            let text = text.trim().to_owned();
            if !text.starts_with("max") {
                return Some(text);
            }
            last = Some(text);
        }
    }
    last
}

/// The kernel's release, as `uname -r` prints it.
pub(crate) fn kernel_release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Whether a socket may take connections to addresses that are not this machine's (IP_TRANSPARENT), by trying.
pub(crate) fn may_be_transparent() -> bool {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    socket.is_ok_and(|socket| socket.set_ip_transparent_v4(true).is_ok())
}

/// The system's words for an errno.
pub(crate) fn system_words(errno: i32) -> String {
    std::io::Error::from_raw_os_error(errno).to_string()
}
