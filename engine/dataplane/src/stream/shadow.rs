//! A mirrored request on its way to the cluster that shadows another one. Plain state; it has no client.

use super::{BodyKey, OwnedHead};
use crate::cluster::{Host, Outcome};
use crate::io::Time;
use std::rc::Rc;

/// Mirrored requests of a core under way at most.
pub const SHADOWS: u32 = 1024;
/// Bytes of bodies that they may hold together.
pub const SHADOW_BYTES: u64 = 16 * 1024 * 1024;

/// One mirrored request. Its connection owns it.
#[derive(Debug)]
pub struct Shadow {
    pub head: Option<Box<OwnedHead>>,
    pub body: Option<BodyKey>,
    pub body_bytes: u64,
    /// The core's key of its cluster.
    pub cluster: u32,
    pub host: Option<Rc<Host>>,
    /// Counted among the endpoint's active requests.
    pub is_at_endpoint: bool,
    pub started: Time,
    pub timeout_ms: u64,
    /// Nobody answers it.
    pub is_one_way: bool,
    /// Of the answer whose head has come; 0 is none.
    pub status: u16,
    /// How it ended, or would if its connection were closed now.
    pub outcome: Outcome,
}

impl Default for Shadow {
    fn default() -> Self {
        Shadow {
            head: None,
            body: None,
            body_bytes: 0,
            cluster: u32::MAX,
            host: None,
            is_at_endpoint: false,
            started: Time::default(),
            timeout_ms: 0,
            is_one_way: false,
            status: 0,
            outcome: Outcome::Abandoned,
        }
    }
}

/// The mirrored requests of one core, counted.
#[derive(Debug, Default)]
pub struct ShadowTotals {
    count: u32,
    bytes: u64,
}

impl ShadowTotals {
    /// Takes a place; `false` if there is none, and the request is not mirrored.
    pub fn begin(&mut self, body_bytes: u64) -> bool {
        let has_room = self.count < SHADOWS && self.bytes + body_bytes <= SHADOW_BYTES;
        if has_room {
            self.count += 1;
            self.bytes += body_bytes;
        }
        has_room
    }

    /// Gives it back.
    pub fn end(&mut self, body_bytes: u64) {
        self.count -= 1;
        self.bytes -= body_bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_there_are_places() {
        let mut totals = ShadowTotals::default();
        let begun = (0..SHADOWS + 1).filter(|_| totals.begin(0)).count();
        assert_eq!(begun, SHADOWS as usize);
        totals.end(0);
        assert!(totals.begin(0) && !totals.begin(0));
    }

    #[test]
    fn as_many_bytes_as_there_is_room() {
        for (more, fits) in [(SHADOW_BYTES - 11, true), (SHADOW_BYTES - 10, true), (SHADOW_BYTES - 9, false)]
        {
            let mut totals = ShadowTotals::default();
            assert!(totals.begin(10));
            assert_eq!(totals.begin(more), fits, "{more}");
            totals.end(10);
            assert!(totals.begin(10 + u64::from(!fits)), "one that was refused took nothing");
        }
    }
}
