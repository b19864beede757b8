//! Connections to a host of several addresses: the next address has its turn when the one before has failed or takes long,
//! the first to be established is used, and the others are closed (RFC 8305, happy eyeballs; Envoy's logical DNS clusters).

use crate::io::{CloseMode, ConnId, Io};
use crate::net::conn::{Conn, Phase, Role};
use crate::net::race::{Part, Race, Racer};
use crate::stream::{StreamKey, Upstream};
use crate::worker::Worker;
use sidering_codecs::registry::CodecOptions;
use sidering_codecs::rpc::PoolMode;

impl<I: Io> Worker<I> {
    /// A connection for the stream is under way.
    pub(super) fn insert_connecting(
        &mut self,
        id: ConnId,
        role: Role,
        key: StreamKey,
        racer: Option<Box<Racer>>,
    ) {
        let protocol = match role {
            Role::Upstream { cluster, .. } => {
                self.clusters.get(cluster as usize).and_then(Option::as_ref).and_then(|known| known.protocol)
            }
            _ => None,
        };
        let mut conn = Conn::new(id, role, Phase::Connecting, self.now);
        conn.stream = Some(key);
        conn.codec = protocol.map(|protocol| (protocol.client)(CodecOptions::default()));
        let is_multiplexed = protocol.is_some_and(|protocol| protocol.pool == PoolMode::Multiplex);
        conn.calls = is_multiplexed.then(Box::default);
        conn.racer = racer;
        self.conns.insert(conn);
        if let Some(stream) = self.streams.get_mut(key) {
            stream.attempt.upstream = Upstream::Connecting(id);
        }
        self.arm_deadline(id);
    }

    /// The connection that leads takes long, or another has failed: the next address gets its turn beside it.
    pub(super) fn try_next_address(&mut self, io: &mut I, leader: ConnId) {
        let Some(conn) = self.conns.get_mut(leader) else { return };
        let (role, Some(key), Some(racer)) = (conn.role, conn.stream, &mut conn.racer) else { return };
        let Some(race) = racer.take_race() else { return };
        let Some((id, mut race)) = self.open_next(io, role, key, race) else { return };
        match id {
            Some(id) => {
                race.older.push(leader);
                self.lead(id, race);
            }
            None => {
                // No room in the cluster, perhaps: another look after as long again.
                if let Some(conn) = self.conns.get_mut(leader) {
                    conn.since = self.now;
                }
                self.lead(leader, race);
            }
        }
    }

    /// Opens a connection to the next address that one can be begun to, if there is one and room for it.
    fn open_next(
        &mut self,
        io: &mut I,
        role: Role,
        key: StreamKey,
        mut race: Race,
    ) -> Option<(Option<ConnId>, Race)> {
        let (Role::Upstream { cluster, endpoint } | Role::TunnelUpstream { cluster, endpoint }) = role else {
            return None;
        };
        let cluster = self.clusters.get_mut(cluster as usize)?.as_mut()?;
        while cluster.has_room()
            && let Some(host) = race.take_next()
        {
            let Ok(id) = io.connect(&host.address, &cluster.config.connect_options) else {
                cluster.counters.connect_failures.add(1);
                continue;
            };
            cluster.on_opened(endpoint);
            let racer = Box::new(Racer { host, part: Part::Trailing });
            self.insert_connecting(id, role, key, Some(racer));
            return Some((Some(id), race));
        }
        Some((None, race))
    }

    /// The connection has the race from now on.
    fn lead(&mut self, id: ConnId, race: Race) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let (Some(racer), Some(key)) = (&mut conn.racer, conn.stream) else { return };
        racer.part = Part::Leading(race);
        if let Some(stream) = self.streams.get_mut(key) {
            stream.attempt.upstream = Upstream::Connecting(id);
        }
        self.arm_deadline(id);
    }

    /// A connection that could not be established is closed, if there are others or further addresses. `false`: it was the
    /// last one, and is still there.
    pub(super) fn goes_on_without(&mut self, io: &mut I, id: ConnId) -> bool {
        let Some(conn) = self.conns.get_mut(id) else { return false };
        let (role, Some(key), Some(racer)) = (conn.role, conn.stream, &mut conn.racer) else { return false };
        let race = match &racer.part {
            Part::Settled => return false,
            Part::Leading(race) if race.older.is_empty() && !race.has_next() => return false,
            Part::Leading(_) => racer.take_race(),
            Part::Trailing => None,
        };
        self.count_connect_failure(role, false);
        self.close_conn(io, id, CloseMode::Graceful);
        let Some(race) = race else {
            self.drop_trailing(io, key, id);
            return true;
        };
        match self.open_next(io, role, key, race) {
            Some((Some(next), race)) => self.lead(next, race),
            Some((None, mut race)) => match race.older.pop() {
                Some(heir) => self.lead(heir, race),
                None => self.fail_connect(io, key, role, false),
            },
            None => {}
        }
        true
    }

    /// One that trailed is gone; whoever leads gets company of the next address.
    fn drop_trailing(&mut self, io: &mut I, key: StreamKey, id: ConnId) {
        let Some(Upstream::Connecting(leader)) = self.streams.get(key).map(|stream| stream.attempt.upstream)
        else {
            return;
        };
        if let Some(conn) = self.conns.get_mut(leader)
            && let Some(racer) = &mut conn.racer
            && let Part::Leading(race) = &mut racer.part
        {
            race.older.retain(|older| *older != id);
            if race.has_next() {
                self.try_next_address(io, leader);
            }
        }
    }

    /// The connection is established: the others are closed.
    pub(super) fn win_race(&mut self, io: &mut I, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let (Some(key), Some(racer)) = (conn.stream, &mut conn.racer) else { return };
        match std::mem::replace(&mut racer.part, Part::Settled) {
            Part::Settled => {}
            Part::Leading(race) => self.close_racers(io, &race.older),
            Part::Trailing => {
                let Some(stream) = self.streams.get_mut(key) else { return };
                let before = std::mem::replace(&mut stream.attempt.upstream, Upstream::Connecting(id));
                let Upstream::Connecting(leader) = before else { return };
                let race = self.conns.get_mut(leader).and_then(|conn| conn.racer.as_mut()?.take_race());
                let mut others = race.map_or(vec![], |race| race.older);
                others.retain(|other| *other != id);
                others.push(leader);
                self.close_racers(io, &others);
            }
        }
    }

    pub(super) fn close_racers(&mut self, io: &mut I, others: &[ConnId]) {
        for other in others {
            self.close_conn(io, *other, CloseMode::Graceful);
        }
    }
}
