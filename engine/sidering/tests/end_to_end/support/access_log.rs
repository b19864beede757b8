//! The access log as its readers see it: lines of JSON.

use super::proxy::Proxy;
use super::wait::until;
use serde_json::Value;

/// All whole lines that are there now.
pub(crate) fn records(proxy: &Proxy) -> Vec<Value> {
    let text = std::fs::read_to_string(proxy.access_log_path()).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    whole.lines().map(read).collect()
}

/// Waits for the record of a request with this path.
#[track_caller]
pub(crate) fn record_of(proxy: &Proxy, path: &str) -> Value {
    until(&format!("the record of {path}"), || {
        records(proxy).into_iter().find(|record| record["path"] == path)
    })
}

/// Waits for the record of a path and tells its flags, `-` for none.
#[track_caller]
pub(crate) fn flags_of(proxy: &Proxy, path: &str) -> String {
    flags(&record_of(proxy, path))
}

pub(crate) fn flags(record: &Value) -> String {
    record["response_flags"].as_str().unwrap_or("-").to_owned()
}
