//! One endpoint under active checks: what each result makes of it, and how long until the next check. It checks nothing
//! itself.
//!
//! A host is unhealthy until its first result, and that alone decides for once: one success makes it healthy, whatever
//! the threshold. So that no request is answered 503 because checks have just begun, a cluster is to be used only when
//! each of its hosts has had its first result ([`Session::is_first`]), as Envoy waits for it before a cluster is
//! initialised.

use sidering_dataplane::config::CheckPace;

/// How one check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckResult {
    Success,
    /// The endpoint answered, and not as expected: it says of itself that it is unhealthy.
    Unexpected,
    /// An answer that is listed as retriable: it counts towards the threshold.
    Retriable,
    /// No connection, a connection cut off, or no answer in time.
    Network,
}

/// What a result has led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The host became healthy or unhealthy by it.
    pub changed: bool,
    /// Until the next check; never 0.
    pub wait_ms: u64,
}

/// The state of one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    healthy: bool,
    first: bool,
    successes: u32,
    failures: u32,
}

impl Default for Session {
    fn default() -> Self {
        Session { healthy: false, first: true, successes: 0, failures: 0 }
    }
}

impl Session {
    /// Of an endpoint that has had traffic before it was checked.
    #[must_use]
    pub fn presumed_healthy() -> Session {
        Session { healthy: true, ..Session::default() }
    }

    /// The same state under another check: rows begin anew.
    #[must_use]
    pub fn begun_anew(&self) -> Session {
        Session { successes: 0, failures: 0, ..self.clone() }
    }

    /// Whether requests may go to it.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.healthy
    }

    /// Whether it waits for its first result.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.first
    }

    /// Takes in a result. `has_traffic`: whether the cluster has ever been sent anything.
    pub fn on_result(
        &mut self,
        result: CheckResult,
        pace: &CheckPace,
        has_traffic: bool,
        random: &mut dyn FnMut() -> u64,
    ) -> Verdict {
        let before = self.healthy;
        let success = result == CheckResult::Success;
        if success {
            self.on_success(pace);
        } else {
            self.on_failure(result, pace);
        }
        self.first = false;
        let changed = self.healthy != before;
        // A result against the host's state that did not change it yet.
        let pending = success != self.healthy;
        let base_ms = base_ms(success, pending, pace, has_traffic);
        Verdict { changed, wait_ms: with_jitter(base_ms, pace, random) }
    }

    fn on_success(&mut self, pace: &CheckPace) {
        self.failures = 0;
        if !self.healthy {
            self.successes = self.successes.saturating_add(1);
            self.healthy = self.first || self.successes >= pace.healthy_threshold;
        }
    }

    fn on_failure(&mut self, result: CheckResult, pace: &CheckPace) {
        self.successes = 0;
        if self.healthy {
            self.failures = self.failures.saturating_add(1);
            let at_once = result == CheckResult::Unexpected;
            self.healthy = !at_once && self.failures < pace.unhealthy_threshold;
        }
    }
}

fn base_ms(success: bool, pending: bool, pace: &CheckPace, has_traffic: bool) -> u64 {
    match (has_traffic, success, pending) {
        (false, true, false) => pace.no_traffic_healthy_interval_ms,
        (false, ..) => pace.no_traffic_interval_ms,
        (true, true, false) => pace.interval_ms,
        (true, true, true) => pace.healthy_edge_interval_ms,
        (true, false, false) => pace.unhealthy_interval_ms,
        (true, false, true) => pace.unhealthy_edge_interval_ms,
    }
}

fn with_jitter(base_ms: u64, pace: &CheckPace, random: &mut dyn FnMut() -> u64) -> u64 {
    let most_by_percent = u128::from(base_ms) * u128::from(pace.interval_jitter_percent) / 100;
    let mut wait_ms = base_ms;
    for most_ms in [u64::try_from(most_by_percent).unwrap_or(u64::MAX), pace.interval_jitter_ms] {
        if most_ms > 0 {
            wait_ms = wait_ms.saturating_add(random() % most_ms);
        }
    }
    wait_ms.max(1)
}

#[cfg(test)]
mod tests {
    use super::CheckResult::{Network, Retriable, Success, Unexpected};
    use super::*;

    fn pace() -> CheckPace {
        CheckPace {
            interval_ms: 10,
            unhealthy_interval_ms: 20,
            healthy_edge_interval_ms: 30,
            unhealthy_edge_interval_ms: 40,
            no_traffic_interval_ms: 50,
            no_traffic_healthy_interval_ms: 60,
            ..CheckPace::every(10, 3, 2)
        }
    }

    /// Healthy after each result, and the wait until the next check.
    fn run(results: &[CheckResult], has_traffic: bool) -> Vec<(bool, u64)> {
        let mut session = Session::default();
        let mut random = || unreachable!("no jitter is configured");
        let step = |&result| {
            let before = session.is_healthy();
            let verdict = session.on_result(result, &pace(), has_traffic, &mut random);
            assert_eq!(verdict.changed, before != session.is_healthy());
            (session.is_healthy(), verdict.wait_ms)
        };
        results.iter().map(step).collect()
    }

    #[test]
    fn unhealthy_until_the_first_result_which_decides_alone() {
        let session = Session::default();
        assert!(!session.is_healthy() && session.is_first());
        assert_eq!(run(&[Success], true), [(true, 10)]);
        assert_eq!(run(&[Network], true), [(false, 20)]);
    }

    #[test]
    fn thresholds() {
        // Unhealthy at the second failure in a row, healthy at the third success in a row.
        assert_eq!(
            run(&[Success, Network, Success, Network, Network, Network], true),
            [(true, 10), (true, 40), (true, 10), (true, 40), (false, 20), (false, 20)]
        );
        assert_eq!(
            run(&[Network, Success, Success, Network, Success, Success, Success, Success], true),
            [
                (false, 20),
                (false, 30),
                (false, 30),
                (false, 20),
                (false, 30),
                (false, 30),
                (true, 10),
                (true, 10)
            ]
        );
    }

    #[test]
    fn an_unexpected_answer_needs_no_threshold_and_a_retriable_one_does() {
        assert_eq!(run(&[Success, Unexpected], true), [(true, 10), (false, 20)]);
        assert_eq!(run(&[Success, Retriable, Retriable], true), [(true, 10), (true, 40), (false, 20)]);
    }

    #[test]
    fn without_traffic_its_intervals_go_before_the_others() {
        assert_eq!(
            run(&[Network, Success, Success, Success, Network], false),
            [(false, 50), (false, 50), (false, 50), (true, 60), (true, 50)]
        );
    }

    #[test]
    fn jitter_is_added_below_its_bound() {
        let pace =
            CheckPace { interval_jitter_ms: 7, interval_jitter_percent: 50, ..CheckPace::every(100, 1, 1) };
        let wait = |number: u64| Session::default().on_result(Success, &pace, true, &mut || number).wait_ms;
        assert_eq!(wait(0), 100);
        assert_eq!(wait(6), 112);
        assert_eq!(wait(49), 100 + 49);
        assert_eq!(wait(349), 100 + 49 + 6);
        assert_eq!(wait(350), 100);
    }
}
