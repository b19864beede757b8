//! What changes endpoints leaves everything else alone.

use crate::coverage::Situation;
use crate::engine::Side;
use crate::world::World;
use sidering_dataplane::message::Message;

impl World {
    /// Links to upstreams that a message, of whose endpoints the books know already, is no reason to close.
    pub(crate) fn kept_by(&self, message: &Message) -> Vec<u32> {
        if !matches!(message, Message::Endpoints(_) | Message::Health(_)) {
            return vec![];
        }
        let is_kept = |side| match side {
            Side::Upstream(cluster, endpoint) => {
                let truth = &self.engine.truth.clusters[cluster];
                truth.is_current && truth.is_member[endpoint]
            }
            Side::Downstream(_) => false,
        };
        self.engine.open_conns().filter(|conn| is_kept(conn.side)).map(|conn| conn.link).collect()
    }

    /// They are still there.
    pub(crate) fn check_kept(&mut self, kept: &[u32]) {
        for link in kept {
            let is_closed = self.engine.links[*link as usize].proxy_closed;
            assert!(!is_closed, "link {link} was closed when other endpoints than its own changed");
        }
        self.engine.coverage.meet_times(Situation::ConnectionsSurvived, kept.len() as u64);
    }
}
