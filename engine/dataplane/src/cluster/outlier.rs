//! Errors in a row of one endpoint on one core. It decides nothing about ejection, which is the control side's.
//!
//! Rows are per core: an endpoint that fails everywhere is found by the first core that sees enough of it.

use super::Outcome;
use crate::config::OutlierDetection;
use crate::observe::counters::EndpointCounters;
use crate::observe::notice::RowKind;

/// Which thresholds an outcome has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reached {
    pub server_errors: bool,
    pub gateway_failures: bool,
    pub local_origin_failures: bool,
    /// One that was not answered is enough.
    pub heartbeats: bool,
}

impl Reached {
    /// By their kinds: mostly none.
    pub fn kinds(self) -> impl Iterator<Item = RowKind> {
        let all = [
            (self.server_errors, RowKind::ServerErrors),
            (self.gateway_failures, RowKind::GatewayFailures),
            (self.local_origin_failures, RowKind::LocalOriginFailures),
            (self.heartbeats, RowKind::Heartbeats),
        ];
        all.into_iter().filter(|(reached, _)| *reached).map(|(_, kind)| kind)
    }
}

/// The rows of one endpoint. A row that reaches its threshold begins anew, so that it is told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rows {
    server_errors: u32,
    gateway_failures: u32,
    local_origin_failures: u32,
}

impl Rows {
    /// Takes in an outcome. In split mode failures of local origin are apart, as Envoy's are; without it they count as the status
    /// that a client would be answered.
    pub fn record(
        &mut self,
        outcome: Outcome,
        config: &OutlierDetection,
        counters: &EndpointCounters,
    ) -> Reached {
        match (outcome, config.split_local_origin) {
            (Outcome::Abandoned | Outcome::TunnelEnded { .. }, _) => Reached::default(),
            (Outcome::Status(status), false) => self.external(status, config, counters),
            (Outcome::TunnelBegun, false) => self.external(200, config, counters),
            (Outcome::ConnectFailure | Outcome::Reset, false) => self.external(503, config, counters),
            (Outcome::Timeout, false) => self.external(504, config, counters),
            (Outcome::Status(status), true) => {
                self.local(true, config, counters);
                self.external(status, config, counters)
            }
            (Outcome::TunnelBegun, true) => self.local(true, config, counters),
            (Outcome::ConnectFailure | Outcome::Reset | Outcome::Timeout, true) => {
                self.local(false, config, counters)
            }
        }
    }

    /// The endpoint comes back from an ejection: what was nearly a row must not eject it at once.
    pub fn clear(&mut self) {
        *self = Rows::default();
    }

    fn external(&mut self, status: u16, config: &OutlierDetection, counters: &EndpointCounters) -> Reached {
        counters.results.add(1);
        if !(500..600).contains(&status) {
            self.server_errors = 0;
            self.gateway_failures = 0;
            return Reached::default();
        }
        counters.results_failed.add(1);
        let is_gateway = matches!(status, 502..=504);
        if !is_gateway {
            self.gateway_failures = 0;
        }
        Reached {
            server_errors: longer(&mut self.server_errors, config.consecutive_5xx),
            gateway_failures: is_gateway
                && longer(&mut self.gateway_failures, config.consecutive_gateway_failure),
            ..Reached::default()
        }
    }

    fn local(&mut self, success: bool, config: &OutlierDetection, counters: &EndpointCounters) -> Reached {
        counters.local_origin.add(1);
        if success {
            self.local_origin_failures = 0;
            return Reached::default();
        }
        counters.local_origin_failed.add(1);
        let threshold = config.consecutive_local_origin_failure;
        Reached {
            local_origin_failures: longer(&mut self.local_origin_failures, threshold),
            ..Reached::default()
        }
    }
}

/// One more in the row; whether it is long enough now. A threshold of 0 is never reached.
fn longer(row: &mut u32, threshold: u32) -> bool {
    *row = row.saturating_add(1);
    let reached = threshold != 0 && *row >= threshold;
    if reached {
        *row = 0;
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::Outcome::{Abandoned, ConnectFailure, Reset, Status, Timeout, TunnelBegun, TunnelEnded};
    use super::*;

    /// Which outcomes, counted from 1, reached a threshold: `5` for 5xx, `g` for gateway, `l` for local origin.
    fn reached(config: &OutlierDetection, outcomes: &[Outcome]) -> String {
        let (mut rows, counters) = (Rows::default(), EndpointCounters::default());
        let mut text = String::new();
        for (index, &outcome) in outcomes.iter().enumerate() {
            for kind in rows.record(outcome, config, &counters).kinds() {
                let letter = match kind {
                    RowKind::ServerErrors => '5',
                    RowKind::GatewayFailures => 'g',
                    RowKind::LocalOriginFailures => 'l',
                    RowKind::Heartbeats => unreachable!("no outcome of a request"),
                };
                text.push_str(&format!("{}{letter} ", index + 1));
            }
        }
        text.trim_end().to_owned()
    }

    /// What these outcomes are counted as: all and failed, of the endpoint and of local origin.
    fn counted(config: &OutlierDetection, outcomes: &[Outcome]) -> [u64; 4] {
        let (mut rows, counters) = (Rows::default(), EndpointCounters::default());
        for &outcome in outcomes {
            rows.record(outcome, config, &counters);
        }
        let EndpointCounters { results, results_failed, local_origin, local_origin_failed, .. } = &counters;
        [results, results_failed, local_origin, local_origin_failed]
            .map(crate::observe::counters::Counter::get)
    }

    fn config(split_local_origin: bool) -> OutlierDetection {
        OutlierDetection {
            consecutive_5xx: 3,
            consecutive_gateway_failure: 2,
            consecutive_local_origin_failure: 2,
            split_local_origin,
            ..OutlierDetection::default()
        }
    }

    #[test]
    fn rows_of_answers() {
        let table: &[(&[Outcome], &str)] = &[
            // Below the bound, at it, and that the row begins anew behind it.
            (&[Status(500); 2], ""),
            (&[Status(500); 3], "35"),
            (&[Status(500); 5], "35"),
            (&[Status(500); 6], "35 65"),
            // 499 and 600 are no server errors; 599 is one.
            (&[Status(500), Status(500), Status(499), Status(500)], ""),
            (&[Status(500), Status(500), Status(600), Status(500)], ""),
            (&[Status(599), Status(500), Status(500)], "35"),
            // A gateway failure is a server error too; another server error ends a row of gateway failures.
            (&[Status(502), Status(503), Status(504)], "2g 35"),
            (&[Status(502), Status(501), Status(502)], "35"),
            (&[Status(502), Status(505), Status(504)], "35"),
            (&[Status(502), Status(200), Status(502)], ""),
        ];
        for (outcomes, expected) in table {
            assert_eq!(reached(&config(false), outcomes), *expected, "{outcomes:?}");
        }
    }

    #[test]
    fn local_origin_without_split_counts_as_gateway_failure() {
        let config = config(false);
        // Envoy's example: two failed connects and one 500 are three errors.
        assert_eq!(reached(&config, &[ConnectFailure, ConnectFailure, Status(500)]), "2g 35");
        assert_eq!(reached(&config, &[Timeout, Reset, Timeout]), "2g 35");
        // A TCP connection that is established is all that a tunnel can succeed in.
        assert_eq!(reached(&config, &[ConnectFailure, TunnelBegun, ConnectFailure]), "");
        // What is not the endpoint's fault, and how a tunnel ends, says nothing.
        let nothing = [ConnectFailure, Abandoned, TunnelEnded { broken: true }, ConnectFailure];
        assert_eq!(reached(&config, &nothing), "4g");
        assert_eq!(counted(&config, &nothing), [2, 2, 0, 0]);
        assert_eq!(counted(&config, &[Timeout, Status(200), TunnelBegun]), [3, 1, 0, 0]);
    }

    #[test]
    fn local_origin_with_split_is_apart() {
        let config = config(true);
        assert_eq!(reached(&config, &[ConnectFailure, Reset]), "2l");
        assert_eq!(reached(&config, &[ConnectFailure, Timeout, ConnectFailure, Reset]), "2l 4l");
        // Who answers at all is reached; and being reached is no answer.
        assert_eq!(reached(&config, &[ConnectFailure, Status(500), ConnectFailure]), "");
        assert_eq!(reached(&config, &[ConnectFailure, TunnelBegun, ConnectFailure]), "");
        assert_eq!(reached(&config, &[Status(500), ConnectFailure, Status(500), Status(500)]), "45");
        assert_eq!(counted(&config, &[ConnectFailure, TunnelBegun, Status(200), Status(503)]), [2, 1, 4, 1]);
    }

    #[test]
    fn a_threshold_of_0_is_never_reached() {
        let config = OutlierDetection { consecutive_5xx: 0, consecutive_gateway_failure: 0, ..config(false) };
        assert_eq!(reached(&config, &[Status(503); 40]), "");
    }

    #[test]
    fn an_ejection_that_ends_clears_the_rows() {
        let (mut rows, counters) = (Rows::default(), EndpointCounters::default());
        let config = config(false);
        rows.record(Status(500), &config, &counters);
        rows.record(Status(500), &config, &counters);
        rows.clear();
        assert_eq!(rows.record(Status(500), &config, &counters), Reached::default());
    }
}
