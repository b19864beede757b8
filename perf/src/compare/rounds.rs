//! A case from start to end: its proxies side by side, measured in rounds with rotated order.

use std::collections::BTreeMap;

use super::case::{Case, Shape};
use super::figures::{Figures, REQUESTS_PER_SECOND, Ratio, STARTUP_MS, medians, ratio};
use super::goal::Verdict;
use super::lab::{Lab, Proxy};
use super::measure;
use super::peer::Peer;
use crate::process::machine::{OtherUse, Since};

/// From this use of the cores by others on, figures are marked as disturbed.
const DISTURBING_CORES: f64 = 0.1;

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: u32,
    pub(crate) seconds: f64,
}

/// What came of a case.
pub(crate) struct Outcome {
    pub(crate) case: &'static Case,
    /// In each round, the figures of those that could be measured.
    pub(crate) rounds: Vec<BTreeMap<Peer, Figures>>,
    /// Who went wrong, and how.
    pub(crate) failures: Vec<(Peer, String)>,
    /// What else a reader must know.
    pub(crate) remarks: Vec<String>,
}

/// Runs a case with those of its proxies that `wanted` names.
pub(crate) fn run(
    lab: &mut Lab,
    case: &'static Case,
    wanted: &dyn Fn(Peer) -> bool,
    effort: Effort,
) -> anyhow::Result<Outcome> {
    lab.check_origins()?;
    let mut outcome = Outcome { case, rounds: Vec::new(), failures: Vec::new(), remarks: Vec::new() };
    let peers: Vec<Peer> = case.peers.iter().copied().filter(|&peer| wanted(peer)).collect();
    match case.shape {
        Shape::Startup { starts } => time_starts(lab, &mut outcome, &peers, starts),
        Shape::IdleMemory | Shape::IdleConnections { .. } => one_at_a_time(lab, &mut outcome, &peers),
        Shape::Http { .. } | Shape::Stream { .. } | Shape::Calls { .. } | Shape::HalfRate { .. } => {
            side_by_side(lab, &mut outcome, &peers, effort);
        }
    }
    lab.check_origins()?;
    Ok(outcome)
}

fn side_by_side(lab: &Lab, outcome: &mut Outcome, peers: &[Peer], effort: Effort) {
    let shape = outcome.case.shape;
    let mut proxies: BTreeMap<Peer, Proxy> = BTreeMap::new();
    for &peer in peers {
        match lab.start_proxy(peer, outcome.case.setup, shape.connections()) {
            Ok(proxy) => drop(proxies.insert(peer, proxy)),
            Err(error) => outcome.failures.push((peer, format!("{error:#}"))),
        }
    }
    let rate = match shape {
        Shape::HalfRate { connections, body_bytes } => {
            match half_of_nginx(lab, &mut proxies, connections, body_bytes, effort.seconds) {
                Ok(rate) => {
                    outcome.remarks.push(format!("rate: {rate:.0} requests per second"));
                    Some(rate)
                }
                Err(error) => return outcome.failures.push((Peer::Nginx, format!("{error:#}"))),
            }
        }
        _ => None,
    };
    let since = Since::now();
    for round in 0..effort.rounds {
        let mut figures_of = BTreeMap::new();
        for index in 0..peers.len() {
            // Whoever comes first or after a certain neighbour changes from round to round.
            let peer = peers[(index + round as usize) % peers.len()];
            let Some(proxy) = proxies.get_mut(&peer) else { continue };
            eprintln!("{}: round {} of {}: {}", outcome.case.name, round + 1, effort.rounds, peer.name());
            match measure::under_load(lab, proxy, shape, effort.seconds, rate) {
                Ok(figures) => drop(figures_of.insert(peer, figures)),
                Err(error) => {
                    outcome.failures.push((peer, format!("in round {}: {error:#}", round + 1)));
                    proxies.remove(&peer);
                }
            }
        }
        outcome.rounds.push(figures_of);
    }
    // Before the proxies end: what an orphan of theirs used could not be told from what strangers did.
    outcome.remarks.extend(disturbance(since.other_use()));
}

/// A remark on what else the machine did, if that is enough to doubt the figures.
fn disturbance(other: OtherUse) -> Option<String> {
    let OtherUse { others, stolen } = other;
    (others + stolen > DISTURBING_CORES).then(|| {
        format!(
            "DISTURBED: other processes used {others:.2} cores meanwhile, and the host took {stolen:.2}; \
             run again on a quiet machine"
        )
    })
}

/// Half the rate at which nginx is saturated now.
fn half_of_nginx(
    lab: &Lab,
    proxies: &mut BTreeMap<Peer, Proxy>,
    connections: u32,
    body_bytes: u64,
    seconds: f64,
) -> anyhow::Result<f64> {
    let nginx = proxies
        .get_mut(&Peer::Nginx)
        .ok_or_else(|| anyhow::anyhow!("the rate is half of nginx's, and nginx is not running"))?;
    let shape = Shape::Http { connections, body_bytes, new_connection_per_request: false };
    eprintln!("p99-half: nginx at its limit");
    let figures = measure::under_load(lab, nginx, shape, seconds, None)?;
    Ok(figures.get(REQUESTS_PER_SECOND).copied().unwrap_or_default() / 2.0)
}

/// Memory: a fresh process each, and no rounds, since it doesn't depend on what else the machine does.
fn one_at_a_time(lab: &Lab, outcome: &mut Outcome, peers: &[Peer]) {
    let shape = outcome.case.shape;
    let mut figures_of = BTreeMap::new();
    for &peer in peers {
        eprintln!("{}: {}", outcome.case.name, peer.name());
        let measured = lab.start_proxy(peer, outcome.case.setup, shape.connections()).and_then(
            |mut proxy| match shape {
                Shape::IdleConnections { connections } => {
                    measure::idle_connections(lab, &mut proxy, connections)
                }
                _ => Ok(measure::idle_memory(&proxy)),
            },
        );
        match measured {
            Ok(figures) => drop(figures_of.insert(peer, figures)),
            Err(error) => outcome.failures.push((peer, format!("{error:#}"))),
        }
    }
    outcome.rounds.push(figures_of);
}

fn time_starts(lab: &Lab, outcome: &mut Outcome, peers: &[Peer], starts: u32) {
    let mut failed = Vec::new();
    for _ in 0..starts {
        let mut figures_of = BTreeMap::new();
        for &peer in peers {
            if failed.contains(&peer) {
                continue;
            }
            match lab.start_proxy_for_timing(peer, outcome.case.setup) {
                Ok(proxy) => {
                    let milliseconds = proxy.started_in.as_secs_f64() * 1000.0;
                    figures_of.insert(peer, Figures::from([(STARTUP_MS, milliseconds)]));
                }
                Err(error) => {
                    failed.push(peer);
                    outcome.failures.push((peer, format!("{error:#}")));
                }
            }
        }
        outcome.rounds.push(figures_of);
    }
}

impl Outcome {
    /// Those that were measured, in the order of the case.
    pub(crate) fn measured(&self) -> impl Iterator<Item = Peer> {
        self.case
            .peers
            .iter()
            .copied()
            .filter(|peer| self.rounds.iter().any(|round| round.contains_key(peer)))
    }

    pub(crate) fn medians_of(&self, peer: Peer) -> Figures {
        medians(self.rounds.iter().filter_map(|round| round.get(&peer)))
    }

    /// Our figure divided by another's, round by round.
    pub(crate) fn ratio_to(&self, figure: &'static str, peer: Peer) -> Option<Ratio> {
        self.ratio(figure, Peer::Ours, peer)
    }

    /// One proxy's figure divided by another's, round by round.
    fn ratio(&self, figure: &'static str, of: Peer, to: Peer) -> Option<Ratio> {
        let pair = |round: &BTreeMap<Peer, Figures>| {
            Some((*round.get(&of)?.get(figure)?, *round.get(&to)?.get(figure)?))
        };
        ratio(self.rounds.iter().filter_map(pair))
    }

    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        let medians_of = |peer| self.medians_of(peer);
        let ratio = |figure, of, to| self.ratio(figure, of, to);
        self.case.goals.iter().map(|goal| goal.judge(medians_of, ratio)).collect()
    }
}
