//! The machine's counters are what the engine knows to be so, at every step.

use crate::peers::exchange::Kind;
use crate::plan::Mode;
use crate::world::World;

impl World {
    /// Gauges of connections, held against the sockets that are open.
    pub(super) fn check_gauges(&self) {
        for (number, counters) in self.oracle.clusters.iter().enumerate() {
            let truth = self.engine.truth.open_to(number);
            let told = counters.connections_active.get();
            assert_eq!(told, truth, "connections_active of cluster {number}, and the sockets that are open");
            let idle = counters.connections_idle.get();
            let (retries, most) = (counters.retries_active.get(), u64::from(self.plan.retries_max));
            // A cluster that was replaced has bounds of its own.
            let is_bounded = retries <= most || self.plan.reloads > 0;
            assert!(is_bounded, "{retries} retries of cluster {number}, and {most} may be");
            assert!(idle <= told, "cluster {number} has {idle} idle connections of {told}");
            for (at, endpoint) in self.oracle.endpoints[number].iter().enumerate() {
                let truth = self.engine.truth.open_to_endpoint(number, at);
                let told = endpoint.connections_active.get();
                assert_eq!(told, truth, "connections_active of endpoint {at} of cluster {number}");
            }
        }
        for id in &self.oracle.applied {
            let told = self.oracle.listeners[*id as usize].connections_active.get();
            let truth = self.engine.truth.listeners.get(*id as usize).map_or(0, |truth| truth.open);
            assert_eq!(told, truth, "connections_active of listener {id}, and the sockets that are open");
        }
    }

    /// What adds up once nothing goes on any more.
    pub(super) fn check_totals(&self) {
        for (id, counters) in self.oracle.listeners.iter().enumerate() {
            let truth = self.engine.truth.listeners.get(id).cloned().unwrap_or_default();
            let (told, seen) = (counters.connections_total.get(), truth.told);
            // A listener that is gone still accepts its backlog, and counts nothing.
            assert!(told <= seen, "connections_total of listener {id}: {told} of {seen} accepted");
            assert!(
                told == seen || self.plan.swaps() || self.was_stopped,
                "connections_total of listener {id}: {told} of {seen}"
            );
            let requests = counters.requests_total.get();
            assert_eq!(counters.request_time.count(), requests, "request_time of listener {id}");
            assert_eq!(counters.process_time.count(), requests, "process_time of listener {id}");
            let (told, seen) = (counters.received_bytes.get(), truth.received_bytes);
            let is_exact = self.plan.reloads == 0 && !self.was_stopped && id as u32 != crate::shape::RAW;
            assert!(told <= seen, "listener {id} received {told} bytes, and was told {seen}");
            assert!(told == seen || !is_exact, "listener {id} received {told} bytes, and was told {seen}");
            let (told, seen) = (counters.sent_bytes.get(), truth.sent_bytes);
            assert!(told <= seen, "listener {id} sent {told} bytes, and was told {seen}");
            let is_exact = is_exact && self.plan.is_calm;
            assert!(told == seen || !is_exact, "listener {id} sent {told} bytes, and was told {seen}");
        }
        for (number, counters) in self.oracle.clusters.iter().enumerate() {
            let of = || self.engine.truth.clusters.iter().filter(|truth| truth.cluster == number);
            let opened: u64 = of().flat_map(|truth| &truth.opened).sum();
            assert_eq!(counters.connections_total.get(), opened, "connections_total of cluster {number}");
            let endpoints: u64 =
                self.oracle.endpoints[number].iter().map(|at| at.connections_total.get()).sum();
            assert_eq!(endpoints, opened, "connections_total of the endpoints of cluster {number}");
            self.check_endpoints(number);
            let failed: u64 = of().map(|truth| truth.failed + truth.refused).sum();
            let (told, timeouts) = (counters.connect_failures.get(), counters.connect_timeouts.get());
            assert_eq!(
                told - timeouts,
                failed,
                "connect_failures of cluster {number} besides {timeouts} timeouts"
            );
            let seen: u64 = of().map(|truth| truth.received_bytes).sum();
            let told = counters.received_bytes.get();
            assert!(told <= seen, "cluster {number} received {told} bytes, and was told {seen}");
        }
        assert_eq!(self.oracle.core.body_bytes_copied.get(), 0, "body bytes copied");
        let (told, truth) = (self.oracle.core.body_bytes_relayed.get(), self.engine.truth.relayed_bytes);
        assert!(told <= truth, "{told} bytes relayed, and the engine relayed {truth}");
        assert_eq!(self.oracle.core.access_log_dropped.get(), 0, "access-log records dropped");
    }

    /// Where nothing goes wrong, each request is seen by the endpoint that it is counted at.
    fn check_endpoints(&self, number: usize) {
        // Of several attempts those that are not needed any more may be closed unseen.
        if self.plan.mode != Mode::Calm || self.plan.hedges() {
            return;
        }
        for (at, counters) in self.oracle.endpoints[number].iter().enumerate() {
            let sights = self.ledger.requests.iter().flat_map(|request| &request.sights);
            let is_here = |link: u32| self.engine.links[link as usize].cluster == Some((number, at));
            let seen = sights.filter(|sight| is_here(sight.link)).count() as u64;
            let lost = self.ledger.requests.iter().filter(|request| {
                let is_here = request.exchange.cluster == number && request.exchange.kind == Kind::OneWay;
                is_here && request.sights.is_empty() && self.ledger.reset_clusters.contains(&number)
            });
            let (told, lost) = (counters.requests_total.get(), lost.count() as u64);
            assert!(
                (seen..=seen + lost).contains(&told),
                "requests_total of endpoint {at} of cluster {number} is {told}, and it has seen {seen}"
            );
        }
    }
}
