//! Which host of a table has an address. It holds places only, and hashes the addresses that are in the table: of thousands of
//! clusters with an endpoint or two, a copy of each in a map would be the most of the memory. It owns no host.

use crate::io::Address;
use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
use std::hash::BuildHasher;

/// At most one host for an address. `address_of` tells the address of a host that is in it.
#[derive(Debug, Default)]
pub(super) struct AddressIndex(HashTable<u32>);

impl AddressIndex {
    pub(super) fn get<'t>(
        &self,
        address: &Address,
        address_of: impl Fn(u32) -> Option<&'t Address>,
    ) -> Option<u32> {
        self.0.find(hash(address), |host| address_of(*host) == Some(address)).copied()
    }

    /// Takes a host in under its address, in place of whoever had that.
    pub(super) fn insert<'t>(&mut self, host: u32, address_of: impl Fn(u32) -> Option<&'t Address>) {
        let Some(address) = address_of(host) else { return };
        match self.0.find_mut(hash(address), |known| address_of(*known) == Some(address)) {
            Some(known) => *known = host,
            None => {
                let hash_of = |known: &u32| address_of(*known).map_or(0, hash);
                self.0.insert_unique(hash(address), host, hash_of);
            }
        }
    }

    /// Forgets the address.
    pub(super) fn remove<'t>(&mut self, address: &Address, address_of: impl Fn(u32) -> Option<&'t Address>) {
        if let Ok(found) = self.0.find_entry(hash(address), |host| address_of(*host) == Some(address)) {
            found.remove();
        }
    }
}

/// Addresses are the configuration's or a name server's: fewer than would be worth an attack on the hash.
fn hash(address: &Address) -> u64 {
    FxBuildHasher.hash_one(address)
}
