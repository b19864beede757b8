//! How large a core's ring and its pools may become. Plain data.

use crate::errors::RingError;
use crate::ring::{BULK_PUBLISHED_MAX, SMALL_PUBLISHED_MAX};
use crate::setup::SetupLevel;
use crate::token::INDEX_LIMIT;

/// Bounds of one core's ring. The defaults suit a sidecar: idle, it holds some 200 KiB for its queues and no buffer.
#[derive(Clone, Debug)]
pub struct RingOptions {
    /// Entries of the submission queue, 64 bytes each: a power of two from 8 to 32,768. More operations than that in
    /// one turn are submitted in several parts.
    pub entries: u32,
    /// Entries of the completion queue, 16 bytes each: a power of two from `entries` to 65,536. When it overflows the
    /// kernel keeps completions aside and ends multishot operations, which are then started anew.
    pub completion_entries: u32,
    /// Bytes of a receive buffer: a multiple of 4,096 up to 1 MiB.
    pub slot_bytes: u32,
    /// Receive buffers at most, from 1 to 65,536. When all are in use, receives wait until one is dropped.
    pub slots_max: u32,
    /// Bytes of a receive buffer of connections that receive in bulk; bounds as `slot_bytes`.
    pub bulk_slot_bytes: u32,
    /// Bulk receive buffers at most, up to 65,536; 0 turns bulk mode off.
    pub bulk_slots_max: u32,
    /// Connections at most, up to 2^24. Beyond, connects fail and accepting stops, both with
    /// `DescriptorsExhausted`.
    pub connections_max: u32,
    /// Pipes at most for relays whose bytes have left the source and not reached the destination; each costs two
    /// descriptors. Beyond, relays wait for a pipe.
    pub pipes_max: u32,
    /// Connections with something to send up to which a turn sends by system calls rather than through the ring: with
    /// few, the turn that each completion costs is dearer than the call. 0 turns it off.
    pub direct_sends_max: usize,
    /// Completions handled in one turn at most, so that timers get their turn.
    pub completions_per_turn: usize,
    /// The best set of setup flags to try; what the system refuses is followed by the next. Tests ask for modest ones.
    pub best_setup: SetupLevel,
    /// Whether the ring is tied to the operations in use, as far as the kernel can do that.
    pub restricts: bool,
}

impl Default for RingOptions {
    fn default() -> RingOptions {
        RingOptions {
            entries: 1024,
            completion_entries: 8192,
            slot_bytes: 16 * 1024,
            slots_max: 4096,
            bulk_slot_bytes: 64 * 1024,
            bulk_slots_max: 1024,
            connections_max: 1 << 20,
            pipes_max: 512,
            direct_sends_max: 2,
            completions_per_turn: 1024,
            best_setup: SetupLevel::Deferred,
            restricts: true,
        }
    }
}

impl RingOptions {
    /// Bytes of a core's ring and its buffer rings that kernels count as locked memory where they count it at all
    /// (RLIMIT_MEMLOCK; measured on Linux 6.18, for processes without CAP_IPC_LOCK). Buffers are not among them.
    #[must_use]
    pub fn locked_bytes(&self) -> u64 {
        const PAGE_BYTES: u64 = 4096;
        const HEAD_BYTES: u64 = 320;
        let pages = |bytes: u64| bytes.next_multiple_of(PAGE_BYTES);
        let entries = u64::from(self.entries);
        let queues = HEAD_BYTES + 16 * u64::from(self.completion_entries) + 4 * entries;
        let buffers =
            |slots: u32, published: u32| pages(16 * u64::from(slots.clamp(1, published).next_power_of_two()));
        let [small, bulk] =
            [(self.slots_max, SMALL_PUBLISHED_MAX), (self.bulk_slots_max, BULK_PUBLISHED_MAX)];
        pages(64 * entries) + pages(queues) + buffers(small.0, small.1) + buffers(bulk.0, bulk.1)
    }

    /// The first option outside its bounds.
    pub(crate) fn check(&self) -> Result<(), RingError> {
        let queue =
            |value: u32, least: u32, most: u32| value.is_power_of_two() && (least..=most).contains(&value);
        let slot = |value: u32| value.is_multiple_of(4096) && (4096..=1 << 20).contains(&value);
        let checks = [
            ("entries", self.entries, queue(self.entries, 8, 1 << 15), "a power of two from 8 to 32768"),
            (
                "completion_entries",
                self.completion_entries,
                queue(self.completion_entries, self.entries, 1 << 16),
                "a power of two from `entries` to 65536",
            ),
            ("slot_bytes", self.slot_bytes, slot(self.slot_bytes), "a multiple of 4096 up to 1 MiB"),
            ("slots_max", self.slots_max, (1..=1 << 16).contains(&self.slots_max), "from 1 to 65536"),
            (
                "bulk_slot_bytes",
                self.bulk_slot_bytes,
                slot(self.bulk_slot_bytes),
                "a multiple of 4096 up to 1 MiB",
            ),
            ("bulk_slots_max", self.bulk_slots_max, self.bulk_slots_max <= 1 << 16, "at most 65536"),
            (
                "connections_max",
                self.connections_max,
                (1..=INDEX_LIMIT).contains(&self.connections_max),
                "from 1 to 16777216",
            ),
            ("pipes_max", self.pipes_max, self.pipes_max >= 1, "at least 1"),
        ];
        for (option, value, fits, must) in checks {
            if !fits {
                return Err(RingError::Option { option, value: value as usize, must });
            }
        }
        if self.completions_per_turn == 0 {
            return Err(RingError::Option { option: "completions_per_turn", value: 0, must: "at least 1" });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found with `prlimit --memlock`: a worker starts with this much and not with 4 KiB less.
    #[test]
    fn a_default_ring_counts_as_220_kib() {
        assert_eq!(RingOptions::default().locked_bytes(), 220 * 1024);
    }
}
