//! What a core tells the control thread of its own accord. Rare: whatever happens with each request is counted instead.

use crate::io::Address;

/// Something that control must hear of at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// An endpoint has failed so many times in a row, as this core sees it.
    FailuresInRow { cluster: String, endpoint: Address, kind: RowKind },
}

/// Which failures in a row reached their threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// 5xx, whoever made them.
    ServerErrors,
    /// 502, 503 and 504.
    GatewayFailures,
    /// Connects, resets and timeouts.
    LocalOriginFailures,
    /// Heartbeats without an answer. One is a row: nothing else could have kept an idle connection from it.
    Heartbeats,
}

/// Takes notices to the control thread.
pub trait NoticeSink {
    /// Never waits; `false` if there is no room.
    fn try_send(&mut self, notice: Notice) -> bool;
}
