//! One measurement of one proxy.

use std::io::{BufRead, BufReader, Read};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

use super::case::Shape;
use super::figures::*;
use super::lab::{Lab, Proxy};
use super::probe;
use crate::process::memory::anonymous_bytes;

/// Seconds of load before each window: long enough for connections, pools and caches to be there.
const WARM_UP_S: f64 = 0.5;

/// Puts one window of the case's load on the proxy.
pub(crate) fn under_load(
    lab: &Lab,
    proxy: &mut Proxy,
    shape: Shape,
    seconds: f64,
    rate: Option<f64>,
) -> anyhow::Result<Figures> {
    let processes = proxy.processes();
    let mut arguments = load_arguments(shape, proxy, seconds);
    let watch: Vec<String> = processes.iter().map(ToString::to_string).collect();
    arguments.extend(["--watch".to_owned(), watch.join(",")]);
    if let Some(rate) = rate {
        arguments.extend(["--rate".to_owned(), format!("{rate:.0}")]);
    }
    let report = run_load(lab, &arguments).map_err(|error| proxy.complaint(&format!("{error:#}")))?;
    let mut figures = match shape {
        Shape::Stream { .. } => stream_figures(&report),
        Shape::Calls { .. } => call_figures(&report),
        _ => http_figures(&report),
    }
    .context("the load generator's report lacks a figure")?;
    if let Some(admin) = proxy.admin {
        let copied = probe::counter(admin, "sidering_body_bytes_copied")
            .map_err(|fault| proxy.complaint(&format!("on {admin}: {fault}")))?;
        figures.insert(BYTES_COPIED, copied);
    }
    figures.insert(MEMORY_BYTES, anonymous_bytes(&processes) as f64);
    figures.insert(ERRORS, errors(&report));
    Ok(figures)
}

/// Opens idle connections and gives the proxy's own memory for each of them.
pub(crate) fn idle_connections(lab: &Lab, proxy: &mut Proxy, connections: u32) -> anyhow::Result<Figures> {
    let before = anonymous_bytes(&proxy.processes());
    let arguments = [
        format!("http://{}/bytes/100", proxy.address),
        "--hold".to_owned(),
        connections.to_string(),
        "--json".to_owned(),
    ];
    let mut load = lab.start_load(&arguments, true)?;
    let mut line = String::new();
    if let Some(output) = load.child().stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    let after = anonymous_bytes(&proxy.processes());
    let report: Value = serde_json::from_str(&line)
        .with_context(|| format!("the load generator gave no report; it wrote: {}", load.log_end()))?;
    let held = report["requests"].as_f64().unwrap_or(0.0);
    if held < f64::from(connections) {
        let what = format!("only {held} of {connections} connections were answered: {}", report["errors"]);
        return Err(proxy.complaint(&what));
    }
    let grown = after as f64 - before as f64;
    Ok(Figures::from([
        (BYTES_PER_CONNECTION, grown / held),
        (MEMORY_BYTES, after as f64),
        (ERRORS, errors(&report)),
    ]))
}

/// Before a process counts as idle: what it has done to start is over, and allocators had time to give back what that took.
const SETTLES: Duration = Duration::from_secs(3);

/// The proxy's own memory while it has nothing to do.
pub(crate) fn idle_memory(proxy: &Proxy) -> Figures {
    thread::sleep(SETTLES);
    Figures::from([(MEMORY_BYTES, anonymous_bytes(&proxy.processes()) as f64)])
}

/// The load generator's arguments for a case that puts load on a proxy.
pub(crate) fn load_arguments(shape: Shape, proxy: &Proxy, seconds: f64) -> Vec<String> {
    let address = proxy.address;
    let target = match shape {
        Shape::Http { body_bytes, .. } | Shape::HalfRate { body_bytes, .. } => {
            vec![
                format!("http://{address}/bytes/{body_bytes}"),
                "--expect-bytes".into(),
                body_bytes.to_string(),
            ]
        }
        Shape::Calls { protocol, depth, body_bytes, .. } => vec![
            format!("{}://{address}", protocol.name()),
            "--body-bytes".into(),
            body_bytes.to_string(),
            "--depth".into(),
            depth.to_string(),
        ],
        _ => vec![format!("tcp://{address}"), "--flow".into(), "receive".into()],
    };
    let mut arguments = target;
    arguments.extend([
        "--connections".into(),
        shape.connections().to_string(),
        "--duration".into(),
        seconds.to_string(),
        "--warmup".into(),
        WARM_UP_S.to_string(),
        "--json".into(),
    ]);
    if matches!(shape, Shape::Http { new_connection_per_request: true, .. }) {
        arguments.push("--new-connection-per-request".into());
    }
    arguments
}

fn run_load(lab: &Lab, arguments: &[String]) -> anyhow::Result<Value> {
    let mut load = lab.start_load(arguments, false)?;
    let mut output = String::new();
    if let Some(mut pipe) = load.child().stdout.take() {
        pipe.read_to_string(&mut output)?;
    }
    let report: Value = serde_json::from_str(&output)
        .with_context(|| format!("the load generator gave no report; it wrote: {}", load.log_end()))?;
    if report["bytes"].as_u64().unwrap_or(0) == 0 {
        bail!("nothing came through; errors: {}", report["errors"]);
    }
    Ok(report)
}

fn http_figures(report: &Value) -> Option<Figures> {
    let requests = report["requests"].as_f64()?.max(1.0);
    let user_us = report["watched_user_us"].as_f64()? / requests;
    let system_us = report["watched_system_us"].as_f64()? / requests;
    Some(Figures::from([
        (CPU_US, user_us + system_us),
        (USER_US, user_us),
        (SYSTEM_US, system_us),
        (REQUESTS_PER_SECOND, report["requests_per_second"].as_f64()?),
        (P50_US, report["p50_us"].as_f64()?),
        (P99_US, report["p99_us"].as_f64()?),
        (P99_9_US, report["p99_9_us"].as_f64()?),
        (BUSY_SHARE, (user_us + system_us) * requests / elapsed_us(report)?),
    ]))
}

/// Those of requests, and those of the bytes that they bring and get.
fn call_figures(report: &Value) -> Option<Figures> {
    let mut figures = stream_figures(report)?;
    figures.extend(http_figures(report)?);
    Some(figures)
}

fn stream_figures(report: &Value) -> Option<Figures> {
    let cpu_us = report["watched_user_us"].as_f64()? + report["watched_system_us"].as_f64()?;
    // Bytes per µs are megabytes per second.
    Some(Figures::from([
        (GB_PER_CPU_SECOND, report["bytes"].as_f64()? / cpu_us.max(1.0) / 1000.0),
        (GB_PER_SECOND, report["bytes_per_second"].as_f64()? / 1e9),
        (BUSY_SHARE, cpu_us / elapsed_us(report)?),
    ]))
}

fn elapsed_us(report: &Value) -> Option<f64> {
    Some(report["elapsed_s"].as_f64()? * 1e6)
}

fn errors(report: &Value) -> f64 {
    let kinds = report["errors"].as_object();
    kinds.map_or(0.0, |kinds| kinds.values().filter_map(Value::as_f64).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reports_become_figures() {
        let report = json!({
            "requests": 100, "requests_per_second": 50.0, "p50_us": 1.0, "p99_us": 2.0, "p99_9_us": 3.0,
            "watched_user_us": 400.0, "watched_system_us": 600.0, "bytes": 2_000_000, "bytes_per_second": 1e9,
            "elapsed_s": 0.002,
            "errors": { "connect": 1, "short": 2 },
        });
        let figures = http_figures(&report).expect("nothing is missing");
        assert_eq!((figures[CPU_US], figures[USER_US], figures[BUSY_SHARE]), (10.0, 4.0, 0.5));
        let figures = stream_figures(&report).expect("nothing is missing");
        assert_eq!((figures[GB_PER_CPU_SECOND], figures[GB_PER_SECOND]), (2.0, 1.0));
        assert_eq!(errors(&report), 3.0);
        assert_eq!(http_figures(&json!({})), None);
    }
}
