//! The log thread with real files.

use super::*;
use sidering_dataplane::observe::access_log::{AccessRecord, RecordSink};
use std::path::Path;

fn settings(path: &Path, format: &str) -> AccessLogSettings {
    AccessLogSettings { path: path.to_owned(), format: Format::parse(format).unwrap() }
}

fn snapshot(version: u64) -> Arc<Snapshot> {
    Arc::new(Snapshot { version, ..Snapshot::default() })
}

fn apply(log: &mut AccessLog, settings: &AccessLogSettings, version: u64) {
    let file = log.prepare(Some(settings)).unwrap();
    log.apply(Some(settings), file, &snapshot(version));
}

fn record(version: u64, path: &str) -> Vec<u8> {
    let mut bytes = vec![];
    AccessRecord { snapshot_version: version, path: path.as_bytes(), ..Default::default() }
        .encode(&mut bytes);
    bytes
}

#[test]
fn everything_handed_over_is_written_in_order_and_wraps_are_no_trouble() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let (mut log, mut sinks) = AccessLog::new(2, Clock::start());
    apply(&mut log, &settings(&path, "%REQ(:PATH)%"), 1);
    let mut expected = [0, 0];
    for number in 0..60_000 {
        let core = number % 2;
        while !sinks[core].try_write(&record(1, &format!("/{core}/{number}"))) {
            std::thread::yield_now();
        }
        expected[core] += 1;
    }
    drop(sinks);
    log.finish(Duration::from_secs(10));
    let text = std::fs::read_to_string(&path).unwrap();
    for (core, expected) in expected.into_iter().enumerate() {
        let numbers: Vec<u32> = text
            .lines()
            .filter_map(|line| line.strip_prefix(&format!("/{core}/")))
            .map(|number| number.parse().unwrap())
            .collect();
        assert_eq!(numbers.len(), expected);
        assert!(numbers.is_sorted());
    }
    assert_eq!(log.counters().lines_written.get(), 60_000);
    assert_eq!(log.counters().lines_lost.get(), 0);
}

#[test]
fn a_rotated_file_is_left_and_a_new_one_begun() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let (mut log, mut sinks) = AccessLog::new(1, Clock::start());
    apply(&mut log, &settings(&path, "%REQ(:PATH)%"), 1);
    assert!(sinks[0].try_write(&record(1, "/before")));
    while log.counters().lines_written.get() < 1 {
        std::thread::yield_now();
    }
    std::fs::rename(&path, folder.path().join("old.log")).unwrap();
    log.reopen().unwrap();
    assert!(sinks[0].try_write(&record(1, "/behind")));
    log.finish(Duration::from_secs(10));
    assert_eq!(std::fs::read_to_string(folder.path().join("old.log")).unwrap(), "/before\n");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "/behind\n");
}

#[test]
fn each_record_is_written_in_the_format_of_its_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let (mut log, mut sinks) = AccessLog::new(1, Clock::start());
    log.apply(None, None, &snapshot(0));
    apply(&mut log, &settings(&path, "one %REQ(:PATH)%"), 1);
    apply(&mut log, &settings(&path, "two %REQ(:PATH)% %REQ(X)%"), 2);
    for version in [2, 1, 99] {
        assert!(sinks[0].try_write(&record(version, "/a")));
    }
    log.finish(Duration::from_secs(10));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "two /a -\none /a\ntwo /a -\n");
}

#[test]
fn a_full_disk_costs_lines_and_nothing_else() {
    let (mut log, mut sinks) = AccessLog::new(1, Clock::start());
    apply(&mut log, &settings(Path::new("/dev/full"), "%REQ(:PATH)%"), 1);
    assert!(sinks[0].try_write(&record(1, "/a")));
    assert!(sinks[0].try_write(&record(1, "/b")));
    log.finish(Duration::from_secs(10));
    assert_eq!((log.counters().lines_lost.get(), log.counters().lines_written.get()), (2, 0));
}

#[test]
fn a_path_that_cannot_be_opened_is_an_error_before_anything_changes() {
    let (mut log, _sinks) = AccessLog::new(1, Clock::start());
    assert!(log.prepare(Some(&settings(Path::new("/nowhere/a.log"), "text"))).is_err());
}

#[test]
fn without_an_access_log_there_is_no_thread() {
    let (mut log, _sinks) = AccessLog::new(1, Clock::start());
    log.apply(None, None, &snapshot(1));
    assert!(matches!(log.thread, Thread::Waiting(_)));
    log.finish(Duration::ZERO);
}
