//! Request bodies of one core that may have to be sent once more: views of receive slots, and copies of what would keep a slot
//! busy for little. It knows bounds, not why a body is kept.

use crate::buffers::{BufferPool, KEPT_BYTES};
use crate::io::{Chunk, Segment};
use std::rc::Rc;

/// Pieces shorter than this are copied, so that their slot goes home.
pub const COPIED_BELOW_BYTES: usize = 4096;
/// All bodies of a core together.
pub const BODIES_BYTES: u64 = 64 * 1024 * 1024;
/// Lists of pieces longer than this give their memory back.
const SPARE_PIECES: usize = 128;

/// A body in its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyKey(u32);

/// The bodies of one core.
#[derive(Debug)]
pub struct BodyTable<C> {
    bodies: Vec<Body<C>>,
    free: Vec<u32>,
    /// Pieces held by reference: as many slots at most.
    slots: u32,
    slots_max: u32,
    bytes: u64,
}

#[derive(Debug)]
struct Body<C> {
    pieces: Vec<Segment<C>>,
    /// How many there are that will release it.
    users: u32,
    slots: u32,
    bytes: u64,
}

impl<C: Chunk> BodyTable<C> {
    /// A table that keeps at most so many receive slots from going home.
    pub fn new(slots_max: u32) -> Self {
        BodyTable { bodies: vec![], free: vec![], slots: 0, slots_max, bytes: 0 }
    }

    /// Begins an empty body. It is to be released.
    pub fn begin(&mut self) -> BodyKey {
        let at = self.free.pop().unwrap_or_else(|| {
            self.bodies.push(Body { pieces: vec![], users: 0, slots: 0, bytes: 0 });
            self.bodies.len() as u32 - 1
        });
        self.bodies[at as usize].users = 1;
        BodyKey(at)
    }

    /// Whether this many more bytes may be kept of the body, of which there may be `most_bytes`.
    pub fn has_room(&self, key: BodyKey, more_bytes: usize, most_bytes: u32) -> bool {
        let more = more_bytes as u64;
        self.bodies[key.0 as usize].bytes + more <= u64::from(most_bytes) && self.bytes + more <= BODIES_BYTES
    }

    /// Keeps `part`, a part of `chunk`, behind what is there; tells how many bytes were copied for it.
    pub fn keep(&mut self, key: BodyKey, chunk: &C, part: &[u8], buffers: &mut BufferPool) -> usize {
        let body = &mut self.bodies[key.0 as usize];
        body.bytes += part.len() as u64;
        self.bytes += part.len() as u64;
        if part.len() >= COPIED_BELOW_BYTES && self.slots < self.slots_max {
            self.slots += 1;
            body.slots += 1;
            body.pieces.push(Segment::Chunk(chunk.subset(part)));
            return 0;
        }
        self.copy(key, part, buffers);
        part.len()
    }

    /// Keeps a copy of `part` behind what is there.
    pub fn keep_copy(&mut self, key: BodyKey, part: &[u8], buffers: &mut BufferPool) {
        self.bodies[key.0 as usize].bytes += part.len() as u64;
        self.bytes += part.len() as u64;
        self.copy(key, part, buffers);
    }

    fn copy(&mut self, key: BodyKey, part: &[u8], buffers: &mut BufferPool) {
        let body = &mut self.bodies[key.0 as usize];
        let mut rest = part;
        while !rest.is_empty() {
            // What is on its way to an endpoint has another owner, and stays as it is.
            let open = match body.pieces.last_mut() {
                Some(Segment::Bytes(bytes)) => Rc::get_mut(bytes).filter(|bytes| bytes.len() < KEPT_BYTES),
                _ => None,
            };
            let Some(open) = open else {
                body.pieces.push(Segment::Bytes(buffers.take()));
                continue;
            };
            let (now, later) = rest.split_at(rest.len().min(KEPT_BYTES - open.len()));
            open.extend_from_slice(now);
            rest = later;
        }
    }

    /// Somebody else needs the body, too, and will release it. Tells its length.
    pub fn share(&mut self, key: BodyKey) -> u64 {
        let body = &mut self.bodies[key.0 as usize];
        body.users += 1;
        body.bytes
    }

    /// What is kept of the body, in order.
    pub fn pieces(&self, key: BodyKey) -> &[Segment<C>] {
        &self.bodies[key.0 as usize].pieces
    }

    /// Appends all that is kept of the body.
    pub fn copy_to(&self, key: BodyKey, out: &mut Vec<u8>) {
        out.reserve(self.bodies[key.0 as usize].bytes as usize);
        for piece in self.pieces(key) {
            out.extend_from_slice(piece);
        }
    }

    /// The body is not needed any more by one of those who did.
    pub fn release(&mut self, key: BodyKey, buffers: &mut BufferPool) {
        let body = &mut self.bodies[key.0 as usize];
        body.users -= 1;
        if body.users > 0 {
            return;
        }
        self.slots -= std::mem::take(&mut body.slots);
        self.bytes -= std::mem::take(&mut body.bytes);
        for piece in body.pieces.drain(..) {
            if let Segment::Bytes(bytes) = piece {
                buffers.remember(&bytes);
            }
        }
        body.pieces.shrink_to(SPARE_PIECES);
        self.free.push(key.0);
    }

    /// How many bodies there are.
    pub fn len(&self) -> usize {
        self.bodies.len() - self.free.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::Deref;

    #[derive(Debug, Clone)]
    struct Slot(Rc<Vec<u8>>, usize, usize);

    impl Deref for Slot {
        type Target = [u8];

        fn deref(&self) -> &[u8] {
            &self.0[self.1..self.2]
        }
    }

    impl Chunk for Slot {
        fn subset(&self, part: &[u8]) -> Self {
            let start = part.as_ptr() as usize - self.0.as_ptr() as usize;
            Slot(Rc::clone(&self.0), start, start + part.len())
        }
    }

    fn slot(length: usize) -> Slot {
        Slot(Rc::new((0..length).map(|at| at as u8).collect()), 0, length)
    }

    fn whole(table: &BodyTable<Slot>, key: BodyKey) -> Vec<u8> {
        table.pieces(key).iter().flat_map(|piece| piece.to_vec()).collect()
    }

    #[test]
    fn long_pieces_are_held_and_short_ones_copied_into_one() {
        let (mut table, mut buffers) = (BodyTable::new(8), BufferPool::default());
        let key = table.begin();
        for (length, held) in
            [(COPIED_BELOW_BYTES - 1, 1), (1, 1), (COPIED_BELOW_BYTES, 2), (COPIED_BELOW_BYTES + 1, 2)]
        {
            let chunk = slot(length);
            let copied = table.keep(key, &chunk, &chunk, &mut buffers);
            assert_eq!(copied, if held == 1 { length } else { 0 }, "{length}");
            assert_eq!(Rc::strong_count(&chunk.0), held, "{length}");
        }
        assert_eq!(table.pieces(key).len(), 3);
        assert_eq!(whole(&table, key).len(), 3 * COPIED_BELOW_BYTES + 1);
        table.release(key, &mut buffers);
        assert!(table.is_empty() && table.slots == 0 && table.bytes == 0);
    }

    #[test]
    fn beyond_its_slots_it_copies() {
        let (mut table, mut buffers) = (BodyTable::new(2), BufferPool::default());
        let key = table.begin();
        let chunks: Vec<Slot> = (0..4).map(|_| slot(3 * KEPT_BYTES + 5)).collect();
        for chunk in &chunks {
            table.keep(key, chunk, chunk, &mut buffers);
        }
        let held = chunks.iter().map(|chunk| Rc::strong_count(&chunk.0) - 1);
        assert_eq!(held.collect::<Vec<_>>(), [1, 1, 0, 0]);
        let sent: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.to_vec()).collect();
        assert_eq!(whole(&table, key), sent);
        table.release(key, &mut buffers);
        let again = table.begin();
        table.keep(again, &chunks[3], &chunks[3], &mut buffers);
        assert_eq!(Rc::strong_count(&chunks[3].0), 2, "its slots have come home");
    }

    #[test]
    fn a_copy_on_its_way_is_not_added_to() {
        let (mut table, mut buffers) = (BodyTable::new(0), BufferPool::default());
        let (key, chunk) = (table.begin(), slot(10));
        table.keep(key, &chunk, &chunk, &mut buffers);
        let on_its_way = table.pieces(key)[0].clone();
        table.keep(key, &chunk, &chunk, &mut buffers);
        assert_eq!((on_its_way.len(), table.pieces(key).len(), whole(&table, key).len()), (10, 2, 20));
    }

    #[test]
    fn a_body_has_its_bound_and_all_of_them_have_one() {
        let (mut table, mut buffers) = (BodyTable::new(u32::MAX), BufferPool::default());
        let (key, chunk) = (table.begin(), slot(6));
        table.keep(key, &chunk, &chunk, &mut buffers);
        assert_eq!([3, 4, 5].map(|more| table.has_room(key, more, 10)), [true, true, false]);
        let (other, large) = (table.begin(), slot(1024 * 1024));
        for _ in 0..63 {
            table.keep(other, &large, &large, &mut buffers);
        }
        let left = (BODIES_BYTES - 6 - (63 << 20)) as usize;
        let room = [left - 1, left, left + 1].map(|more| table.has_room(other, more, u32::MAX));
        assert_eq!(room, [true, true, false]);
        table.release(key, &mut buffers);
        assert!(table.has_room(other, left + 1, u32::MAX));
    }
}
