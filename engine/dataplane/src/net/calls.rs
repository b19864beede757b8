//! The exchanges of a connection that carries many at a time. It knows their names, not what they mean.

use crate::io::Time;
use crate::stream::StreamKey;
use sidering_codecs::StreamId;
use std::collections::VecDeque;

/// Which stream each exchange of a connection belongs to, by the codec's name for it.
#[derive(Debug, Default)]
pub struct Calls {
    /// By [`StreamId::slot`]; as many as were ever under way at a time.
    slots: Vec<Option<(u32, StreamKey)>>,
    len: usize,
    /// The stream whose message is under way on the outgoing side: until it is whole no other may begin.
    pub sender: Option<StreamKey>,
    /// When the peer took something last (downstream).
    pub taken: Time,
    /// Streams with an answer that waits for its turn on the outgoing side (downstream). Each at most once, so that they are
    /// no more than the exchanges.
    pub waiting: VecDeque<StreamKey>,
    /// Where messages begin and end that nobody answers and that may not have left, among all that the connection sends (upstream).
    /// No more than there is to send.
    unanswered: VecDeque<(u64, u64)>,
}

impl Calls {
    /// Enters an exchange.
    #[inline]
    pub fn insert(&mut self, exchange: StreamId, stream: StreamKey) {
        let slot = exchange.slot() as usize;
        if slot >= self.slots.len() {
            self.slots.resize(slot + 1, None);
        }
        let before = self.slots[slot].replace((exchange.generation(), stream));
        debug_assert!(before.is_none(), "the codec gave out a slot twice");
        self.len += 1;
    }

    /// The stream of an exchange.
    #[inline]
    pub fn get(&self, exchange: StreamId) -> Option<StreamKey> {
        let (generation, stream) = (*self.slots.get(exchange.slot() as usize)?)?;
        (generation == exchange.generation()).then_some(stream)
    }

    /// The exchange is over.
    #[inline]
    pub fn remove(&mut self, exchange: StreamId) {
        let Some(stream) = self.get(exchange) else { return };
        self.slots[exchange.slot() as usize] = None;
        self.len -= 1;
        if self.sender == Some(stream) {
            self.sender = None;
        }
    }

    /// A message that nobody answers is written.
    pub fn note_unanswered(&mut self, begin: u64, end: u64) {
        self.unanswered.push_back((begin, end));
    }

    /// So many bytes have left: messages before are of no interest any more.
    pub fn forget_unanswered(&mut self, taken: u64) {
        while self.unanswered.front().is_some_and(|(_, end)| *end <= taken) {
            self.unanswered.pop_front();
        }
    }

    /// Where messages that nobody answers begin of which nothing in front of `position` is a part.
    pub fn unanswered_from(&self, position: u64) -> Vec<u64> {
        self.unanswered.iter().map(|(begin, _)| *begin).filter(|begin| *begin >= position).collect()
    }

    /// How many exchanges are under way.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The streams of all exchanges.
    pub fn streams(&self) -> impl Iterator<Item = StreamKey> + '_ {
        self.slots.iter().flatten().map(|(_, stream)| *stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::{Stream, StreamTable};
    use crate::{io::ConnId, io::Time, net::listener::CoreListener};

    #[test]
    fn an_exchange_is_found_by_its_own_name_alone() {
        let mut streams = StreamTable::default();
        let id = ConnId { index: 0, generation: 0 };
        let mut key =
            || streams.insert(Stream::new(CoreListener::gone(), id, Time::default(), Time::default()));
        let (first, second) = (key(), key());
        let mut calls = Calls::default();
        calls.insert(StreamId::of_slot(3, 1), first);
        calls.sender = Some(first);
        assert_eq!(calls.get(StreamId::of_slot(3, 1)), Some(first));
        assert_eq!(calls.get(StreamId::of_slot(3, 2)), None);
        assert_eq!(calls.get(StreamId::of_slot(9, 1)), None);
        calls.remove(StreamId::of_slot(3, 2));
        assert_eq!((calls.len(), calls.sender), (1, Some(first)));
        calls.remove(StreamId::of_slot(3, 1));
        assert_eq!((calls.is_empty(), calls.sender), (true, None));
        calls.insert(StreamId::of_slot(3, 2), second);
        assert_eq!(calls.streams().collect::<Vec<_>>(), [second]);
    }

    #[test]
    fn a_message_that_nobody_answers_is_known_until_its_last_byte_has_left() {
        let mut calls = Calls::default();
        calls.note_unanswered(0, 10);
        calls.note_unanswered(15, 20);
        for (taken, from, expected) in
            [(9, 0, &[0, 15][..]), (9, 1, &[15]), (10, 0, &[15]), (19, 16, &[]), (20, 0, &[])]
        {
            calls.forget_unanswered(taken);
            assert_eq!(calls.unanswered_from(from), expected, "{taken} {from}");
        }
    }
}
