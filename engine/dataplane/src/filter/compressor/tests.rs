//! Against Envoy's documentation of the compressor: which answers are compressed, and what becomes of their heads.

use super::*;
use crate::filter::coding::{Coding, Library};
use crate::filter::test_request::{Alone, Asked, compiled};
use sidering_codecs::Edits;

fn config() -> Config {
    let libraries = [Coding::Gzip, Coding::Brotli].map(|coding| Library { coding, level: 1 }).into();
    Config { libraries, ..Config::default() }
}

/// What becomes of an answer: whether it is compressed, the lines it gets, and how many of its own it loses.
fn answer(
    config: &Config,
    accept: &str,
    status: u16,
    length: Option<u64>,
    lines: &[(&str, &str)],
) -> (bool, String, usize) {
    let (filter, _) = compiled(config);
    let mut alone = Alone::new(&filter);
    let headers = [("accept-encoding", accept)];
    alone.ask(&Asked::new("GET", "/", &headers[..usize::from(!accept.is_empty())]));
    let mut fields = Edits::default();
    for (name, value) in lines {
        fields.add(name.as_bytes(), value.as_bytes());
    }
    let (transform, lines, removed) = alone.transform(status, length, fields.added());
    (transform.is_some(), lines, removed)
}

const HTML: (&str, &str) = ("content-type", "text/html; charset=utf-8");

#[test]
fn answers_that_suit_are_compressed_and_say_so() {
    let (is_compressed, lines, removed) = answer(&config(), "br", 200, Some(100), &[HTML]);
    assert!(is_compressed && removed == 0);
    assert_eq!(lines, "vary: Accept-Encoding\r\ncontent-encoding: br\r\n");
    // Vary knows already; a strong ETag becomes a weak one; ranges would be others.
    let fields = [HTML, ("vary", "Cookie, accept-encoding"), ("etag", "\"a\""), ("accept-ranges", "bytes")];
    let (is_compressed, lines, removed) = answer(&config(), "gzip", 404, None, &fields);
    assert_eq!((is_compressed, removed), (true, 2));
    assert_eq!(lines, "etag: W/\"a\"\r\ncontent-encoding: gzip\r\n");
    let fields = [HTML, ("vary", "*"), ("etag", "W/\"a\"")];
    assert_eq!(answer(&config(), "gzip", 200, None, &fields), (true, "content-encoding: gzip\r\n".into(), 0));
}

#[test]
fn others_stay_as_they_are() {
    let etag = Config { disable_on_etag: true, ..config() };
    let off = Config { enabled: false, ..config() };
    for (config, status, length, fields, varies) in [
        (&config(), 200, Some(29), vec![HTML], false),
        (&config(), 206, Some(100), vec![HTML], false),
        (&config(), 200, Some(100), vec![HTML, ("content-range", "bytes 0-99/200")], false),
        (&config(), 200, Some(100), vec![HTML, ("content-encoding", "br")], false),
        (&config(), 200, Some(100), vec![HTML, ("cache-control", "public, No-Transform")], false),
        (&config(), 200, Some(100), vec![("content-type", "image/png")], false),
        (&etag, 200, Some(100), vec![HTML, ("etag", "W/\"a\"")], false),
        (&off, 200, Some(100), vec![HTML], false),
    ] {
        let expected = if varies { "vary: Accept-Encoding\r\n" } else { "" };
        let seen = answer(config, "gzip", status, length, &fields);
        assert_eq!(seen, (false, expected.into(), 0), "{status} {length:?} {fields:?}");
    }
    // The bound of the length, and one without a type.
    assert!(answer(&config(), "gzip", 200, Some(30), &[HTML]).0);
    assert!(answer(&config(), "gzip", 200, Some(30), &[]).0);
    assert!(answer(&config(), "gzip", 200, None, &[("content-type", "Application/JSON")]).0);
    // What suits varies with what clients accept, even if this one accepts nothing.
    for accept in ["", "identity", "deflate"] {
        assert_eq!(
            answer(&config(), accept, 200, None, &[HTML]),
            (false, "vary: Accept-Encoding\r\n".into(), 0)
        );
    }
}

#[test]
fn heads_of_answers_to_head_are_not_touched_and_accept_encoding_can_be_kept_from_upstreams() {
    let (filter, counters) = compiled(&Config { remove_accept_encoding: true, ..config() });
    let mut alone = Alone::new(&filter);
    let asked = Asked::new("HEAD", "/", &[("accept-encoding", "gzip")]);
    alone.ask(&asked);
    let (transform, lines, _) = alone.transform(200, Some(1000), Default::default());
    assert!(transform.is_none() && lines.is_empty());
    assert_eq!(counters.filters.compressor.not_compressed.get(), 0);
    let asked = Asked::new("GET", "/", &[("accept-encoding", "gzip"), ("Accept-Encoding", "br")]);
    asked.with(|request| {
        filter.on_request(request, &mut alone.memory());
        assert_eq!(request.first_value(b"accept-encoding"), None);
    });
}

#[test]
fn the_body_is_compressed_and_counted() {
    let (filter, counters) = compiled(&config());
    let mut alone = Alone::new(&filter);
    alone.ask(&Asked::new("GET", "/", &[("accept-encoding", "gzip")]));
    let mut transform = alone.transform(200, None, Default::default()).0.unwrap();
    let mut out = vec![];
    transform.push(&[b'a'; 10_000], &mut out).unwrap();
    transform.flush(&mut out);
    transform.finish(&mut out).unwrap();
    let counters = &counters.filters.compressor;
    let counted =
        [&counters.compressed, &counters.total_uncompressed_bytes, &counters.total_compressed_bytes];
    assert_eq!(counted.map(Counter::get), [1, 10_000, out.len() as u64]);
    assert!(out.len() < 200);
}
