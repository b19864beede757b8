//! Starts and ends the tasks that look for endpoints, so that there is one for each discovery in use. It knows nothing of
//! how they look.

use super::resolver::{LookupFamily, ResolveError, Resolver};
use super::{Discovery, EndpointSource, Found, Outcome, dns, file};
use crate::cores::Event;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use tokio::sync::mpsc::Sender;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_local};

/// Control's end: tells which discoveries are in use.
#[derive(Debug)]
pub(crate) struct Discoverer(watch::Sender<Vec<Arc<Discovery>>>);

impl Discoverer {
    pub(crate) fn new() -> Discoverer {
        Discoverer(watch::Sender::new(vec![]))
    }

    /// From now on these are in use; one that already was, by identity, goes on undisturbed.
    pub(crate) fn follow(&self, discoveries: Vec<Arc<Discovery>>) {
        self.0.send_replace(discoveries);
    }

    #[cfg(test)]
    pub(crate) fn followed(&self) -> Vec<Arc<Discovery>> {
        self.0.borrow().clone()
    }

    /// The supervisor's end.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Vec<Arc<Discovery>>> {
        self.0.subscribe()
    }
}

/// Keeps one task for each discovery in use. Runs until nobody can tell which they are.
pub(crate) async fn supervise(mut in_use: watch::Receiver<Vec<Arc<Discovery>>>, events: Sender<Event>) {
    let mut tasks: HashMap<*const Discovery, Task> = HashMap::new();
    let mut resolvers = Resolvers::default();
    loop {
        let wanted = in_use.borrow_and_update().clone();
        let before = std::mem::take(&mut tasks);
        let mut before: HashMap<_, _> = before.into_iter().collect();
        for discovery in wanted {
            let key = Arc::as_ptr(&discovery);
            let task = before.remove(&key).unwrap_or_else(|| {
                let handle = start(Arc::clone(&discovery), &mut resolvers, events.clone());
                Task { handle, _discovery: discovery }
            });
            tasks.insert(key, task);
        }
        drop(before);
        if in_use.changed().await.is_err() {
            return;
        }
    }
}

/// A task under way; dropped, it ends.
struct Task {
    handle: JoinHandle<()>,
    /// Nobody else gets its address while the task is there.
    _discovery: Arc<Discovery>,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

fn start(discovery: Arc<Discovery>, resolvers: &mut Resolvers, events: Sender<Event>) -> JoinHandle<()> {
    let report = Report::new(Arc::clone(&discovery), events);
    match &discovery.source {
        EndpointSource::Dns(source) => {
            let resolver = resolvers.get(&source.servers, source.family);
            spawn_local(dns::follow(source.clone(), resolver, report))
        }
        EndpointSource::File(path) => spawn_local(file::follow(path.clone(), report)),
    }
}

/// Tells control what was found.
pub(super) struct Report {
    discovery: Arc<Discovery>,
    events: Sender<Event>,
}

impl Report {
    pub(super) fn new(discovery: Arc<Discovery>, events: Sender<Event>) -> Report {
        Report { discovery, events }
    }

    /// Waits where control is behind. No receiver: the process is ending.
    pub(super) async fn tell(&self, outcome: Outcome, is_complete: bool) {
        let found = Found { discovery: Arc::clone(&self.discovery), outcome, is_complete };
        let _ = self.events.send(Event::Found(found)).await;
    }
}

/// Resolvers by what they are asked with: clusters share them.
#[derive(Default)]
struct Resolvers(HashMap<(Vec<SocketAddr>, LookupFamily), Weak<Resolver>>);

impl Resolvers {
    fn get(&mut self, servers: &[SocketAddr], family: LookupFamily) -> Result<Rc<Resolver>, ResolveError> {
        let key = (servers.to_vec(), family);
        if let Some(resolver) = self.0.get(&key).and_then(Weak::upgrade) {
            return Ok(resolver);
        }
        self.0.retain(|_, resolver| resolver.strong_count() > 0);
        let resolver = Rc::new(Resolver::new(servers, family)?);
        self.0.insert(key, Rc::downgrade(&resolver));
        Ok(resolver)
    }
}
