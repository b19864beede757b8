//! The ring of empty buffers shared with the kernel (IORING_REGISTER_PBUF_RING, Linux 5.19). It owns no buffer and
//! keeps no account of them: that is `group`.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

use crate::mapping::Mapping;
use crate::setup::patiently;

/// One registered buffer ring: a FIFO that we fill and the kernel takes from.
pub(crate) struct BufferRing {
    entries: Mapping,
    mask: u16,
    /// Where the next entry goes; the kernel sees it after `publish`.
    tail: u16,
}

impl BufferRing {
    /// Registers an empty ring of `entries` (a power of two, at most 32,768) as buffer group `group`.
    pub(crate) fn new(ring: &IoUring, group: u16, entries: u16) -> io::Result<BufferRing> {
        assert!(entries.is_power_of_two() && entries <= 1 << 15);
        let mapping = Mapping::new(usize::from(entries) * size_of::<BufRingEntry>())?;
        let address = mapping.base().as_ptr() as u64;
        // SAFETY: the mapping is page-aligned, zeroed, large enough for `entries`, and outlives the registration: the
        // ring's owner closes the io_uring before it drops its buffer rings, or leaks them.
        patiently(|| unsafe { ring.submitter().register_buf_ring_with_flags(address, entries, group, 0) })?;
        Ok(BufferRing { entries: mapping, mask: entries - 1, tail: 0 })
    }

    /// Puts a buffer at the end, unseen by the kernel until `publish`.
    ///
    /// # Safety
    /// `bytes` bytes from `address` must stay mapped and unread by us until the kernel reports buffer `id` as used.
    /// No more than the ring's entries may be in it.
    #[inline]
    pub(crate) unsafe fn put(&mut self, id: u16, address: NonNull<u8>, bytes: u32) {
        let base = self.entries.base().cast::<BufRingEntry>();
        // SAFETY: the masked index lies within the mapping, and the kernel does not read an entry at or after the
        // published tail. Field by field, because the first entry's last field is the ring's tail.
        unsafe {
            let entry = &mut *base.add(usize::from(self.tail & self.mask)).as_ptr();
            entry.set_addr(address.as_ptr() as u64);
            entry.set_len(bytes);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel everything put so far.
    #[inline]
    pub(crate) fn publish(&mut self) {
        // SAFETY: the tail lies within the mapping, is aligned, and is only accessed atomically while the ring is
        // registered (the kernel reads it, we write it). Release: entries become visible before the tail.
        unsafe {
            let tail = BufRingEntry::tail(self.entries.base().cast::<BufRingEntry>().as_ptr());
            AtomicU16::from_ptr(tail.cast_mut()).store(self.tail, Ordering::Release);
        }
    }
}
