//! One core's data plane with an engine in memory, asked one request after the other. It decides nothing: what comes out
//! is what the worker did.

use super::ExplainError;
use super::engine::{Endpoints, Engine};
use super::peer::{Exchange, Peer};
use super::question::Question;
use crate::stats::Ledger;
use sidering_dataplane::config::{ListenerKind, Snapshot};
use sidering_dataplane::io::{Completion, ConnId, Machine, Time};
use sidering_dataplane::message::Message;
use sidering_dataplane::observe::access_log::{AccessRecord, RecordSink};
use sidering_dataplane::worker::{Worker, WorkerOptions};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// So many completions and timers end every request; retries with back-offs need some dozens.
const STEPS: u32 = 100_000;

/// What became of a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Outcome {
    pub(super) status: u16,
    pub(super) route_line: u32,
    pub(super) cluster: Option<usize>,
    pub(super) flags: Vec<&'static str>,
    pub(super) details: String,
    pub(super) delay_ms: u64,
    pub(super) answer: Vec<(String, String)>,
    pub(super) body: String,
    pub(super) exchanges: Vec<Exchange>,
}

impl Outcome {
    /// Whether the answer is one that a route has.
    pub(super) fn is_configured(&self) -> bool {
        self.details == "direct_response"
    }

    /// Whether it was refused before any route was asked.
    pub(super) fn is_unrouted(&self) -> bool {
        self.route_line == 0 && self.details != "route_not_found" && !self.flags.contains(&"NR")
    }
}

#[derive(Debug, Clone, Default)]
struct Records(Rc<RefCell<Vec<u8>>>);

impl RecordSink for Records {
    fn try_write(&mut self, record: &[u8]) -> bool {
        self.0.borrow_mut().extend_from_slice(record);
        true
    }
}

pub(super) struct Lab {
    snapshot: Arc<Snapshot>,
    worker: Worker<Engine>,
    engine: Engine,
    records: Records,
    now: Time,
}

impl Lab {
    /// A core that has just got the configuration.
    pub(super) fn new(snapshot: &Arc<Snapshot>, question: &Question) -> Lab {
        let mut snapshot = Snapshot::clone(snapshot);
        // Their records tell what was chosen.
        snapshot.access_log = Some(snapshot.access_log.unwrap_or_default());
        snapshot.version = 1;
        let snapshot = Arc::new(snapshot);
        let (records, mut ledger) = (Records::default(), Ledger::new(1));
        let worker = Worker::new(WorkerOptions {
            core: 0,
            counters: Arc::clone(&ledger.cores()[0].core),
            access_log: Some(Box::new(records.clone())),
            reports: None,
            notices: None,
            seed: question.world.random,
            neighbours: None,
            kept_slots_max: 0,
        });
        let endpoints = Endpoints {
            clusters: snapshot.clusters.clone().into(),
            down: question.world.down.clone(),
            answers: question.world.answers.clone(),
            asked: question.protocol(),
            exchanges: vec![],
        };
        let engine = Engine::new(question.world.source, endpoints);
        let updates = ledger.apply(&snapshot);
        let mut lab = Lab { snapshot, worker, engine, records, now: Time { micros: 1_000_000 } };
        for update in updates {
            lab.worker.handle_message(&mut lab.engine, lab.now, Message::Apply(update));
        }
        lab
    }

    /// A client connects to the listener of this index, asks, and hears the answer.
    pub(super) fn ask(&mut self, listener: usize, question: &Question) -> Result<Outcome, ExplainError> {
        let bytes = question.bytes();
        let config = &self.snapshot.listeners[listener];
        let protocol = match &config.kind {
            ListenerKind::Http(_) => question.protocol(),
            ListenerKind::Tcp { .. } => None,
        };
        let id = config.id;
        let (peer, bytes) = Peer::client(protocol, bytes);
        let client = self.engine.client(peer, bytes);
        let began = self.now;
        self.records.0.borrow_mut().clear();
        self.engine.take_exchanges();
        self.complete(Completion::Accepted { listener: id, conn: client });
        for _ in 0..STEPS {
            if let Some(mut outcome) = self.recorded() {
                outcome.delay_ms = self.now.micros_since(began) / 1000;
                (outcome.answer, outcome.body) = self.engine.heard(client);
                outcome.exchanges = self.engine.take_exchanges();
                self.leave(client);
                return Ok(outcome);
            }
            self.step(question)?;
        }
        Err(ExplainError::Endless(STEPS))
    }

    /// The next thing that happens; time passes only if nothing else does.
    fn step(&mut self, question: &Question) -> Result<(), ExplainError> {
        if let Some(completion) = self.engine.next_completion() {
            self.complete(completion);
        } else if question.is_tunnel() && self.engine.is_connected() {
            self.engine.end(None);
        } else {
            let Some(deadline) = self.worker.next_deadline() else { return Err(ExplainError::Endless(0)) };
            self.now = deadline.max(self.now);
            self.worker.handle_turn(&mut self.engine, self.now);
        }
        Ok(())
    }

    /// The client goes, and what it leaves is tidied up.
    fn leave(&mut self, client: ConnId) {
        self.engine.end(Some(client));
        for _ in 0..STEPS {
            let Some(completion) = self.engine.next_completion() else { return };
            self.complete(completion);
        }
    }

    fn complete(&mut self, completion: Completion<super::engine::Bytes>) {
        self.worker.handle_completion(&mut self.engine, self.now, completion);
        self.worker.handle_turn(&mut self.engine, self.now);
    }

    fn recorded(&self) -> Option<Outcome> {
        let records = self.records.0.borrow();
        let (record, _) = AccessRecord::decode(&records)?;
        Some(Outcome {
            status: record.status,
            route_line: record.route_line,
            cluster: (record.cluster != u32::MAX).then_some(record.cluster as usize),
            flags: record.flags.names().collect(),
            details: String::from_utf8_lossy(record.details).into_owned(),
            ..Outcome::default()
        })
    }
}
