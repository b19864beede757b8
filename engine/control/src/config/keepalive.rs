//! Reads how dead connections to endpoints are found out: `upstream_keepalive`.

use super::problem::Problems;
use super::section::Section;
use super::tree::Tree;
use sidering_dataplane::io::{ConnectOptions, Keepalive};

/// What tcp(7) takes.
const MOST_SECONDS: u64 = 32_767;
const MOST_PROBES: u64 = 127;
/// Half a minute of silence, and a quarter without an answer.
const IDLE_SECONDS: u16 = 30;
const INTERVAL_SECONDS: u16 = 5;
const PROBES: u64 = 3;

pub(super) fn connect_options(tree: &Tree, problems: &Problems) -> ConnectOptions {
    let mut section = Section::open("a keepalive", tree, problems);
    let keepalive = Keepalive {
        idle_seconds: seconds(&mut section, "idle", IDLE_SECONDS),
        interval_seconds: seconds(&mut section, "interval", INTERVAL_SECONDS),
        probes: section.integer("probes", 1..=MOST_PROBES, PROBES) as u8,
    };
    let user_timeout_ms = section.duration_ms("user_timeout", 0, 0);
    section.finish();
    ConnectOptions {
        keepalive: Some(keepalive),
        user_timeout_ms: u32::try_from(user_timeout_ms).unwrap_or(u32::MAX),
    }
}

/// The system counts these in whole seconds.
fn seconds(section: &mut Section<'_>, key: &'static str, default: u16) -> u16 {
    let ms = section.duration_ms(key, 1000, u64::from(default) * 1000);
    if (!ms.is_multiple_of(1000) || ms > MOST_SECONDS * 1000)
        && let Some(place) = section.place_of(key)
    {
        let message = format!("`{key}` is not a number of seconds that the system takes");
        section.problems.error(place, message, format!("whole seconds, 1s to {MOST_SECONDS}s"));
        return default;
    }
    (ms / 1000) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, parse};

    fn read(keepalive: &str) -> Result<ConnectOptions, String> {
        let text = format!(
            "listeners: [{{ name: l, address: 127.0.0.1:0, protocol: tcp, cluster: c }}]\n\
             clusters: [{{ name: c, endpoints: [127.0.0.1:1]{keepalive} }}]"
        );
        let loaded = parse("test", &text, &Overrides::default()).map_err(|report| report.to_string())?;
        Ok(loaded.snapshot.clusters[0].connect_options)
    }

    fn probes(idle_seconds: u16, interval_seconds: u16, probes: u8) -> Option<Keepalive> {
        Some(Keepalive { idle_seconds, interval_seconds, probes })
    }

    #[test]
    fn there_are_no_probes_unless_they_are_asked_for() {
        assert_eq!(read("").unwrap(), ConnectOptions::default());
        let default = ConnectOptions { keepalive: probes(30, 5, 3), user_timeout_ms: 0 };
        assert_eq!(read(", upstream_keepalive: {}").unwrap(), default);
        let all = "{ idle: 10s, interval: 1s, probes: 2, user_timeout: 1500ms }";
        let expected = ConnectOptions { keepalive: probes(10, 1, 2), user_timeout_ms: 1500 };
        assert_eq!(read(&format!(", upstream_keepalive: {all}")).unwrap(), expected);
    }

    #[test]
    fn the_bounds_are_the_systems() {
        for (keepalive, is_right) in [
            ("{ idle: 1s }", true),
            ("{ idle: 999ms }", false),
            ("{ idle: 1001ms }", false),
            ("{ idle: 32766s }", true),
            ("{ idle: 32767s }", true),
            ("{ interval: 32768s }", false),
            ("{ probes: 0 }", false),
            ("{ probes: 1 }", true),
            ("{ probes: 126 }", true),
            ("{ probes: 127 }", true),
            ("{ probes: 128 }", false),
        ] {
            let read = read(&format!(", upstream_keepalive: {keepalive}"));
            assert_eq!(read.is_ok(), is_right, "{keepalive}: {read:?}");
        }
        assert!(read(", upstream_keepalive: { idel: 1s }").unwrap_err().contains("did you mean `idle`?"));
    }
}
