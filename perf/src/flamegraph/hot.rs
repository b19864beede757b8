//! The functions in which the time itself is spent, apart from what they call.
//!
//! Samples of the CPU clock are weighted by the nanoseconds that they stand for.

use std::collections::BTreeMap;
use std::fmt::Write;

/// The mark that a kernel frame carries in folded stacks.
const KERNEL_MARK: &str = "_[k]";

/// Nanoseconds by function, in the user's program and in the kernel.
#[derive(Debug, Default, PartialEq, Eq)]
struct SelfTime<'a> {
    user: BTreeMap<&'a str, u64>,
    kernel: BTreeMap<&'a str, u64>,
}

/// A table of the functions with the most time of their own, out of folded stacks.
pub(crate) fn list(stacks: &str, count: usize) -> String {
    let times = self_times(stacks);
    let total = sum(&times.user) + sum(&times.kernel);
    let mut text = String::new();
    section(&mut text, "user", &times.user, total, count);
    section(&mut text, "kernel", &times.kernel, total, count);
    text
}

fn self_times(stacks: &str) -> SelfTime<'_> {
    let mut times = SelfTime::default();
    for line in stacks.lines() {
        let Some((stack, time_ns)) = line.rsplit_once(' ') else { continue };
        let Ok(time_ns) = time_ns.parse::<u64>() else { continue };
        let leaf = stack.rsplit(';').next().unwrap_or(stack);
        match leaf.strip_suffix(KERNEL_MARK) {
            Some(name) => *times.kernel.entry(name).or_default() += time_ns,
            None => *times.user.entry(leaf).or_default() += time_ns,
        }
    }
    times
}

fn section(text: &mut String, title: &str, times: &BTreeMap<&str, u64>, total: u64, count: usize) {
    let share = |time_ns: u64| 100.0 * time_ns as f64 / total.max(1) as f64;
    // Writing to a String cannot fail.
    let total_ms = total as f64 / 1e6;
    let _ = writeln!(text, "\n{title}: {:.1} % of {total_ms:.0} ms", share(sum(times)));
    let mut sorted: Vec<_> = times.iter().collect();
    sorted.sort_by_key(|&(_, &time_ns)| std::cmp::Reverse(time_ns));
    for (name, &time_ns) in sorted.into_iter().take(count) {
        let _ = writeln!(text, "{:6.2} %  {name}", share(time_ns));
    }
}

fn sum(times: &BTreeMap<&str, u64>) -> u64 {
    times.values().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_innermost_function_is_charged() {
        let stacks = "a;b;c 3000000\na;b 1000000\na;b;tcp_sendmsg_[k] 4000000\nx;c 2000000\nbroken\n";
        let times = self_times(stacks);
        assert_eq!(times.user, BTreeMap::from([("b", 1_000_000), ("c", 5_000_000)]));
        assert_eq!(times.kernel, BTreeMap::from([("tcp_sendmsg", 4_000_000)]));
        let text = list(stacks, 1);
        assert!(text.contains("user: 60.0 % of 10 ms\n 50.00 %  c\n"), "{text}");
        assert!(text.contains("kernel: 40.0 % of 10 ms\n 40.00 %  tcp_sendmsg\n"), "{text}");
    }
}
