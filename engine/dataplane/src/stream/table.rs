//! The streams of one core, by key. Keys carry a generation, so that a stale one finds nothing.

use super::Stream;

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
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[index as usize];
        slot.stream = Some(stream);
        StreamKey { index, generation: slot.generation }
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
