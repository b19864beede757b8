//! Compression and decompression in the words of the configuration file.

use crate::json::Json;
use sidering_dataplane::filter::coding::Coding;
use sidering_dataplane::filter::{compressor, decompressor};

pub(super) fn compressor(json: &mut Json, config: &compressor::Config) {
    json.key("enabled").boolean(config.enabled);
    json.key("min_content_length").number(config.min_content_length);
    json.key("content_type").list(&config.content_types, |json, name| json.text(name));
    json.key("disable_on_etag_header").boolean(config.disable_on_etag);
    json.key("remove_accept_encoding_header").boolean(config.remove_accept_encoding);
    json.key("libraries").list(&config.libraries, |json, library| {
        json.object(|json| {
            let level = if library.coding == Coding::Brotli { "quality" } else { "compression_level" };
            json.key(name(library.coding)).object(|json| json.key(level).number(u64::from(library.level)));
        });
    });
}

pub(super) fn decompressor(json: &mut Json, config: &decompressor::Config) {
    json.key("enabled").boolean(config.enabled);
    json.key("libraries").list(&config.libraries, |json, coding| json.text(name(*coding)));
    json.key("ignore_no_transform_header").boolean(config.ignore_no_transform);
    json.key("advertise_accept_encoding").boolean(config.advertise_accept_encoding);
    json.key("max_inflate_ratio").number(config.max_inflate_ratio);
}

/// As the file has it, which names libraries rather than codings.
fn name(coding: Coding) -> &'static str {
    match coding {
        Coding::Gzip => "gzip",
        Coding::Brotli => "brotli",
        Coding::Zstd => "zstd",
    }
}
