//! Which listeners are open under which number, across configurations. It opens sockets through [`Cores`] and keeps
//! none of them.

use crate::config::is_port_zero;
use crate::cores::{Cores, Opened};
use sidering_dataplane::config::Snapshot;
use sidering_dataplane::io::{Address, ListenerId};
use std::collections::HashMap;

/// What makes two listeners of two configurations the same one: the address, and where the system picks the port
/// the name too.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    address: Address,
    name: Option<String>,
}

#[derive(Debug, Clone)]
struct Entry {
    id: ListenerId,
    bound: Address,
}

/// The listeners in use.
#[derive(Debug, Default)]
pub(crate) struct OpenListeners {
    entries: HashMap<Key, Entry>,
    next: u32,
}

/// Listeners of a configuration that is about to be applied.
#[derive(Debug)]
pub(crate) struct Prepared {
    entries: HashMap<Key, Entry>,
    next: u32,
    /// Those that were opened for it. Dropped, they are closed again.
    pub(crate) opened: Vec<(ListenerId, Opened)>,
}

impl OpenListeners {
    /// Gives each listener of `snapshot` its number and real address, opening what is not open. All or nothing: on
    /// errors (all of them) nothing stays open.
    pub(crate) fn prepare(
        &self,
        snapshot: &mut Snapshot,
        cores: &mut dyn Cores,
    ) -> Result<Prepared, Vec<String>> {
        let mut prepared = Prepared { entries: HashMap::new(), next: self.next, opened: vec![] };
        let mut errors = vec![];
        for listener in &mut snapshot.listeners {
            let name = is_port_zero(&listener.address).then(|| listener.name.clone());
            let key = Key { address: listener.address.clone(), name };
            let entry = match self.entries.get(&key) {
                Some(entry) => entry.clone(),
                None => match cores.open(&listener.address) {
                    Ok(opened) => {
                        let entry = Entry { id: ListenerId(prepared.next), bound: opened.address.clone() };
                        prepared.next += 1;
                        prepared.opened.push((entry.id, opened));
                        entry
                    }
                    Err(error) => {
                        errors.push(format!("listener `{}`: {error}", listener.name));
                        continue;
                    }
                },
            };
            listener.id = entry.id;
            listener.address = entry.bound.clone();
            prepared.entries.insert(key, entry);
        }
        if errors.is_empty() { Ok(prepared) } else { Err(errors) }
    }

    /// From now on these are the listeners in use. Their new sockets are handed out.
    pub(crate) fn adopt(&mut self, prepared: Prepared) -> Vec<(ListenerId, Opened)> {
        self.entries = prepared.entries;
        self.next = prepared.next;
        prepared.opened
    }
}
