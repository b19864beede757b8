//! Tells the address sanitizer which memory is nobody's to touch: slots that are the kernel's or at home lie in a mapping of
//! our own, about which it knows nothing by itself. Without it (`scripts/test asan` builds with it) this does nothing.

use std::ptr::NonNull;

/// Whoever reads or writes these bytes from now on, other than the kernel, is stopped.
#[inline]
pub(crate) fn poison(start: NonNull<u8>, bytes: usize) {
    #[cfg(sidering_asan)]
    // SAFETY: the sanitizer's notes on the range are changed, not the range; callers name ranges of live mappings.
    unsafe {
        __asan_poison_memory_region(start.as_ptr().cast(), bytes);
    }
    let _ = (start, bytes);
}

/// These bytes are somebody's again.
#[inline]
pub(crate) fn unpoison(start: NonNull<u8>, bytes: usize) {
    #[cfg(sidering_asan)]
    // SAFETY: as above.
    unsafe {
        __asan_unpoison_memory_region(start.as_ptr().cast(), bytes);
    }
    let _ = (start, bytes);
}

#[cfg(sidering_asan)]
unsafe extern "C" {
    fn __asan_poison_memory_region(start: *const libc::c_void, bytes: usize);
    fn __asan_unpoison_memory_region(start: *const libc::c_void, bytes: usize);
}

#[cfg(all(test, sidering_asan))]
mod tests {
    use crate::slot::SlotPool;
    use std::process::Command;

    /// Set in the process that reads what it may not.
    const READS: &str = "SIDERING_TEST_READS_A_SLOT_AT_HOME";

    #[test]
    fn who_reads_a_slot_that_is_not_out_is_stopped() {
        if std::env::var_os(READS).is_some() {
            let pool = SlotPool::new(2, 4096).unwrap();
            // SAFETY: the memory is mapped, which is all that reading it takes; that it is nobody's is the point.
            let byte = unsafe { pool.address(1).as_ptr().read_volatile() };
            panic!("read {byte}");
        }
        let mut command = Command::new(std::env::current_exe().unwrap());
        let output = command.args(["who_reads_a_slot"]).env(READS, "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("use-after-poison"), "{said}");
    }
}
