//! Anonymous memory straight from the system, page-aligned, zeroed, given back in parts. It knows nothing of buffers.

use std::io;
use std::ptr::NonNull;

use crate::poison::unpoison;

/// A private anonymous mapping; pages are backed when first touched. Unmapped on drop.
pub(crate) struct Mapping {
    base: NonNull<u8>,
    bytes: usize,
}

impl Mapping {
    /// Maps `bytes` (rounded up by the system to whole pages), without huge pages: a slot touched should cost that
    /// slot's memory, not 2 MiB.
    pub(crate) fn new(bytes: usize) -> io::Result<Mapping> {
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches no memory of ours.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base =
            NonNull::new(base.cast::<u8>()).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
        // SAFETY: the range is the mapping just made. A refusal changes nothing that matters (kernels without huge
        // pages answer EINVAL).
        unsafe { libc::madvise(base.as_ptr().cast(), bytes, libc::MADV_NOHUGEPAGE) };
        Ok(Mapping { base, bytes })
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Gives the pages of a range back to the system; they read as zeroes afterwards. The range must be whole pages
    /// and nobody may need its contents.
    pub(crate) fn give_back(&self, offset: usize, bytes: usize) {
        assert!(
            offset.checked_add(bytes).is_some_and(|end| end <= self.bytes),
            "range outside of the mapping"
        );
        // SAFETY: the range lies within this mapping. Contents are only ever handed out as chunks, and the callers
        // name ranges without one.
        unsafe { libc::madvise(self.base.as_ptr().add(offset).cast(), bytes, libc::MADV_DONTNEED) };
    }

    /// Bytes of the mapping that are backed by memory now (mincore). For tests and diagnosis: it walks every page.
    pub(crate) fn resident_bytes(&self) -> usize {
        const PAGE_BYTES: usize = 4096;
        let mut pages = vec![0_u8; self.bytes.div_ceil(PAGE_BYTES)];
        // SAFETY: `pages` has one byte for each page of the mapping, which is what mincore fills.
        let result = unsafe { libc::mincore(self.base.as_ptr().cast(), self.bytes, pages.as_mut_ptr()) };
        if result != 0 {
            return 0;
        }
        pages.iter().filter(|page| **page & 1 != 0).count() * PAGE_BYTES
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // The address may become somebody else's.
        unpoison(self.base, self.bytes);
        // SAFETY: the range is ours alone. Owners drop a mapping only when neither a chunk nor the kernel refers to it
        // (see `SlotPool` and `BufferRing`).
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_backed_when_touched_and_returned_on_demand() {
        let mapping = Mapping::new(16 * 4096).unwrap();
        assert_eq!(mapping.resident_bytes(), 0);
        for page in 0..4 {
            // SAFETY: within the mapping, which nothing else refers to.
            unsafe { mapping.base().add(page * 4096).as_ptr().write_volatile(1) };
        }
        assert_eq!(mapping.resident_bytes(), 4 * 4096);
        mapping.give_back(0, 2 * 4096);
        assert_eq!(mapping.resident_bytes(), 2 * 4096);
    }
}
