//! Waiting for a condition with a deadline: the only way in which these tests wait for another process.

use std::time::{Duration, Instant};

/// Far more than anything takes; a test that comes near it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(5);

/// Asks until there is an answer; panics with `what` if there is none in time.
#[track_caller]
pub(crate) fn until<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, ask).unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain for {what}"))
}

/// Asks until there is an answer or `patience` is at its end.
pub(crate) fn within<T>(patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Time that passes because it is what the test is about: a peer that is slow, a reader that stops. Never for waiting.
pub(crate) fn let_pass(duration: Duration) {
    std::thread::sleep(duration);
}
