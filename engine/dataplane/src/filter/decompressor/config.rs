//! What decompression is configured with.

use crate::filter::coding::Coding;

/// Which answers are decompressed.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub enabled: bool,
    /// None twice.
    pub libraries: Vec<Coding>,
    /// Also those that say `cache-control: no-transform`.
    pub ignore_no_transform: bool,
    /// Upstreams learn that they may compress, whatever the client accepts.
    pub advertise_accept_encoding: bool,
    /// So many times its size a body may become: 1..=10,000.
    pub max_inflate_ratio: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            enabled: true,
            libraries: vec![],
            ignore_no_transform: false,
            advertise_accept_encoding: true,
            max_inflate_ratio: 100,
        }
    }
}
