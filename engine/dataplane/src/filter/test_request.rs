//! Requests for tests of filters.

use super::{Filter, Memory, Parts, RequestView, ResponseView, Settings, StreamFilters, Transform, Verdict};
use crate::io::Time;
use crate::observe::access_log::ResponseFlags;
use crate::observe::counters::ListenerCounters;
use sidering_codecs::{BodyLength, Edits, Fields, Method, RequestHead, Version};
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

/// A request that filters can be asked about.
pub(super) struct Asked {
    method: &'static str,
    path: &'static str,
    fields: Edits,
    pub(super) peer: Option<SocketAddr>,
    pub(super) believes_forwarded_for: bool,
    pub(super) is_forwarded: bool,
    pub(super) random: u64,
    pub(super) now: Time,
}

impl Asked {
    pub(super) fn new(method: &'static str, path: &'static str, headers: &[(&str, &str)]) -> Self {
        let mut fields = Edits::default();
        for (name, value) in headers {
            fields.add(name.as_bytes(), value.as_bytes());
        }
        let peer = Some(([192, 0, 2, 1], 4711).into());
        Asked {
            method,
            path,
            fields,
            peer,
            believes_forwarded_for: true,
            is_forwarded: true,
            random: 1,
            now: Time::default(),
        }
    }

    /// Lends a view of it.
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut RequestView<'_>) -> T) -> T {
        let head = RequestHead {
            rpc: None,
            method: Method::from_bytes(self.method.as_bytes()),
            version: Version::Http11,
            authority: b"host",
            path: self.path.as_bytes(),
            authority_overrides_host: false,
            fields: self.fields.added(),
            body: BodyLength::None,
            upgrade: None,
            expects_continue: false,
        };
        look(&mut RequestView {
            head: &head,
            edits: &mut Edits::default(),
            lines: vec![],
            flags: ResponseFlags::default(),
            peer: self.peer,
            believes_forwarded_for: self.believes_forwarded_for,
            is_forwarded: self.is_forwarded,
            now: self.now,
            random: self.random,
            joined: Cell::default(),
        })
    }
}

/// A filter of this configuration, and what it counts.
pub(super) fn compiled<S: Settings>(config: &S) -> (Rc<dyn Filter>, Arc<ListenerCounters>) {
    let counters = Arc::default();
    let rate_limits = Rc::default();
    let filter =
        config.compile(&Parts { counters: &counters, rate_limits: &rate_limits, codings: &Rc::default() });
    (filter, counters)
}

/// One filter and the one request that it sees.
pub(super) struct Alone {
    filter: Rc<dyn Filter>,
    state: StreamFilters,
}

impl Alone {
    pub(super) fn new(filter: &Rc<dyn Filter>) -> Self {
        let mut state = StreamFilters::default();
        state.begin(0, 1, None);
        Alone { filter: Rc::clone(filter), state }
    }

    pub(super) fn memory(&mut self) -> Memory<'_> {
        self.state.memory(0)
    }

    /// The verdict, and the header lines of the answer.
    pub(super) fn ask(&mut self, asked: &Asked) -> (Verdict, String) {
        let filter = Rc::clone(&self.filter);
        asked.with(|request| {
            let verdict = filter.on_request(request, &mut self.memory());
            (verdict, String::from_utf8(std::mem::take(&mut request.lines)).unwrap())
        })
    }

    pub(super) fn resume(&mut self, asked: &Asked) -> Verdict {
        let filter = Rc::clone(&self.filter);
        asked.with(|request| filter.on_resumed(request, &mut self.memory()))
    }

    /// The lines that the answer gets, and how many of its own it loses.
    pub(super) fn answer(&mut self, fields: Fields<'_>) -> (String, usize) {
        let mut edits = Edits::default();
        let filter = Rc::clone(&self.filter);
        let mut view = ResponseView {
            status: 200,
            fields,
            has_body: false,
            length: None,
            edits: &mut edits,
            now: Time::default(),
        };
        filter.on_response(&mut view, &mut self.memory());
        let removed = (0..fields.len()).filter(|index| edits.is_removed(*index)).count();
        (String::from_utf8(edits.added().bytes().to_vec()).unwrap(), removed)
    }

    /// What becomes of the body of an answer, and of its head as `answer` tells.
    pub(super) fn transform(
        &mut self,
        status: u16,
        length: Option<u64>,
        fields: Fields<'_>,
    ) -> (Option<Box<dyn Transform>>, String, usize) {
        let mut edits = Edits::default();
        let filter = Rc::clone(&self.filter);
        let now = Time::default();
        let mut view = ResponseView { status, fields, has_body: true, length, edits: &mut edits, now };
        let transform = filter.transform(&mut view, &mut self.memory());
        let removed = (0..fields.len()).filter(|index| edits.is_removed(*index)).count();
        (transform, String::from_utf8(edits.added().bytes().to_vec()).unwrap(), removed)
    }

    pub(super) fn end(&mut self) {
        let filter = Rc::clone(&self.filter);
        let end =
            super::EndView { status: 200, is_complete: true, started: Time::default(), now: Time::default() };
        filter.on_end(&end, &mut self.memory());
    }
}
