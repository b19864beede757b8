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
