//! Sees to it that memory goes back to the system when much of it is not needed any more. It frees nothing itself.
//!
//! mimalloc keeps what was freed for a second (its `purge_delay`), and looks for what has been kept that long only when
//! somebody asks it for more or a thread ends. A proxy that has read its configuration does neither for hours. So whoever
//! leaves much behind does its work on a thread of its own, or has one end a little later.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// A little more than mimalloc keeps what was freed.
const KEPT: Duration = Duration::from_millis(1_100);

/// A thread is waiting for its end. What is freed meanwhile goes along.
static IS_DUE: AtomicBool = AtomicBool::new(false);

/// Does the work on a thread of its own, so that what it leaves behind lies apart from what others use.
pub(crate) fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let done = thread::scope(|scope| scope.spawn(work).join());
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Much was freed, or will be at once: it goes back to the system soon. Never more than one thread waits for that.
pub(crate) fn give_back_soon() {
    if IS_DUE.swap(true, Ordering::AcqRel) {
        return;
    }
    let waiting = thread::Builder::new().name("garbage".to_owned()).spawn(|| {
        thread::sleep(KEPT);
        IS_DUE.store(false, Ordering::Release);
        // A thread that never had memory has none to look through.
        drop(std::hint::black_box(vec![0_u8; 64]));
    });
    if waiting.is_err() {
        // Memory is kept a little longer: until next time.
        IS_DUE.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting() -> usize {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|name| name.trim_end() == "garbage").count()
    }

    #[test]
    fn at_most_one_thread_waits() {
        for _ in 0..3 {
            give_back_soon();
        }
        // A thread names itself, and so a little after it was begun.
        while waiting() == 0 {
            thread::yield_now();
        }
        assert_eq!(waiting(), 1);
    }

    #[test]
    fn what_is_done_apart_is_handed_back_and_its_panic_goes_on() {
        assert_eq!(apart(|| 7), 7);
        let panic = std::panic::catch_unwind(|| apart(|| panic!("apart"))).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"apart"));
    }
}
