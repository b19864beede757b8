//! Decompression (Envoy's `decompressor`): bodies of answers go to the client without the coding that their upstream gave
//! them. What becomes too large for its size is cut off.

mod config;

pub use config::Config;

use super::coding::{Coding, CodingError, CodingPool, Decoder, Lent};
use super::transform::Transform;
use super::{Filter, Memory, Parts, RequestView, ResponseView, Settings, Verdict};
use crate::observe::counters::{Counter, ListenerCounters};
use std::rc::Rc;
use std::sync::Arc;

/// What it counts.
#[derive(Debug, Default)]
pub struct Counters {
    pub decompressed: Counter,
    pub not_decompressed: Counter,
    /// Bodies that were broken, or too large for their size.
    pub errors: Counter,
    /// Bodies that stay as they are because as many as may be are being decompressed.
    pub pool_overflow: Counter,
    pub total_compressed_bytes: Counter,
    pub total_uncompressed_bytes: Counter,
}

struct Decompressor {
    config: Config,
    pool: Rc<CodingPool>,
    counters: Arc<ListenerCounters>,
}

/// Set in the word of a request whose answer has a body.
const WANTS_BODY: u64 = 1;

impl Settings for Config {
    fn compile(&self, parts: &Parts<'_>) -> Rc<dyn Filter> {
        let (pool, counters) = (Rc::clone(parts.codings), Arc::clone(parts.counters));
        Rc::new(Decompressor { config: self.clone(), pool, counters })
    }
}

impl Filter for Decompressor {
    fn concerns_calls(&self) -> bool {
        false
    }

    fn on_request(&self, request: &mut RequestView<'_>, memory: &mut Memory<'_>) -> Verdict {
        if !self.config.enabled {
            return Verdict::Continue;
        }
        if request.method() != b"HEAD" {
            *memory.word = WANTS_BODY;
        }
        if self.config.advertise_accept_encoding {
            self.advertise(request);
        }
        Verdict::Continue
    }

    fn transform(
        &self,
        response: &mut ResponseView<'_>,
        memory: &mut Memory<'_>,
    ) -> Option<Box<dyn Transform>> {
        if *memory.word != WANTS_BODY || !response.has_body {
            return None;
        }
        let transform = self.begin(response);
        let counters = &self.counters.filters.decompressor;
        (if transform.is_some() { &counters.decompressed } else { &counters.not_decompressed }).add(1);
        transform
    }
}

impl Decompressor {
    /// Names the codings in Accept-Encoding, behind what is there.
    fn advertise(&self, request: &mut RequestView<'_>) {
        let named = request.with_value(b"accept-encoding", |value| {
            let mut text = value.unwrap_or_default().to_vec();
            for coding in &self.config.libraries {
                let accepts = |entry: &[u8]| coding.is_named(entry.trim_ascii());
                if !text.split(|&byte| byte == b',').any(accepts) {
                    let comma = if text.is_empty() { "" } else { "," };
                    text.extend_from_slice(comma.as_bytes());
                    text.extend_from_slice(coding.name().as_bytes());
                }
            }
            text
        });
        request.remove(b"accept-encoding");
        request.edits.add(b"accept-encoding", &named);
    }

    fn begin(&self, response: &mut ResponseView<'_>) -> Option<Box<dyn Transform>> {
        if response.status == 206 || response.has(b"content-range") {
            return None;
        }
        if !self.config.ignore_no_transform && response.lists(b"cache-control", b"no-transform") {
            return None;
        }
        let (coding, inner) = response.with_first(b"content-encoding", |value| self.outermost(value?))?;
        let Some(decoder) = self.pool.decoder(coding, self.config.max_inflate_ratio) else {
            self.counters.filters.decompressor.pool_overflow.add(1);
            return None;
        };
        response.remove(b"content-encoding");
        if !inner.is_empty() {
            response.edits.add(b"content-encoding", &inner);
        }
        Some(Box::new(Decompressing { decoder, counters: Arc::clone(&self.counters) }))
    }

    /// The coding that was applied last, and those beneath it.
    fn outermost(&self, value: &[u8]) -> Option<(Coding, Vec<u8>)> {
        let (inner, last) = match memchr::memrchr(b',', value) {
            Some(comma) => (value[..comma].trim_ascii(), &value[comma + 1..]),
            None => (&b""[..], value),
        };
        let coding = self.config.libraries.iter().find(|coding| coding.is_named(last.trim_ascii()))?;
        Some((*coding, inner.to_vec()))
    }
}

struct Decompressing {
    decoder: Lent<Decoder>,
    counters: Arc<ListenerCounters>,
}

impl Decompressing {
    fn decode(
        &mut self,
        out: &mut Vec<u8>,
        act: impl FnOnce(&mut Decoder, &mut Vec<u8>) -> Result<(), CodingError>,
    ) -> Result<(), &'static str> {
        let counters = &self.counters.filters.decompressor;
        let before = out.len();
        let outcome = self.decoder.get().map_or(Ok(()), |decoder| act(decoder, out));
        counters.total_uncompressed_bytes.add((out.len() - before) as u64);
        outcome.map_err(|error| {
            counters.errors.add(1);
            match error {
                CodingError::Broken => "decompression_failed",
                CodingError::TooLarge => "decompression_ratio_exceeded",
            }
        })
    }
}

impl Transform for Decompressing {
    fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        self.counters.filters.decompressor.total_compressed_bytes.add(input.len() as u64);
        self.decode(out, |decoder, out| decoder.push(input, out))
    }

    /// Nothing is held back that could be told.
    fn flush(&mut self, _: &mut Vec<u8>) {}

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), &'static str> {
        self.decode(out, Decoder::finish)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::coding::{Encoder, Library};
    use crate::filter::test_request::{Alone, Asked, compiled};
    use sidering_codecs::Edits;

    fn config() -> Config {
        Config { libraries: vec![Coding::Gzip, Coding::Zstd], ..Config::default() }
    }

    fn answer(
        config: &Config,
        status: u16,
        lines: &[(&str, &str)],
    ) -> (Option<Box<dyn Transform>>, String, usize) {
        let mut alone = Alone::new(&compiled(config).0);
        alone.ask(&Asked::new("GET", "/", &[]));
        let mut fields = Edits::default();
        for (name, value) in lines {
            fields.add(name.as_bytes(), value.as_bytes());
        }
        alone.transform(status, Some(100), fields.added())
    }

    #[test]
    fn which_answers_are_decompressed() {
        let gzip = ("content-encoding", "gzip");
        let ignoring = Config { ignore_no_transform: true, ..config() };
        let off = Config { enabled: false, ..config() };
        let no_transform = [gzip, ("cache-control", "no-transform")];
        for (config, status, lines, expected) in [
            (&config(), 200, &[gzip][..], Some("")),
            (&config(), 404, &[("content-encoding", "X-Gzip")], Some("")),
            (&config(), 200, &[("content-encoding", "br, zstd")], Some("content-encoding: br\r\n")),
            (&config(), 200, &[("content-encoding", "gzip, br")], None),
            (&config(), 200, &[("content-encoding", "br")], None),
            (&config(), 200, &[], None),
            (&config(), 206, &[gzip], None),
            (&config(), 200, &no_transform, None),
            (&ignoring, 200, &no_transform, Some("")),
            (&off, 200, &[gzip], None),
        ] {
            let (transform, added, removed) = answer(config, status, lines);
            let seen = transform.map(|_| added.as_str());
            assert_eq!(seen, expected, "{status} {lines:?}");
            assert_eq!(removed, usize::from(expected.is_some()));
        }
    }

    #[test]
    fn upstreams_learn_that_they_may_compress() {
        for (accepted, expected) in [
            (&[][..], "gzip,zstd"),
            (&[("accept-encoding", "br")], "br,gzip,zstd"),
            (&[("accept-encoding", "zstd, br"), ("accept-encoding", "gzip")], "zstd, br,gzip"),
        ] {
            let (filter, _) = compiled(&config());
            let mut alone = Alone::new(&filter);
            Asked::new("GET", "/", accepted).with(|request| {
                filter.on_request(request, &mut alone.memory());
                let added = request.edits.added();
                assert_eq!(
                    added.find_by_name(b"accept-encoding").map(|field| field.value),
                    Some(expected.as_bytes())
                );
                assert_eq!(request.first_value(b"accept-encoding"), None, "the old one is gone");
            });
        }
    }

    #[test]
    fn a_bomb_is_cut_off() {
        let mut bomb = vec![];
        let mut encoder = Encoder::new(Library { coding: Coding::Gzip, level: 9 }).unwrap();
        encoder.push(&vec![0; 8 << 20], &mut bomb);
        encoder.finish(&mut bomb);
        let (transform, _, _) = answer(&config(), 200, &[("content-encoding", "gzip")]);
        let mut out = vec![];
        let outcome = transform.unwrap().push(&bomb, &mut out);
        assert_eq!(outcome, Err("decompression_ratio_exceeded"));
        assert!(out.len() <= bomb.len() * 100 + 64 * 1024);
    }
}
