//! What stands for an endpoint in tables made of hashes: its address as Envoy writes it.

use crate::io::Address;
use twox_hash::XxHash64;

/// `127.0.0.1:80`, `[::1]:80`, or the path of a Unix socket.
pub(super) fn hash_key(address: &Address) -> String {
    match address {
        Address::Ip(address) => address.to_string(),
        Address::Unix(path) => path.to_string_lossy().into_owned(),
    }
}

/// xxHash64, which Envoy hashes header values, too, with (seed 0).
pub fn hash(bytes: &[u8], seed: u64) -> u64 {
    XxHash64::oneshot(seed, bytes)
}
