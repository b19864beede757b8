//! What compression is configured with.

use crate::filter::coding::Library;

/// Which answers are compressed, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub enabled: bool,
    /// Shorter bodies stay as they are; those whose length is not known are compressed.
    pub min_content_length: u64,
    /// Lower-case, without parameters.
    pub content_types: Vec<String>,
    /// Answers with an ETag stay as they are; else it becomes a weak one.
    pub disable_on_etag: bool,
    /// Upstreams do not learn what the client accepts, and so compress nothing themselves.
    pub remove_accept_encoding: bool,
    /// The first one is taken where a client accepts anything. None twice.
    pub libraries: Vec<Library>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            enabled: true,
            min_content_length: 30,
            content_types: CONTENT_TYPES.iter().map(|name| (*name).to_owned()).collect(),
            disable_on_etag: false,
            remove_accept_encoding: false,
            libraries: vec![],
        }
    }
}

/// As Envoy has it.
const CONTENT_TYPES: [&str; 18] = [
    "text/html",
    "text/plain",
    "text/css",
    "application/javascript",
    "application/x-javascript",
    "text/javascript",
    "text/x-javascript",
    "text/ecmascript",
    "text/js",
    "text/jscript",
    "text/x-js",
    "application/ecmascript",
    "application/x-json",
    "application/xml",
    "application/json",
    "image/svg+xml",
    "text/xml",
    "application/xhtml+xml",
];
