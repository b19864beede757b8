//! Chaos: ten origins are killed, frozen and slowed at random under a steady load through Sidering, and every request is
//! held to account. Nothing here knows how the proxy hides it: what it may do about it stands in `config.rs`.

mod client;
mod config;
mod origin;
mod tally;
mod trouble;

use std::cell::RefCell;
use std::io::{Write, stdout};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;

use self::origin::Origin;
use self::tally::Tally;
use self::trouble::Dice;
use crate::process::child::{self, Folder, Group, Start};
use crate::process::free_address;

/// After the last trouble the load goes on for so long, to see when it is even again.
const AFTERMATH: Duration = Duration::from_secs(10);
/// A proxy or an origin that has not answered by then has failed to start.
const START_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Args)]
pub(crate) struct ChaosOptions {
    /// The sidering program.
    #[arg(long, default_value = "target/release/sidering")]
    proxy: PathBuf,
    /// Seconds of trouble.
    #[arg(long, default_value_t = 120.0)]
    duration: f64,
    /// Requests a second.
    #[arg(long, default_value_t = 2000)]
    rate: u32,
    /// Connections to the proxy.
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// Origin processes.
    #[arg(long, default_value_t = 10)]
    origins: u16,
    /// Which troubles come when: the same seed, the same troubles.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The balancer of the cluster.
    #[arg(long, default_value = "round_robin")]
    lb: String,
    /// Workers of the proxy.
    #[arg(long, default_value_t = 2)]
    workers: u32,
}

/// Runs the load and the troubles, prints what came of it, and fails when a goal was missed.
pub(crate) fn run(options: &ChaosOptions) -> anyhow::Result<()> {
    if options.origins < 4 || options.rate == 0 || options.connections == 0 {
        bail!("chaos: give at least 4 --origins, and --rate and --connections above 0");
    }
    child::clean_up_on_signals()?;
    child::adopt_orphans()?;
    let folder = Folder::create()?;
    let origins = (0..options.origins).map(|index| Origin::start(index, folder.path()));
    let origins: Vec<Origin> = origins.collect::<anyhow::Result<_>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let met = runtime.block_on(observe(options, &folder, origins))?;
    if !met {
        bail!("chaos: a goal was missed, see above");
    }
    Ok(())
}

async fn observe(options: &ChaosOptions, folder: &Folder, origins: Vec<Origin>) -> anyhow::Result<bool> {
    for origin in &origins {
        client::until_listening(origin.address, START_PATIENCE).await?;
    }
    let address = free_address()?;
    let mut proxy = start_proxy(options, folder, &origins, address)?;
    if let Err(fault) = client::until_listening(address, START_PATIENCE).await {
        bail!("chaos: the proxy did not start ({fault}); it wrote: {}", proxy.log_end());
    }
    let tally = Rc::new(RefCell::new(Tally::of(origins.len())));
    let local = tokio::task::LocalSet::new();
    let troubles = local
        .run_until(async {
            let load = client::start(address, options.connections, options.rate, &tally);
            let (troubles, _origins) =
                trouble::make(origins, Dice::new(options.seed), options.duration).await?;
            tally.borrow_mut().recovered(Instant::now());
            tokio::time::sleep(AFTERMATH).await;
            load.stop().await;
            anyhow::Ok(troubles)
        })
        .await?;
    if let Some(status) = proxy.has_ended() {
        bail!("chaos: the proxy ended with {status}; it wrote: {}", proxy.log_end());
    }
    let tally = tally.borrow();
    write!(stdout(), "{troubles}{}", tally.report()).context("standard output is gone")?;
    Ok(tally.meets_goals())
}

fn start_proxy(
    options: &ChaosOptions,
    folder: &Folder,
    origins: &[Origin],
    address: std::net::SocketAddr,
) -> anyhow::Result<Group> {
    let path = folder.path().join("sidering.yaml");
    std::fs::write(&path, config::of(address, origins, &options.lb))
        .with_context(|| format!("cannot write {}", path.display()))?;
    let workers = options.workers.to_string();
    let arguments = ["run", "-c", &path.display().to_string(), "--workers", &workers].map(Into::into);
    Group::start(Start {
        program: &options.proxy,
        arguments: arguments.into(),
        core: None,
        log: &folder.path().join("sidering.log"),
        pipe_output: false,
        pipe_input: false,
        guarded: true,
    })
}
