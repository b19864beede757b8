//! The doctor on the machine and its network settings: the kernel, CPUs, the clock, sysctls.

use super::report::{Fact, Grade, Section};
use crate::host::{self, cgroup, sysctl};

/// Clocks that the kernel lets programs read without a system call.
const FAST_CLOCKS: [&str; 4] = ["tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page"];
/// What listeners ask for.
const BACKLOG: u64 = 4096;

pub(super) fn machine() -> Section {
    Section { title: "machine", facts: vec![kernel(), cpus(), quota(), clock()] }
}

fn kernel() -> Fact {
    let release = host::kernel_release();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let meaning = match version {
        (6, 1..) | (7.., _) => "6.1 and later are good for the ring",
        (6, 0) => "the ring runs; 6.1 lets idle memory of buffers be given back",
        _ => "too old for the ring, which needs 6.0: the proxy runs on epoll",
    };
    Fact::new("kernel", release, Grade::good_if(version >= (6, 1), Grade::Costs), meaning)
}

fn cpus() -> Fact {
    let mask = host::affinity().len();
    let usable = sidering_control::config::usable_cpus() as usize;
    let meaning = if usable < mask {
        format!(
            "`workers: auto` is {usable}, fewer than there are by the cgroup's quota: workers are not pinned to CPUs"
        )
    } else {
        format!("`workers: auto` is {usable}, each on a CPU of its own")
    };
    Fact::new("CPUs", mask.to_string(), Grade::Plain, meaning)
}

fn quota() -> Fact {
    let text = cgroup("cpu.max");
    let is_limited = text.as_deref().is_some_and(|text| !text.starts_with("max"));
    let value = text.unwrap_or_else(|| "none".to_owned());
    let meaning = if is_limited {
        "microseconds of each period; when they are used up all workers stand still until the next one, which shows as latency"
    } else {
        "no quota of CPU time that could stop the workers"
    };
    Fact::new("cgroup cpu.max", value, Grade::good_if(!is_limited, Grade::Plain), meaning)
}

fn clock() -> Fact {
    let file = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let source =
        std::fs::read_to_string(file).map_or("cannot be read".to_owned(), |text| text.trim().to_owned());
    let is_fast = FAST_CLOCKS.contains(&source.as_str());
    let is_slow = ["hpet", "acpi_pm", "jiffies", "refined-jiffies"].contains(&source.as_str());
    let (grade, meaning) = match (is_fast, is_slow) {
        (true, _) => (Grade::Good, "reading it takes no system call: about 30 ns"),
        (_, true) => (
            Grade::Costs,
            "each turn of a worker reads it by a slow system call; choose tsc if the machine has it",
        ),
        _ => (Grade::Plain, "each turn of a worker reads it"),
    };
    Fact::new("clock source", source, grade, meaning)
}

pub(super) fn network() -> Section {
    let mut facts = vec![
        backlog(
            "net.core.somaxconn",
            "connections that wait to be accepted, per core; beyond it clients try again after a second",
        ),
        backlog(
            "net.ipv4.tcp_max_syn_backlog",
            "connections half open, per listener; beyond it the kernel falls back to cookies",
        ),
        local_ports(),
        idle_restart(),
    ];
    for (name, meaning) in [
        ("net.ipv4.tcp_tw_reuse", "1 or 2 lets ports of ended upstream connections be used again early"),
        ("net.ipv4.tcp_rmem", "least, first and most bytes a TCP connection's receive buffer has"),
        ("net.ipv4.tcp_wmem", "the same for its send buffer"),
        ("net.core.rmem_max", "not used: the proxy leaves buffers to the kernel's own tuning"),
        ("net.core.wmem_max", "not used, as above"),
    ] {
        facts.push(Fact::new(name, read(name), Grade::Plain, meaning));
    }
    Section { title: "network", facts }
}

fn read(name: &str) -> String {
    sysctl(&name.replace('.', "/")).unwrap_or_else(|| "cannot be read".to_owned())
}

fn backlog(name: &str, meaning: &str) -> Fact {
    let value = read(name);
    let suffices = value.parse::<u64>().map_or(true, |length| length >= BACKLOG);
    let mut meaning = meaning.to_owned();
    if !suffices {
        meaning += ". Raise it to 4096 if bursts are expected";
    }
    Fact::new(name, value, Grade::good_if(suffices, Grade::Costs), meaning)
}

fn local_ports() -> Fact {
    let name = "net.ipv4.ip_local_port_range";
    let value = read(name);
    let bounds: Vec<u32> = value.split(' ').filter_map(|word| word.parse().ok()).collect();
    let &[first, last] = bounds.as_slice() else {
        return Fact::new(name, value, Grade::Plain, "local ports");
    };
    let count = last.saturating_sub(first) + 1;
    let meaning = format!("{count} connections to each upstream address at a time");
    Fact::new(name, value, Grade::good_if(count >= 16_384, Grade::Costs), meaning)
}

fn idle_restart() -> Fact {
    let name = "net.ipv4.tcp_slow_start_after_idle";
    let value = read(name);
    let meaning = match value.as_str() {
        "1" => {
            "pooled connections that were idle start slowly again: large bodies over distance take longer; 0 avoids it"
        }
        _ => "pooled connections keep their speed while idle",
    };
    Fact::new(name, value, Grade::Plain, meaning)
}
