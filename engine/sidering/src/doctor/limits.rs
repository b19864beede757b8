//! The doctor on limits: descriptors, locked memory, threads, and those of the cgroup, each with what it means in
//! connections or workers.

use super::report::{Fact, Grade, Section};
use crate::host::{self, cgroup};
use rustix::process::{Resource, Rlimit, getrlimit};
use sidering_ring::{RingOptions, Sandbox};

/// Descriptors that a process needs for other things than connections.
const OTHER_DESCRIPTORS: u64 = 64;
/// Fewer than this is little for a proxy.
const FEW_DESCRIPTORS: u64 = 65_536;
/// Threads beside the workers: control, the access log, and one to spare.
const OTHER_THREADS: u64 = 3;

pub(super) fn limits(sandbox: &Sandbox) -> Section {
    let workers = u64::from(sidering_control::config::usable_cpus());
    let facts = vec![
        descriptors(),
        locked_memory(sandbox, workers),
        threads("nproc", getrlimit(Resource::Nproc).current, workers, "of this user"),
        threads(
            "cgroup pids.max",
            cgroup("pids.max").and_then(|text| text.parse().ok()),
            workers,
            "of the cgroup",
        ),
        memory(),
        system_files(),
        pipe_pages(sandbox),
    ];
    Section { title: "limits", facts }
}

fn descriptors() -> Fact {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let value = format!("{}, hard {}", bound(current), bound(maximum));
    let Some(most) = maximum else {
        return Fact::new("nofile", value, Grade::Good, "the proxy raises the soft limit to the hard one");
    };
    let pairs = most.saturating_sub(OTHER_DESCRIPTORS) / 2;
    let mut meaning = format!(
        "the proxy raises the soft limit to the hard one: {pairs} clients with an upstream connection each; beyond it \
         accepting pauses"
    );
    if most < FEW_DESCRIPTORS {
        meaning += ". Raise it (LimitNOFILE=, --ulimit nofile=)";
    }
    Fact::new("nofile", value, Grade::good_if(most >= FEW_DESCRIPTORS, Grade::Costs), meaning)
}

fn locked_memory(sandbox: &Sandbox, workers: u64) -> Fact {
    let each = RingOptions::default().locked_bytes();
    let value = sandbox.memlock_bytes.map_or("unlimited".to_owned(), |bytes| format!("{} KiB", bytes / 1024));
    let Some(bytes) = sandbox.memlock_bytes.filter(|_| sandbox.counts_locked_memory()) else {
        return Fact::new(
            "memlock",
            value,
            Grade::Good,
            "rings do not count against it: no limit, or CAP_IPC_LOCK",
        );
    };
    let rings = bytes / each;
    let meaning = format!(
        "a ring may count as {} KiB of it (6.18 does so, kernels from 5.12 on did not for long): enough for {rings} \
         workers of this user; {workers} are wanted. Too little means epoll; raise it by LimitMEMLOCK=, --ulimit memlock=",
        each / 1024
    );
    Fact::new("memlock", value, Grade::good_if(rings >= workers, Grade::Costs), meaning)
}

fn threads(name: &str, limit: Option<u64>, workers: u64, whose: &str) -> Fact {
    let needed = workers + OTHER_THREADS;
    let meaning = format!("threads {whose}; the proxy has {needed}: one per worker, control, the access log");
    let suffices = limit.is_none_or(|limit| limit >= needed);
    Fact::new(name, bound(limit), Grade::good_if(suffices, Grade::Stops), meaning)
}

fn memory() -> Fact {
    let limit: Option<u64> = cgroup("memory.max").and_then(|text| text.parse().ok());
    let options = RingOptions::default();
    let most = u64::from(options.slot_bytes) * u64::from(options.slots_max)
        + u64::from(options.bulk_slot_bytes) * u64::from(options.bulk_slots_max);
    let value = limit.map_or("unlimited".to_owned(), |bytes| format!("{} MiB", bytes >> 20));
    let meaning = format!(
        "receive buffers take {} MiB per worker at the very most, and nothing while idle; the kernel's socket buffers count, too",
        most >> 20
    );
    Fact::new("cgroup memory.max", value, Grade::Plain, meaning)
}

fn system_files() -> Fact {
    let value = host::sysctl("fs/file-max").unwrap_or_else(|| "cannot be read".to_owned());
    Fact::new("fs.file-max", value, Grade::Plain, "descriptors of the whole system")
}

fn pipe_pages(sandbox: &Sandbox) -> Fact {
    let soft = host::sysctl("fs/pipe-user-pages-soft");
    let hard = host::sysctl("fs/pipe-user-pages-hard");
    let show = |value: &Option<String>| value.clone().unwrap_or_else(|| "cannot be read".to_owned());
    let value = format!("{}, hard {}", show(&soft), show(&hard));
    // CAP_SYS_RESOURCE or CAP_SYS_ADMIN.
    let is_exempt = sandbox.has_capability(24) || sandbox.has_capability(21);
    let pages: u64 = soft.and_then(|text| text.parse().ok()).unwrap_or(0);
    let meaning = if is_exempt || pages == 0 {
        "no limit for the pipes of relays".to_owned()
    } else {
        format!(
            "pages of all pipes of this user: beyond {} pipes of 1 MiB at a time relays work with small ones and cost more",
            pages / 256
        )
    };
    Fact::new("fs.pipe-user-pages", value, Grade::Plain, meaning)
}

fn bound(limit: Option<u64>) -> String {
    limit.map_or("unlimited".to_owned(), |limit| limit.to_string())
}
