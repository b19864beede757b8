//! What a concurrency limit is configured with.

/// How many requests may be under way at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// On all cores together: 1..=2^32 - 1. 0: any number, where only virtual hosts or routes limit.
    pub max_concurrency: u64,
    /// 400..=599.
    pub status: u16,
    /// The cores that share it.
    pub cores: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config { max_concurrency: 0, status: 503, cores: 1 }
    }
}
