//! What the machine tells of endpoints that fail is so.

use crate::peers::exchange::Kind;
use crate::plan::Mode;
use crate::world::World;
use sidering_dataplane::observe::counters::Counter;
use sidering_dataplane::observe::notice::{Notice, NoticeSink, RowKind};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// Notices that are kept between two turns: few, so that there is no room now and then.
const ROOM: usize = 2;

/// What was told and not heard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notices {
    waiting: Rc<RefCell<Vec<Notice>>>,
    refused: Rc<Cell<u64>>,
    /// Rows told, by cluster and endpoint.
    rows: HashMap<(usize, usize, RowName), u64>,
}

type RowName = &'static str;

impl Notices {
    /// The machine's end of it.
    pub(crate) fn sink(&self) -> Box<dyn NoticeSink> {
        Box::new(Sink { waiting: Rc::clone(&self.waiting), refused: Rc::clone(&self.refused) })
    }
}

struct Sink {
    waiting: Rc<RefCell<Vec<Notice>>>,
    refused: Rc<Cell<u64>>,
}

impl NoticeSink for Sink {
    fn try_send(&mut self, notice: Notice) -> bool {
        let has_room = self.waiting.borrow().len() < ROOM;
        if has_room {
            self.waiting.borrow_mut().push(notice);
        } else {
            self.refused.set(self.refused.get() + 1);
        }
        has_room
    }
}

impl World {
    /// Takes what was told: an endpoint has failed as often as all rows of its kind come to.
    pub(crate) fn check_notices(&mut self) -> Vec<Notice> {
        let waiting = self.oracle.notices.waiting.take();
        for Notice::FailuresInRow { cluster, endpoint, kind } in &waiting {
            let known = self.engine.truth.endpoint(endpoint).expect("an outlier that is no endpoint");
            let (number, at) = (self.engine.truth.clusters[known.0].cluster, known.1);
            assert_eq!(*cluster, format!("c{number}"), "the cluster of the outlier {endpoint}");
            let counters = &self.oracle.endpoints[number][at];
            if *kind == RowKind::Heartbeats {
                let missed = self.oracle.clusters[number].heartbeats_missed.get();
                assert!(missed > 0, "missed heartbeats of cluster {number} are told of, and none was missed");
                assert!(!self.plan.is_calm, "heartbeats of cluster {number} are missed in a calm run");
                continue;
            }
            let outliers = self.plan.outliers.expect("an outlier is told of, and nobody asked");
            let (name, failed) = match kind {
                RowKind::ServerErrors => ("server errors", counters.results_failed.get()),
                RowKind::GatewayFailures => ("gateway failures", counters.results_failed.get()),
                RowKind::LocalOriginFailures => {
                    assert!(outliers.splits, "failures of local origin are told of, and not to be apart");
                    ("failures of local origin", counters.local_origin_failed.get())
                }
                RowKind::Heartbeats => continue,
            };
            let rows = self.oracle.notices.rows.entry((number, at, name)).or_default();
            *rows += 1;
            let least = *rows * u64::from(outliers.in_row);
            assert!(
                failed >= least,
                "{rows} rows of {name} of endpoint {at} of cluster {number} are {failed}"
            );
        }
        waiting
    }

    /// What endpoints have answered is what was counted, where nothing goes wrong. At the end of a run.
    pub(super) fn check_results(&self) {
        let (dropped, refused) = (self.oracle.core.notices_dropped.get(), self.oracle.notices.refused.get());
        assert_eq!(dropped, refused, "notices that found no room");
        for (number, endpoints) in self.oracle.endpoints.iter().enumerate() {
            for (at, counters) in endpoints.iter().enumerate() {
                let told = [&counters.results, &counters.results_failed].map(Counter::get);
                assert!(self.plan.outliers.is_some() || told == [0; 2], "results nobody asked for: {told:?}");
                // Connects that fail are counted as answers, too, unless they are apart.
                // So are attempts that took too long, whatever came of them.
                let is_calm = self.plan.mode == Mode::Calm && !self.plan.hedges();
                let is_clear = is_calm && !self.plan.temper.first_is_down;
                if self.plan.outliers.is_none() || !is_clear {
                    continue;
                }
                let failed = self.ledger.requests.iter().map(|request| {
                    let is_answered = !matches!(request.exchange.kind, Kind::Connect | Kind::OneWay);
                    let is_failure = request.exchange.status >= 500 && is_answered;
                    let here = |link: u32| self.engine.links[link as usize].cluster == Some((number, at));
                    let sights = request.sights.iter().filter(|sight| is_failure && here(sight.link));
                    sights.count() as u64
                });
                let failed: u64 = failed.sum();
                assert_eq!(told[1], failed, "failures counted at endpoint {at} of cluster {number}");
            }
        }
    }

    /// Whether the requests of a cluster find nobody, before and after anything changes.
    pub(crate) fn note_unserved(&mut self) {
        for known in self.engine.truth.clusters.iter().filter(|known| known.serves_nobody()) {
            self.oracle.unserved_until[known.cluster] = self.engine.now;
        }
    }

    /// Nobody is said to be there only where nobody was.
    pub(super) fn check_unserved(&self, tag: u32, details: &str, start_micros: u64) {
        let number = self.ledger.get(tag).exchange.cluster;
        let clusters = &self.engine.truth.clusters;
        // A tunnel may go elsewhere, and a configuration that was replaced is as it was.
        let is_clear = self.ledger.get(tag).exchange.kind != Kind::Connect
            && clusters.iter().filter(|known| known.cluster == number).count() == 1;
        if details != "no_healthy_upstream" || !is_clear {
            return;
        }
        let is_so = clusters.iter().any(|known| known.cluster == number && known.serves_nobody());
        let was_so = self.oracle.unserved_until[number] >= start_micros;
        assert!(is_so || was_so, "request {tag} finds nobody in cluster {number}, which has had somebody");
    }
}
