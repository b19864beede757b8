//! The streams of one core, by key. Keys carry a generation, so that a stale one finds nothing.

use super::Stream;
use crate::io::{ConnId, Time};
use crate::net::listener::CoreListener;
use std::rc::Rc;

/// Names a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct StreamKey {
    index: u32,
    generation: u32,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    stream: Option<Stream>,
}

/// Streams by key. Their number is bounded by the connections', one each on HTTP/1.
#[derive(Default)]
pub struct StreamTable {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl StreamTable {
    /// Enters a stream.
    pub fn insert(&mut self, stream: Stream) -> StreamKey {
        let (key, place) = self.place();
        *place = Some(stream);
        key
    }

    /// Enters a stream that is made where it stays: it is large, and not moved.
    #[inline]
    pub fn insert_new(
        &mut self,
        listener: Rc<CoreListener>,
        downstream: ConnId,
        started: Time,
        now: Time,
    ) -> (StreamKey, &mut Stream) {
        let (key, place) = self.place();
        (key, place.insert(Stream::new(listener, downstream, started, now)))
    }

    fn place(&mut self) -> (StreamKey, &mut Option<Stream>) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[index as usize];
        (StreamKey { index, generation: slot.generation }, &mut slot.stream)
    }

    /// The stream, if it still is.
    pub fn get(&self, key: StreamKey) -> Option<&Stream> {
        let slot = self.slots.get(key.index as usize)?;
        if slot.generation == key.generation { slot.stream.as_ref() } else { None }
    }

    /// The stream, to change it.
    pub fn get_mut(&mut self, key: StreamKey) -> Option<&mut Stream> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation == key.generation { slot.stream.as_mut() } else { None }
    }

    /// Drops the stream where it is: it is large, and not moved.
    pub fn remove(&mut self, key: StreamKey) {
        let Some(slot) = self.slots.get_mut(key.index as usize) else { return };
        if slot.generation == key.generation && slot.stream.is_some() {
            slot.stream = None;
            slot.generation = slot.generation.wrapping_add(1);
            self.free.push(key.index);
        }
    }

    /// How many streams there are.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
