//! The text of /proc/PID/stat and its neighbours, parsed.

/// What is used of one /proc/PID/stat line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) parent: u32,
    pub(crate) user_ticks: u64,
    pub(crate) system_ticks: u64,
    /// User and system time of children that have ended and were waited for.
    pub(crate) children_ticks: u64,
}

/// Reads a stat line. The command name, which may hold blanks and parentheses, ends at the last parenthesis.
pub(crate) fn parse_stat(line: &str) -> Option<Stat> {
    let (_, after_name) = line.rsplit_once(')')?;
    // Field 3 of the manual page is the first one here.
    let mut fields = after_name.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let user_ticks = fields.nth(9)?.parse().ok()?;
    let system_ticks = fields.next()?.parse().ok()?;
    let children_user_ticks: u64 = fields.next()?.parse().ok()?;
    let children_system_ticks: u64 = fields.next()?.parse().ok()?;
    let children_ticks = children_user_ticks + children_system_ticks;
    Some(Stat { parent, user_ticks, system_ticks, children_ticks })
}

/// What the whole machine has done, from the first line of /proc/stat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MachineTicks {
    pub(crate) busy: u64,
    /// Time in which the host ran something else than this virtual machine.
    pub(crate) stolen: u64,
}

/// Reads /proc/stat. Its columns are user, nice, system, idle, iowait, irq, softirq, steal.
pub(crate) fn parse_machine(stat: &str) -> Option<MachineTicks> {
    let columns = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = columns.split_ascii_whitespace().filter_map(|ticks| ticks.parse().ok()).collect();
    let [user, nice, system, _, _, interrupts, soft_interrupts, stolen, ..] = ticks[..] else { return None };
    Some(MachineTicks { busy: user + nice + system + interrupts + soft_interrupts, stolen })
}

/// The nanoseconds on a CPU, from a schedstat line.
pub(crate) fn parse_schedstat(line: &str) -> Option<u64> {
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// The value of a `Name:  123 kB` line of /proc/PID/status, in bytes.
pub(crate) fn parse_status_bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let line = "42 (a) b (c) S 7 42 42 0 -1 4194560 100 0 0 0 123 456 3 4 20 0 1 0 99 1 1";
        let stat = Stat { parent: 7, user_ticks: 123, system_ticks: 456, children_ticks: 7 };
        assert_eq!(parse_stat(line), Some(stat));
        assert_eq!(parse_stat("42 (cut) S 7 42"), None);
    }

    #[test]
    fn the_machine_is_the_first_line() {
        let stat = "cpu  10 1 20 500 30 2 3 4 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
        assert_eq!(parse_machine(stat), Some(MachineTicks { busy: 36, stolen: 4 }));
        assert_eq!(parse_machine("cpu  10 1\n"), None);
    }

    #[test]
    fn schedstat_and_status_are_read() {
        assert_eq!(parse_schedstat("584691 55142 1\n"), Some(584_691));
        let status = "Name:\tx\nRssAnon:\t     128 kB\nRssFile:\t 4 kB\n";
        assert_eq!(parse_status_bytes(status, "RssAnon"), Some(131_072));
        assert_eq!(parse_status_bytes(status, "VmSwap"), None);
    }
}
