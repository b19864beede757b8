//! What a stream remembers of its way through the filters. One box per stream that has any, kept for the next.

use super::Transforms;
use crate::io::Time;

/// The filters of one stream.
#[derive(Debug, Default)]
pub struct StreamFilters {
    /// Which of the chain's rows.
    pub row: u32,
    /// Virtual host and route, as the route table tells them; `None` if no route takes the request.
    pub place: Option<(u32, u32)>,
    /// The filter whose turn is next, on the request's way.
    pub next: usize,
    /// Filters that have been asked about the request.
    pub reached: usize,
    /// When a delayed request goes on.
    pub resumes_at: Option<Time>,
    /// What the answer's body goes through.
    pub body: Transforms,
    words: Vec<u64>,
    text: Vec<u8>,
}

impl StreamFilters {
    /// Begins anew for a request on its way through `filters` filters.
    pub fn begin(&mut self, row: u32, filters: usize, place: Option<(u32, u32)>) {
        self.row = row;
        self.place = place;
        self.next = 0;
        self.reached = 0;
        self.resumes_at = None;
        self.body.clear();
        self.words.clear();
        self.words.resize(filters, 0);
        self.text.clear();
    }

    /// The memory of the filter at this place.
    pub fn memory(&mut self, filter: usize) -> Memory<'_> {
        Memory { word: &mut self.words[filter], text: &mut self.text }
    }
}

/// What one filter remembers of one request: a word of its own, 0 at first, and a text that all filters share.
#[derive(Debug)]
pub struct Memory<'a> {
    /// The filter's own.
    pub word: &'a mut u64,
    text: &'a mut Vec<u8>,
}

impl Memory<'_> {
    /// Keeps a copy of a text, and its place in the word. Texts come from heads, whose length is bounded.
    pub fn keep_text(&mut self, text: &[u8]) {
        let start = self.text.len() as u64;
        self.text.extend_from_slice(text);
        *self.word = start << 32 | self.text.len() as u64;
    }

    /// The text that was kept; empty if none was.
    pub fn text(&self) -> &[u8] {
        let (start, end) = ((*self.word >> 32) as usize, (*self.word & u64::from(u32::MAX)) as usize);
        self.text.get(start..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_filter_remembers_its_own() {
        let mut state = StreamFilters::default();
        state.begin(3, 3, Some((1, 2)));
        state.memory(0).keep_text(b"one");
        *state.memory(1).word = 7;
        state.memory(2).keep_text(b"three");
        assert_eq!(state.memory(0).text(), b"one");
        assert_eq!(state.memory(2).text(), b"three");
        assert_eq!(*state.memory(1).word, 7);
        state.begin(0, 1, None);
        assert_eq!(*state.memory(0).word, 0);
        assert_eq!(state.memory(0).text(), b"");
    }
}
