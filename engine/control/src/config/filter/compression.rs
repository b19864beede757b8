//! Reads compression and decompression.

use super::super::problem::Problems;
use super::super::section::{Section, choice, list, text};
use super::super::tree::{Tree, Value};
use sidering_dataplane::filter::FilterConfig;
use sidering_dataplane::filter::coding::{Coding, Library};
use sidering_dataplane::filter::compressor::Config as Compressor;
use sidering_dataplane::filter::decompressor::Config as Decompressor;

/// A library by its key, the key of its level, which levels there are, and the one it has unless told otherwise.
type Known = (&'static str, Coding, &'static str, std::ops::RangeInclusive<u64>, u64);

const LIBRARIES: [Known; 3] = [
    ("gzip", Coding::Gzip, "compression_level", 1..=9, 6),
    // Higher ones cost many times as much for a few per cent: for files that are compressed once.
    ("brotli", Coding::Brotli, "quality", 0..=11, 3),
    ("zstd", Coding::Zstd, "compression_level", 1..=22, 3),
];
const NAMES: &str = "gzip, brotli, zstd";

pub(super) fn read_compressor(section: &mut Section<'_>, _workers: u32) -> FilterConfig {
    let problems = section.problems;
    let default = Compressor::default();
    let enabled = section.boolean("enabled", default.enabled);
    let min_content_length =
        section.size_bytes("min_content_length", 1..=u64::from(u32::MAX), default.min_content_length);
    let content_types = section.find("content_type").map(|tree| content_types(tree, problems));
    let disable_on_etag = section.boolean("disable_on_etag_header", default.disable_on_etag);
    let remove_accept_encoding =
        section.boolean("remove_accept_encoding_header", default.remove_accept_encoding);
    let libraries =
        section.require("libraries", &format!("a list of {NAMES}, each with its settings or {{}}"));
    let libraries = libraries.map_or(vec![], |tree| libraries_of(tree, problems));
    section.later(&["request_direction_config", "response_direction_config", "choose_first"]);
    FilterConfig::Compressor(Box::new(Compressor {
        enabled,
        min_content_length,
        content_types: content_types.unwrap_or(default.content_types),
        disable_on_etag,
        remove_accept_encoding,
        libraries,
    }))
}

fn content_types(tree: &Tree, problems: &Problems) -> Vec<String> {
    let name = |tree| {
        let given = text(tree, "a media type such as text/html", problems)?;
        if !given.contains('/') || given.contains([';', ' ', '*']) {
            let expected = "a media type such as text/html, without parameters";
            problems.error(tree.place, format!("{} is no media type", tree.describe()), expected);
        }
        Some(given.to_ascii_lowercase())
    };
    list(tree, "media types", problems).iter().filter_map(name).collect()
}

fn libraries_of(tree: &Tree, problems: &Problems) -> Vec<Library> {
    let mut libraries: Vec<Library> = vec![];
    for item in list(tree, "libraries", problems) {
        let Some(library) = library(item, problems) else { continue };
        if libraries.iter().any(|known| known.coding == library.coding) {
            problems.error(item.place, "the same library once more", "each library once");
        }
        libraries.push(library);
    }
    libraries
}

fn library(tree: &Tree, problems: &Problems) -> Option<Library> {
    let mut section = Section::open("a library", tree, problems);
    let mut found = None;
    for (key, coding, level, levels, default) in LIBRARIES {
        let Some(inner) = section.find(key) else { continue };
        let mut settings = Section::open("a library", inner, problems);
        let level = settings.integer(level, levels, default) as u32;
        settings.later(&["window_bits", "memory_level", "chunk_size", "compression_strategy"]);
        settings.finish();
        if found.is_some() {
            problems.error(tree.place, "two libraries in one item", "one library each");
        }
        found = Some(Library { coding, level });
    }
    if matches!(&tree.value, Value::Mapping(entries) if entries.is_empty()) {
        problems.error(
            tree.place,
            "an item without a library",
            format!("one of {NAMES}, such as gzip: {{}}"),
        );
    }
    section.finish();
    found
}

pub(super) fn read_decompressor(section: &mut Section<'_>, _workers: u32) -> FilterConfig {
    let problems = section.problems;
    let default = Decompressor::default();
    let enabled = section.boolean("enabled", default.enabled);
    let ignore_no_transform = section.boolean("ignore_no_transform_header", default.ignore_no_transform);
    let advertise_accept_encoding =
        section.boolean("advertise_accept_encoding", default.advertise_accept_encoding);
    let max_inflate_ratio = section.integer("max_inflate_ratio", 1..=10_000, default.max_inflate_ratio);
    let names: Vec<_> = LIBRARIES.iter().map(|(name, coding, ..)| (*name, *coding)).collect();
    let mut libraries: Vec<Coding> = vec![];
    let tree = section.require("libraries", &format!("a list of {NAMES}"));
    for item in tree.map_or(&[][..], |tree| list(tree, NAMES, problems)) {
        let Some(coding) = choice(item, &names, &[], problems) else { continue };
        if libraries.contains(&coding) {
            problems.error(item.place, "the same library once more", "each library once");
        }
        libraries.push(coding);
    }
    section.later(&["request_direction_config", "response_direction_config"]);
    FilterConfig::Decompressor(Box::new(Decompressor {
        enabled,
        libraries,
        ignore_no_transform,
        advertise_accept_encoding,
        max_inflate_ratio,
    }))
}
