//! Compression (Envoy's `compressor`): bodies of answers in the coding that the client likes best.

mod accept;
mod config;

pub use config::Config;

use super::coding::{CodingPool, Encoder, Lent};
use super::transform::Transform;
use super::{Filter, Memory, Parts, RequestView, ResponseView, Settings, Verdict};
use crate::observe::counters::{Counter, ListenerCounters};
use accept::{Choice, choose};
use std::rc::Rc;
use std::sync::Arc;

/// What it counts.
#[derive(Debug, Default)]
pub struct Counters {
    pub compressed: Counter,
    /// Bodies that stay as they are, for whatever reason.
    pub not_compressed: Counter,
    pub no_accept_header: Counter,
    pub header_identity: Counter,
    pub header_not_valid: Counter,
    pub content_length_too_small: Counter,
    /// Bodies that stay as they are because as many as may be are being compressed.
    pub pool_overflow: Counter,
    pub total_uncompressed_bytes: Counter,
    pub total_compressed_bytes: Counter,
}

struct Compressor {
    config: Config,
    pool: Rc<CodingPool>,
    counters: Arc<ListenerCounters>,
}

/// What a request's word says: nothing is to be done, or why not, or with which library (from `LIBRARIES` on).
const NO_HEADER: u64 = 1;
const IDENTITY: u64 = 2;
const NOT_VALID: u64 = 3;
const LIBRARIES: u64 = 4;

impl Settings for Config {
    fn compile(&self, parts: &Parts<'_>) -> Rc<dyn Filter> {
        let (pool, counters) = (Rc::clone(parts.codings), Arc::clone(parts.counters));
        Rc::new(Compressor { config: self.clone(), pool, counters })
    }
}

impl Filter for Compressor {
    fn concerns_calls(&self) -> bool {
        false
    }

    fn on_request(&self, request: &mut RequestView<'_>, memory: &mut Memory<'_>) -> Verdict {
        if !self.config.enabled {
            return Verdict::Continue;
        }
        // The answer to HEAD has no body, and says what its upstream's GET would.
        if request.method() != b"HEAD" {
            let choice = |accepted: &[u8]| match choose(accepted, &self.config.libraries) {
                Choice::Library(at) => LIBRARIES + at as u64,
                Choice::Identity => IDENTITY,
                Choice::Nothing => NOT_VALID,
            };
            *memory.word = request.with_value(b"accept-encoding", |value| value.map_or(NO_HEADER, choice));
        }
        if self.config.remove_accept_encoding {
            request.remove(b"accept-encoding");
        }
        Verdict::Continue
    }

    fn transform(
        &self,
        response: &mut ResponseView<'_>,
        memory: &mut Memory<'_>,
    ) -> Option<Box<dyn Transform>> {
        if *memory.word == 0 {
            return None;
        }
        let transform = self.begin(response, *memory.word);
        let counters = &self.counters.filters.compressor;
        (if transform.is_some() { &counters.compressed } else { &counters.not_compressed }).add(1);
        transform
    }
}

impl Compressor {
    fn begin(&self, response: &mut ResponseView<'_>, word: u64) -> Option<Box<dyn Transform>> {
        let counters = &self.counters.filters.compressor;
        if !self.suits(response) {
            return None;
        }
        // A cache must tell apart what clients accept even where the answer stays as it is.
        vary(response);
        let library = match word {
            NO_HEADER => {
                counters.no_accept_header.add(1);
                None
            }
            IDENTITY => {
                counters.header_identity.add(1);
                None
            }
            NOT_VALID => {
                counters.header_not_valid.add(1);
                None
            }
            word => self.config.libraries.get((word - LIBRARIES) as usize),
        };
        let library = *library?;
        let Some(encoder) = self.pool.encoder(library) else {
            counters.pool_overflow.add(1);
            return None;
        };
        weaken_etag(response);
        // Ranges would be of the body as it was.
        response.remove(b"accept-ranges");
        response.edits.add(b"content-encoding", library.coding.name().as_bytes());
        Some(Box::new(Compressing { encoder, counters: Arc::clone(&self.counters) }))
    }

    /// Whether the answer may be compressed, whoever asks.
    fn suits(&self, response: &ResponseView<'_>) -> bool {
        // Parts of a body are parts of what the client has the rest of.
        if !response.has_body || response.status == 206 || response.has(b"content-range") {
            return false;
        }
        if response.length.is_some_and(|length| length < self.config.min_content_length) {
            self.counters.filters.compressor.content_length_too_small.add(1);
            return false;
        }
        let is_kept = response.has(b"content-encoding")
            || response.lists(b"cache-control", b"no-transform")
            || self.config.disable_on_etag && response.has(b"etag");
        !is_kept && self.suits_type(response)
    }

    fn suits_type(&self, response: &ResponseView<'_>) -> bool {
        response.with_first(b"content-type", |value| {
            value.is_none_or(|value| {
                let end = memchr::memchr(b';', value).unwrap_or(value.len());
                let name = value[..end].trim_ascii();
                self.config.content_types.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
            })
        })
    }
}

fn vary(response: &mut ResponseView<'_>) {
    if !response.lists(b"vary", b"accept-encoding") && !response.lists(b"vary", b"*") {
        response.edits.add(b"vary", b"Accept-Encoding");
    }
}

/// The body is another one, which means the same: so much a weak ETag still says (RFC 9110 section 8.8.1).
fn weaken_etag(response: &mut ResponseView<'_>) {
    let strong = response.with_first(b"etag", |value| {
        value.filter(|value| !value.starts_with(b"W/")).map(|value| [b"W/", value].concat())
    });
    if let Some(weak) = strong {
        response.remove(b"etag");
        response.edits.add(b"etag", &weak);
    }
}

struct Compressing {
    encoder: Lent<Encoder>,
    counters: Arc<ListenerCounters>,
}

impl Compressing {
    fn encode(&mut self, out: &mut Vec<u8>, act: impl FnOnce(&mut Encoder, &mut Vec<u8>)) {
        let before = out.len();
        if let Some(encoder) = self.encoder.get() {
            act(encoder, out);
        }
        self.counters.filters.compressor.total_compressed_bytes.add((out.len() - before) as u64);
    }
}

impl Transform for Compressing {
    fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        self.counters.filters.compressor.total_uncompressed_bytes.add(input.len() as u64);
        self.encode(out, |encoder, out| encoder.push(input, out));
        Ok(())
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        self.encode(out, Encoder::flush);
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), &'static str> {
        self.encode(out, Encoder::finish);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
