//! What kind of run a seed makes: who comes, what goes wrong, how the proxy is configured. Decided once, at the beginning.

use crate::choices::Choices;
use crate::engine::Temper;
use crate::rules::Off;
use sidering_dataplane::config::{BackOff, RetryOn, RetryPolicy};

/// What runs are of: half of them of HTTP.
const PROTOCOLS: &[&str] =
    &["http1", "http1", "http1", "http1", "http1", "bolt", "dubbo", "dubbo_thrift", "tars", "thrift"];

/// How rough a run is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// Nothing goes wrong: everything is answered, and no timeout is needed for it.
    Calm,
    /// Upstreams close idle connections, configurations come and go.
    Stale,
    /// Nothing goes wrong, and the proxy is drained in the middle of it.
    Graceful,
    /// Peers, network and kernel fail.
    Faults,
    /// The same with reloads, drains, stops, and tight bounds.
    Storm,
}

/// The decisions of one run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) mode: Mode,
    /// What all listeners and clusters speak but those of bytes.
    pub(crate) protocol: &'static str,
    /// Nobody's fault is expected to show.
    pub(crate) is_calm: bool,
    /// One in so many answers goes wrong, so many clients misbehave, so many idle connections are closed.
    pub(crate) origin_faults: usize,
    pub(crate) client_faults: usize,
    pub(crate) stale: usize,
    pub(crate) think_max: usize,
    pub(crate) body_max: usize,
    pub(crate) clients: usize,
    pub(crate) requests_max: usize,
    /// Clients come within this time.
    pub(crate) arrival_micros: usize,
    pub(crate) http_clusters: usize,
    /// CONNECT ends at the proxy, whose upstream gets the bytes only.
    pub(crate) ends_connect: bool,
    pub(crate) reloads: usize,
    pub(crate) drains: bool,
    pub(crate) stops: bool,
    /// What the proxy adds to requests.
    pub(crate) forwards_address: bool,
    pub(crate) makes_ids: bool,
    pub(crate) normalizes: bool,
    pub(crate) temper: Temper,
    /// What all routes retry, if they do.
    pub(crate) retry: Option<RetryPolicy>,
    /// What is kept of a request's body.
    pub(crate) buffer_bytes: u32,
    /// Retries of a cluster at once.
    pub(crate) retries_max: u32,
    /// Rules change heads at each level.
    pub(crate) has_rules: bool,
    /// Requests go by zones, of which something may be switched off.
    pub(crate) zones: Option<Off>,
    /// Outliers are told of.
    pub(crate) outliers: Option<Outliers>,
}

/// How failures are counted: so many in a row are told of, those of local origin apart or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Outliers {
    pub(crate) in_row: u32,
    pub(crate) splits: bool,
}

impl Plan {
    /// Makes one.
    pub(crate) fn new(choices: &mut Choices) -> Self {
        let mode =
            choices.pick(&[Mode::Calm, Mode::Stale, Mode::Graceful, Mode::Faults, Mode::Faults, Mode::Storm]);
        let is_calm = matches!(mode, Mode::Calm | Mode::Stale | Mode::Graceful);
        let is_storm = mode == Mode::Storm;
        let swaps = !matches!(mode, Mode::Calm | Mode::Faults);
        let is_bulky = choices.one_in(12);
        let protocol = choices.pick(PROTOCOLS);
        let is_http = protocol == PROTOCOLS[0];
        let body_max = match is_bulky {
            true => choices.pick(&[700_000, 1_400_000]),
            false if is_http => 40_000,
            // Some that are sent before they are whole.
            false => choices.pick(&[40_000, 150_000]),
        };
        let requests_max: &[usize] = if is_http || is_bulky { &[4, 8, 2, 12] } else { &[8, 40, 3, 150] };
        Plan {
            mode,
            protocol,
            is_calm,
            origin_faults: if is_calm { 0 } else { choices.pick(&[4, 8, 20, 0]) },
            client_faults: if is_calm { 0 } else { choices.pick(&[4, 8, 20, 0]) },
            stale: if mode == Mode::Calm { 0 } else { choices.pick(&[3, 2, 10]) },
            think_max: choices.pick(&[1, 3000, 40_000]),
            body_max,
            clients: if is_bulky { choices.between(1, 5) } else { choices.between(1, 14) },
            requests_max: choices.pick(requests_max),
            arrival_micros: choices.pick(&[1, 2_000, 60_000]),
            http_clusters: choices.between(1, 3),
            ends_connect: choices.chance(50),
            reloads: if swaps { choices.below(4) } else { 0 },
            drains: mode == Mode::Graceful || is_storm && choices.chance(50),
            stops: is_storm && choices.chance(30),
            forwards_address: choices.chance(30),
            makes_ids: choices.chance(30),
            normalizes: choices.chance(50),
            temper: temper(is_calm, is_bulky, choices),
            retry: retry(is_calm, is_http, choices),
            buffer_bytes: choices.pick(&[1_000_000, 65_536, 500]) as u32,
            retries_max: choices.pick(&[100, 3, 1]) as u32,
            has_rules: is_http && choices.chance(40),
            zones: (is_http && choices.chance(40)).then(|| Off::new(choices)),
            outliers: choices
                .chance(40)
                .then(|| Outliers { in_row: choices.pick(&[1, 2, 3]) as u32, splits: choices.chance(50) }),
        }
    }

    /// Whether it is calls that are carried.
    pub(crate) fn is_of_calls(&self) -> bool {
        self.protocol != PROTOCOLS[0]
    }

    /// Whether configurations are swapped or the proxy is drained, so that a connection may be closed before it is used.
    pub(crate) fn swaps(&self) -> bool {
        self.reloads > 0 || self.drains
    }

    /// Whether several attempts of a request may be under way.
    pub(crate) fn hedges(&self) -> bool {
        self.retry.as_ref().is_some_and(|policy| policy.hedge_on_per_try_timeout)
    }

    /// Slots that kept bodies may hold.
    pub(crate) fn kept_slots(&self) -> usize {
        self.temper.slots / 4
    }

    /// How long a client may idle in a calm run.
    pub(crate) fn calm_idle_micros(&self) -> u64 {
        59_000_000
    }

    /// The number of the cluster of bytes.
    pub(crate) fn raw_cluster(&self) -> usize {
        self.http_clusters
    }
}

/// Where nothing goes wrong but what answers themselves say, only those are retried.
/// Calls are not hedged.
fn retry(is_calm: bool, is_http: bool, choices: &mut Choices) -> Option<RetryPolicy> {
    if !choices.chance(40) {
        return None;
    }
    let hedges = is_http && choices.chance(40);
    let failures = RetryOn::RESET.with(RetryOn::CONNECT_FAILURE);
    let on = match choices.below(3) {
        0 if !is_calm => failures,
        1 if !is_calm => failures.with(RetryOn::SERVER_ERROR),
        _ => RetryOn::RETRIABLE_STATUS_CODES,
    };
    Some(RetryPolicy {
        on,
        attempts: choices.pick(&[1, 2, 0, 3]) as u32,
        // What hedges goes on, so that a short timeout does no harm.
        per_try_timeout_ms: match (hedges, is_calm) {
            (true, _) => choices.pick(&[20, 2, 300]),
            (false, true) => 0,
            (false, false) => choices.pick(&[0, 300]),
        },
        hedge_on_per_try_timeout: hedges,
        back_off: BackOff { base_ms: choices.pick(&[25, 1, 200]), max_ms: 250 },
        status_codes: vec![500],
        ..RetryPolicy::default()
    })
}

fn temper(is_calm: bool, is_bulky: bool, choices: &mut Choices) -> Temper {
    let mut fault = |rarities: &[usize]| if is_calm { 0 } else { choices.pick(rarities) };
    let connect_refused = fault(&[0, 6, 20, 1]);
    let connect_hangs = fault(&[0, 8, 30]);
    let connect_impossible = fault(&[0, 10, 30]);
    let breaks = fault(&[0, 6, 30]);
    let slots = if is_calm { choices.pick(&[128, 256]) } else { choices.pick(&[64, 4, 8, 16, 300]) };
    let windows: &[usize] = if is_bulky { &[262_144, 65_536, 40_000] } else { &[65_536, 16_384, 3000] };
    Temper {
        cuts: choices.pick(&[4, 2, 10, 0]),
        laziness: choices.pick(&[10, 4, 0]),
        holds_back: choices.pick(&[10, 4, 0]),
        multishot_ends: choices.pick(&[10, 3, 0]),
        stalls: choices.pick(&[100, 30, 0]),
        accept_fails: choices.pick(&[0, 4, 15, 2]),
        connect_refused,
        connect_hangs,
        first_is_down: choices.one_in(6),
        connect_impossible,
        breaks,
        sends_directly: choices.chance(50),
        slots,
        slot_bytes: if is_bulky { 16_384 } else { choices.pick(&[4096, 512, 1500, 16_384]) },
        delay_max: if is_bulky { 2_000 } else { choices.pick(&[1, 500, 5_000, 30_000]) },
        window_max: choices.pick(windows),
    }
}
