//! A flame graph of a proxy under the load of one case, and the functions that its time goes to.

mod hot;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use inferno::collapse::Collapse;
use inferno::collapse::perf::{Folder as StackFolder, Options as CollapseOptions};

use crate::compare::case::{self, Shape};
use crate::compare::lab::{Lab, Proxy};
use crate::compare::measure;
use crate::compare::peer::{Binaries, Peer};
use crate::process::child;

/// Load before and after the recording, so that all of it is under load.
const MARGIN: Duration = Duration::from_secs(1);
/// Symbols in the list of hot functions.
const LISTED: usize = 25;

#[derive(Args)]
pub(crate) struct FlamegraphOptions {
    /// The load, by the name of a case of the comparison.
    #[arg(long, default_value = "http1-c64")]
    case: String,
    /// Whose time is drawn.
    #[arg(long, value_enum, default_value_t = Peer::Ours)]
    proxy: Peer,
    /// Length of the recording in seconds.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Samples per second; an odd number doesn't beat with periodic work.
    #[arg(long, default_value_t = 1999)]
    frequency: u32,
    #[arg(long, default_value = "flamegraph.svg")]
    output: PathBuf,
    #[command(flatten)]
    binaries: Binaries,
}

pub(crate) fn run(options: FlamegraphOptions) -> anyhow::Result<()> {
    let case = case::find(&options.case)
        .with_context(|| format!("flamegraph: there is no case '{}'; compare --cases list", options.case))?;
    if !matches!(case.shape, Shape::Http { .. } | Shape::Stream { .. } | Shape::Calls { .. }) {
        bail!(
            "flamegraph: the case {} puts no load on a proxy; take an http1, body, newconn, tcp, bolt or dubbo one",
            case.name
        );
    }
    child::clean_up_on_signals()?;
    let lab = Lab::open(options.binaries)?;
    let proxy = lab.start_proxy(options.proxy, case.setup, case.shape.connections())?;
    let recording = lab.folder().join("perf.data");
    record(&lab, &proxy, case.shape, options.seconds, options.frequency, &recording)?;
    drop(proxy);
    let stacks = fold(&recording)?;
    let title = format!("{} under {}", options.proxy.name(), case.name);
    draw(&stacks, &title, &options.output)?;
    let mut out = std::io::stdout().lock();
    write!(out, "{}", hot::list(&stacks, LISTED))?;
    writeln!(out, "\nwritten: {}", options.output.display())?;
    Ok(())
}

/// Records the proxy while it is under load. There are no hardware counters on this kind of machine, so the samples
/// come from the CPU clock.
fn record(
    lab: &Lab,
    proxy: &Proxy,
    shape: Shape,
    seconds: f64,
    frequency: u32,
    recording: &Path,
) -> anyhow::Result<()> {
    let load_seconds = seconds + 2.0 * MARGIN.as_secs_f64();
    let load = lab.start_load(&measure::load_arguments(shape, proxy, load_seconds), false)?;
    thread::sleep(MARGIN);
    let processes: Vec<String> = proxy.processes().iter().map(ToString::to_string).collect();
    let mut arguments: Vec<OsString> = ["record", "--quiet", "-e", "cpu-clock", "--call-graph", "fp", "-F"]
        .into_iter()
        .map(Into::into)
        .collect();
    arguments.extend([frequency.to_string().into(), "-p".into(), processes.join(",").into()]);
    arguments.extend([
        "-o".into(),
        recording.into(),
        "--".into(),
        "sleep".into(),
        seconds.to_string().into(),
    ]);
    let mut perf = lab.start_tool(Path::new("perf"), arguments)?;
    let status = perf.child().wait()?;
    drop(load);
    if !status.success() || fs::metadata(recording).map_or(0, |file| file.len()) == 0 {
        let said = perf.log_end();
        bail!(
            "flamegraph: perf recorded nothing; it needs root or kernel.perf_event_paranoid below 2: {said}"
        );
    }
    Ok(())
}

/// Lets perf resolve the symbols, and folds its samples into one line per stack.
fn fold(recording: &Path) -> anyhow::Result<String> {
    let mut perf = Command::new("perf")
        .args(["script", "--no-inline", "-i"])
        .arg(recording)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("flamegraph: cannot start perf; scripts/peers installs it")?;
    let mut samples = Vec::new();
    if let Some(mut output) = perf.stdout.take() {
        output.read_to_end(&mut samples)?;
    }
    perf.wait()?;
    let mut options = CollapseOptions::default();
    options.annotate_kernel = true;
    let mut stacks = Vec::new();
    StackFolder::from(options).collapse(BufReader::new(&samples[..]), &mut stacks).context(
        "flamegraph: cannot read what perf script printed; is this perf of another age than its kernel?",
    )?;
    Ok(String::from_utf8_lossy(&stacks).into_owned())
}

fn draw(stacks: &str, title: &str, path: &Path) -> anyhow::Result<()> {
    let mut options = inferno::flamegraph::Options::default();
    title.clone_into(&mut options.title);
    let file = File::create(path)
        .with_context(|| format!("flamegraph: cannot write {}; name another --output", path.display()))?;
    inferno::flamegraph::from_lines(&mut options, stacks.lines(), BufWriter::new(file))
        .context("flamegraph: no samples to draw; was the proxy idle? Record for more --seconds")
}
