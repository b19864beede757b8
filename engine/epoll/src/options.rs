//! How large a core's pools and tables may become. Plain data.

use crate::errors::EpollError;

/// Connections at most: an index has 24 bits, so that tokens of listeners lie beyond them.
pub(crate) const INDEX_LIMIT: u32 = 1 << 24;

/// Bounds of one core's engine. The defaults suit a sidecar, and are the ring's.
#[derive(Clone, Debug)]
pub struct EpollOptions {
    /// Bytes of a receive buffer, from 64 to 1 MiB.
    pub slot_bytes: u32,
    /// Receive buffers at most, from 1 to 65,536. When all are in use, receives wait until one is dropped.
    pub slots_max: u32,
    /// Bytes of a receive buffer of connections that receive in bulk; bounds as `slot_bytes`.
    pub bulk_slot_bytes: u32,
    /// Bulk receive buffers at most, up to 65,536; 0 turns bulk mode off.
    pub bulk_slots_max: u32,
    /// Connections at most, up to 2^24. Beyond, connects fail and accepting stops, both with `DescriptorsExhausted`.
    pub connections_max: u32,
    /// Pipes at most for relays whose bytes have left the source and not reached the destination; each costs two
    /// descriptors. Beyond, relays wait for a pipe.
    pub pipes_max: u32,
    /// Events taken in one turn at most, from 1 to 65,536, so that timers get their turn. 12 bytes each.
    pub events_per_turn: usize,
}

impl Default for EpollOptions {
    fn default() -> EpollOptions {
        EpollOptions {
            slot_bytes: 16 * 1024,
            slots_max: 4096,
            bulk_slot_bytes: 64 * 1024,
            bulk_slots_max: 1024,
            connections_max: 1 << 20,
            pipes_max: 512,
            events_per_turn: 512,
        }
    }
}

impl EpollOptions {
    /// The first option outside its bounds.
    pub(crate) fn check(&self) -> Result<(), EpollError> {
        let slot = |value: u32| (64..=1 << 20).contains(&value);
        let count = |value: u32, most: u32| (1..=most).contains(&value);
        let events = u32::try_from(self.events_per_turn).unwrap_or(u32::MAX);
        let checks = [
            ("slot_bytes", self.slot_bytes, slot(self.slot_bytes), "from 64 to 1048576"),
            ("slots_max", self.slots_max, count(self.slots_max, 1 << 16), "from 1 to 65536"),
            ("bulk_slot_bytes", self.bulk_slot_bytes, slot(self.bulk_slot_bytes), "from 64 to 1048576"),
            ("bulk_slots_max", self.bulk_slots_max, self.bulk_slots_max <= 1 << 16, "at most 65536"),
            (
                "connections_max",
                self.connections_max,
                count(self.connections_max, INDEX_LIMIT),
                "from 1 to 16777216",
            ),
            ("pipes_max", self.pipes_max, self.pipes_max >= 1, "at least 1"),
            ("events_per_turn", events, count(events, 1 << 16), "from 1 to 65536"),
        ];
        match checks.into_iter().find(|(_, _, fits, _)| !fits) {
            Some((option, value, _, must)) => Err(EpollError::Option { option, value: value as usize, must }),
            None => Ok(()),
        }
    }
}
