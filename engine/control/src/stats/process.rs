//! What is to be said of the process as a whole. It reads /proc and nothing else.

use super::metric::{Family, Kind, Sample, Value};

/// What metrics and `/server_info` need to know of the process.
#[derive(Debug, Clone)]
pub struct ProcessFacts {
    pub version: &'static str,
    /// The engine in use: "uring" or "epoll".
    pub engine: &'static str,
    /// Why that one.
    pub engine_reason: String,
    pub workers: u64,
    pub uptime_seconds: u64,
    /// Whether it takes new work.
    pub live: bool,
    /// As Envoy counts states: 0 live, 1 draining, 3 initializing.
    pub state: u64,
    pub config_version: u64,
    pub reloads: u64,
    pub reload_failures: u64,
    pub access_log_written: u64,
    pub access_log_lost: u64,
    pub admin_connections_refused: u64,
}

impl ProcessFacts {
    pub(super) fn families(&self, families: &mut Vec<Family>) {
        let gauges = [
            ("server_live", "server.live", "1 while new work is taken.", u64::from(self.live)),
            ("server_state", "server.state", "0 live, 1 draining, 3 initializing.", self.state),
            ("server_uptime", "server.uptime", "Seconds since the start.", self.uptime_seconds),
            ("server_concurrency", "server.concurrency", "Cores.", self.workers),
            ("server_memory_allocated", "server.memory_allocated", MEMORY_HELP, memory_bytes()),
            ("config_version", "config.version", "The configuration in use; counts up.", self.config_version),
        ];
        for (name, plain, help, value) in gauges {
            families.push(single(name, plain, Kind::Gauge, help, value));
        }
        let counters = [
            ("config_reload_success", "config.reload_success", "Reloads applied.", self.reloads),
            ("config_reload_failure", "config.reload_failure", "Reloads refused.", self.reload_failures),
            (
                "access_log_written",
                "access_log.written",
                "Access-log lines written.",
                self.access_log_written,
            ),
            (
                "access_log_lost",
                "access_log.lost",
                "Access-log lines that could not be written.",
                self.access_log_lost,
            ),
            (
                "admin_cx_overflow",
                "admin.cx_overflow",
                "Admin connections closed at once because there were too many.",
                self.admin_connections_refused,
            ),
        ];
        for (name, plain, help, value) in counters {
            families.push(single(name, plain, Kind::Counter, help, value));
        }
        let mut engine = single("engine", "", Kind::Gauge, "1 for the engine in use.", 1);
        engine.samples[0].labels = vec![("engine", self.engine.to_owned())];
        engine.samples[0].plain = format!("engine.{}", self.engine);
        families.push(engine);
        let help = "1, with the engine in use and why it is that one.";
        let mut info = single("engine_info", "", Kind::Gauge, help, 1);
        info.samples[0].labels =
            vec![("engine", self.engine.to_owned()), ("reason", self.engine_reason.clone())];
        info.samples[0].plain = format!("engine_info.{}", self.engine);
        families.push(info);
        let mut build = single("build_info", "", Kind::Gauge, "1 for the version in use.", 1);
        build.samples[0].labels = vec![("version", self.version.to_owned())];
        build.samples[0].plain = format!("build_info.{}", self.version);
        families.push(build);
    }
}

const MEMORY_HELP: &str = "Bytes of anonymous memory of the process that are resident.";

fn single(name: &'static str, plain: &str, kind: Kind, help: &'static str, value: u64) -> Family {
    let sample = Sample { labels: vec![], plain: plain.to_owned(), value: Value::Number(value) };
    Family { name, kind, help, samples: vec![sample] }
}

/// Anonymous resident memory; 0 where /proc does not tell.
pub(crate) fn memory_bytes() -> u64 {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return 0 };
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
        .map_or(0, |kib| kib * 1024)
}
