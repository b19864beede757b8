//! The ejected hosts of one cluster: who may be ejected, until when, and who comes back. It finds no outliers itself.

use sidering_dataplane::config::{Enforcing, OutlierDetection};
use sidering_dataplane::io::Address;
use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};

/// The way in which an outlier was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Detection {
    Consecutive5xx,
    ConsecutiveGatewayFailure,
    ConsecutiveLocalOriginFailure,
    SuccessRate,
    LocalOriginSuccessRate,
    FailurePercentage,
    LocalOriginFailurePercentage,
    /// A heartbeat that was not answered; Envoy has none.
    Heartbeat,
}

impl Detection {
    /// All of them, each at its number.
    pub const ALL: [Detection; 8] = [
        Detection::Consecutive5xx,
        Detection::ConsecutiveGatewayFailure,
        Detection::ConsecutiveLocalOriginFailure,
        Detection::SuccessRate,
        Detection::LocalOriginSuccessRate,
        Detection::FailurePercentage,
        Detection::LocalOriginFailurePercentage,
        Detection::Heartbeat,
    ];
}

impl Display for Detection {
    /// As Envoy's metrics name it.
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Detection::Consecutive5xx => "consecutive_5xx",
            Detection::ConsecutiveGatewayFailure => "consecutive_gateway_failure",
            Detection::ConsecutiveLocalOriginFailure => "consecutive_local_origin_failure",
            Detection::SuccessRate => "success_rate",
            Detection::LocalOriginSuccessRate => "local_origin_success_rate",
            Detection::FailurePercentage => "failure_percentage",
            Detection::LocalOriginFailurePercentage => "local_origin_failure_percentage",
            Detection::Heartbeat => "heartbeat",
        })
    }
}

/// What came of a detection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Ejected,
    /// The enforcing percentage spared it.
    NotEnforced,
    /// As many hosts as may be are ejected already.
    Overflow,
    /// Not a host of the cluster (any more), or ejected already.
    Ignored,
}

/// The hosts of one cluster, at most as many as it has endpoints.
#[derive(Debug, Default)]
pub struct Detector {
    pub(super) hosts: Vec<Host>,
    index: HashMap<Address, usize>,
    ejected: usize,
}

/// One host's past.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) address: Address,
    ejected_at_ms: Option<u64>,
    came_back_at_ms: Option<u64>,
    /// Ejections in a row: the factor of the base time.
    backoff: u64,
    jitter_ms: u64,
}

impl Host {
    fn new(address: Address) -> Host {
        Host { address, ejected_at_ms: None, came_back_at_ms: None, backoff: 0, jitter_ms: 0 }
    }

    pub(super) fn is_ejected(&self) -> bool {
        self.ejected_at_ms.is_some()
    }

    fn is_over(&self, config: &OutlierDetection, now_ms: u64) -> bool {
        let lasts_ms = config.base_ejection_ms.saturating_mul(self.backoff).min(config.max_ejection_ms);
        let lasts_ms = lasts_ms.saturating_add(self.jitter_ms);
        self.ejected_at_ms.is_some_and(|at_ms| now_ms.saturating_sub(at_ms) >= lasts_ms)
    }
}

impl Detector {
    /// The cluster has these hosts now. Those that stay keep their past; ejected ones that are gone count no more.
    pub fn set_hosts(&mut self, addresses: impl IntoIterator<Item = Address>) {
        let mut past: HashMap<Address, Host> =
            self.hosts.drain(..).map(|host| (host.address.clone(), host)).collect();
        self.index.clear();
        for address in addresses {
            if self.index.contains_key(&address) {
                continue;
            }
            self.index.insert(address.clone(), self.hosts.len());
            self.hosts.push(past.remove(&address).unwrap_or_else(|| Host::new(address)));
        }
        self.ejected = self.hosts.iter().filter(|host| host.is_ejected()).count();
    }

    /// Whether this is a host of the cluster.
    #[must_use]
    pub fn has(&self, address: &Address) -> bool {
        self.index.contains_key(address)
    }

    /// The addresses of the hosts.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.hosts.iter().map(|host| &host.address)
    }

    /// How many are ejected now.
    #[must_use]
    pub fn ejected(&self) -> usize {
        self.ejected
    }

    /// Whether this host is ejected now.
    #[must_use]
    pub fn is_ejected(&self, address: &Address) -> bool {
        self.index.get(address).is_some_and(|&index| self.hosts[index].is_ejected())
    }

    /// A host was found to be an outlier: is it ejected?
    pub fn on_outlier(
        &mut self,
        address: &Address,
        detection: Detection,
        config: &OutlierDetection,
        now_ms: u64,
        random: &mut dyn FnMut() -> u64,
    ) -> Decision {
        let Some(&index) = self.index.get(address) else { return Decision::Ignored };
        if self.hosts[index].is_ejected() {
            return Decision::Ignored;
        }
        if !self.has_room(config) {
            return Decision::Overflow;
        }
        if random() % 100 >= u64::from(enforced_percent(&config.enforcing, detection)) {
            return Decision::NotEnforced;
        }
        self.ejected += 1;
        let host = &mut self.hosts[index];
        host.ejected_at_ms = Some(now_ms);
        host.jitter_ms = match config.max_ejection_jitter_ms {
            0 => 0,
            most_ms => random() % most_ms.saturating_add(1),
        };
        // Beyond the longest time another step would only take longer to go back.
        let longest_ms = config.max_ejection_ms.saturating_add(config.base_ejection_ms);
        if host.backoff.saturating_mul(config.base_ejection_ms) < longest_ms {
            host.backoff += 1;
        }
        Decision::Ejected
    }

    /// An active check of the host succeeded, and the host is healthy by its checks. True: this ended an ejection.
    pub fn on_active_success(&mut self, address: &Address, config: &OutlierDetection, now_ms: u64) -> bool {
        let Some(&index) = self.index.get(address) else { return false };
        let ends = config.active_check_unejects && self.hosts[index].is_ejected();
        if ends {
            self.bring_back(index, now_ms);
        }
        ends
    }

    /// Ends the ejections that have lasted long enough.
    pub(super) fn bring_back_due(&mut self, config: &OutlierDetection, now_ms: u64) -> Vec<Address> {
        let mut back = vec![];
        for index in 0..self.hosts.len() {
            if self.hosts[index].is_over(config, now_ms) {
                self.bring_back(index, now_ms);
                back.push(self.hosts[index].address.clone());
            }
        }
        back
    }

    /// Hosts that have done well for an interval are nearer to a first ejection again.
    pub(super) fn forgive(&mut self, config: &OutlierDetection, now_ms: u64) {
        for host in self.hosts.iter_mut().filter(|host| !host.is_ejected()) {
            let well_ms = host.came_back_at_ms.map(|at_ms| now_ms.saturating_sub(at_ms));
            if well_ms.is_some_and(|well_ms| well_ms >= config.interval_ms) {
                host.backoff = host.backoff.saturating_sub(1);
            }
        }
    }

    fn bring_back(&mut self, index: usize, now_ms: u64) {
        self.hosts[index].ejected_at_ms = None;
        self.hosts[index].came_back_at_ms = Some(now_ms);
        self.ejected -= 1;
    }

    fn has_room(&self, config: &OutlierDetection) -> bool {
        let with_it = self.ejected as u128 + 1;
        let allowed = with_it * 100 <= u128::from(config.max_ejected_percent) * self.hosts.len() as u128;
        allowed || (config.always_eject_one && self.ejected == 0)
    }
}

fn enforced_percent(enforcing: &Enforcing, detection: Detection) -> u32 {
    match detection {
        Detection::Consecutive5xx => enforcing.consecutive_5xx,
        Detection::ConsecutiveGatewayFailure => enforcing.consecutive_gateway_failure,
        Detection::ConsecutiveLocalOriginFailure => enforcing.consecutive_local_origin_failure,
        Detection::SuccessRate => enforcing.success_rate,
        Detection::LocalOriginSuccessRate => enforcing.local_origin_success_rate,
        Detection::FailurePercentage => enforcing.failure_percentage,
        Detection::LocalOriginFailurePercentage => enforcing.local_origin_failure_percentage,
        Detection::Heartbeat => 100,
    }
}
