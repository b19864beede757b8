//! The load generator: closed or open loop over HTTP/1, bolt and Dubbo calls, a plain TCP stream, or connections held idle.

mod calls;
mod connect;
mod hold;
mod http;
mod recorder;
mod report;
mod schedule;
mod stream;
mod target;

use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, ValueEnum};

use self::recorder::{Recorder, Watched};
use self::report::Report;
use self::target::{Scheme, Target};
use crate::call::Exchange;
use crate::process::cpu::CpuTime;

/// How long after its end a run may take to wind up before it is reported as it stands.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Args, Clone)]
pub(crate) struct LoadOptions {
    /// http://host:port/path, or tcp://, bolt:// or dubbo://host:port
    target: String,
    /// Connections that carry requests at the same time.
    #[arg(long, short, default_value_t = 16)]
    pub(crate) connections: u32,
    /// Calls in flight on each connection (bolt, Dubbo).
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    depth: u32,
    /// Open loop: requests started per second, whether or not earlier ones were answered. Latency then counts from
    /// the intended start, so that a stall is charged to every request it delays.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Length of the measured window in seconds.
    #[arg(long, short, default_value_t = 5.0)]
    pub(crate) duration: f64,
    /// Seconds of load before the window.
    #[arg(long, default_value_t = 0.5)]
    pub(crate) warmup: f64,
    /// Stops after so many requests instead of after a time; there is no warm-up then.
    #[arg(long, conflicts_with = "rate")]
    pub(crate) requests: Option<u64>,
    #[arg(long, default_value = "GET")]
    pub(crate) method: String,
    /// Bytes of body in each request. Calls are answered with the same.
    #[arg(long, default_value_t = 0)]
    body_bytes: usize,
    /// Counts an answer of any other status as an error.
    #[arg(long, default_value_t = 200)]
    pub(crate) expect_status: u16,
    /// Counts an answer with a body of any other size as an error.
    #[arg(long)]
    pub(crate) expect_bytes: Option<u64>,
    /// Opens a connection for each request and asks for its end (Connection: close).
    #[arg(long)]
    pub(crate) new_connection_per_request: bool,
    /// Which way a tcp:// stream flows.
    #[arg(long, value_enum, default_value_t = Flow::Receive)]
    flow: Flow,
    /// Opens so many connections, sends one request on each, reports, and holds them until standard input ends.
    #[arg(long, conflicts_with_all = ["rate", "requests"])]
    pub(crate) hold: Option<u32>,
    /// Spreads connections over so many addresses from 127.0.0.1 on, in case one runs out of ports.
    #[arg(long, default_value_t = 1)]
    pub(crate) source_addresses: u8,
    /// Processes whose CPU time in the window is reported too.
    #[arg(long, value_delimiter = ',')]
    watch: Vec<u32>,
    /// Prints one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// The direction of a plain TCP stream, seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Flow {
    /// Everything is sent; the other end is a sink.
    Send,
    /// Everything is received; the other end is a source.
    Receive,
}

/// Runs the load and prints its report. The process must end afterwards: connections that hang keep the ring alive.
pub(crate) fn run(options: LoadOptions) -> anyhow::Result<()> {
    let target = Target::resolve(&options.target)?;
    if let Some(rate) = options.rate
        && !(rate > 0.0 && rate.is_finite())
    {
        bail!("load: --rate {rate} is no number of requests per second; give one above 0");
    }
    if target.scheme != Scheme::Http && (options.rate.is_some() || options.hold.is_some()) {
        bail!("load: --rate and --hold need HTTP; use an http:// target");
    }
    let json = options.json;
    crate::runtime::block_on(async move {
        let report = measure(&options, &target).await;
        // The report goes out before the runtime is torn down, which waits for every operation in flight.
        print(&report, json)?;
        if options.hold.is_some() {
            hold::until_input_ends();
        }
        std::io::stdout().flush()?;
        std::process::exit(i32::from(report.requests == 0 && report.bytes == 0))
    })
}

async fn measure(options: &LoadOptions, target: &Target) -> Report {
    let recorder = Rc::new(Recorder::new(options, Watched::new(options.watch.clone())));
    if let Some(count) = options.hold {
        return hold::open(count, options, target, &recorder).await;
    }
    let all = start(options, target, &recorder);
    if options.requests.is_some() {
        recorder.begin();
        let _ = tokio::time::timeout(Duration::from_secs_f64(options.duration) + GRACE, all).await;
    } else {
        tokio::time::sleep(Duration::from_secs_f64(options.warmup)).await;
        recorder.begin();
        tokio::time::sleep(Duration::from_secs_f64(options.duration)).await;
        recorder.end();
        // Calls that are under way at the end must be answered, too.
        if matches!(target.scheme, Scheme::Calls(_)) {
            let _ = tokio::time::timeout(calls::LATE, all).await;
        }
        return Report::of(&recorder);
    }
    recorder.end();
    Report::of(&recorder)
}

/// Starts one task per connection, and the clock of the open loop; resolves when all connections are done.
fn start(
    options: &LoadOptions,
    target: &Target,
    recorder: &Rc<Recorder>,
) -> impl Future<Output = ()> + use<> {
    let mut tasks = Vec::new();
    let request = target.request(&options.method, options.body_bytes, options.new_connection_per_request);
    let connector = Rc::new(connect::Connector::new(target.address, options.source_addresses));
    let schedule = options.rate.map(|rate| Rc::new(schedule::Schedule::new(rate)));
    if let Some(schedule) = &schedule {
        tasks.push(tokio_uring::spawn(schedule::run_clock(Rc::clone(schedule))));
    }
    let exchange = match target.scheme {
        Scheme::Calls(protocol) => Some(Rc::new(Exchange::new(protocol, options.body_bytes))),
        Scheme::Http | Scheme::Tcp => None,
    };
    for _ in 0..options.connections {
        let (connector, recorder) = (Rc::clone(&connector), Rc::clone(recorder));
        tasks.push(match (target.scheme, &exchange, &schedule) {
            (_, Some(exchange), _) => {
                tokio_uring::spawn(calls::run(connector, recorder, Rc::clone(exchange), options.depth))
            }
            (Scheme::Tcp, ..) => tokio_uring::spawn(stream::run(connector, recorder, options.flow)),
            (_, None, None) => tokio_uring::spawn(http::closed_loop(connector, recorder, request)),
            (_, None, Some(schedule)) => {
                tokio_uring::spawn(http::open_loop(connector, recorder, request, Rc::clone(schedule)))
            }
        });
    }
    async move {
        for task in tasks {
            // A task only ends early by a panic, which the runtime has printed.
            let _ = task.await;
        }
    }
}

fn print(report: &Report, json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", report.to_json())?;
    } else {
        write!(out, "{}", report.to_table())?;
    }
    out.flush()?;
    Ok(())
}

/// CPU time per request or byte needs both figures from one moment, so the sample is taken here.
pub(crate) fn sample(processes: &[u32]) -> CpuTime {
    processes.iter().map(|&process| CpuTime::of_process(process).unwrap_or_default()).sum()
}
