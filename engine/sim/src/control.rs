//! The control thread's part: what it tells the machine in the course of a run, and what it does when the machine has told it of
//! an endpoint that fails.

use crate::agenda::Event;
use crate::coverage::Situation;
use crate::journal::Who;
use crate::world::{Mail, World};
use sidering_dataplane::config::ClusterIndex;
use sidering_dataplane::message::{EndpointsUpdate, HealthChange, HealthUpdate, Message};
use sidering_dataplane::observe::notice::Notice;

/// How long an ejection lasts.
const EJECTION_MICROS: (usize, usize) = (1_000, 2_000_000);

/// What the control thread does, and when.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Control {
    Reload,
    Drain,
    /// Ejections are over.
    Readmit,
    Stop,
}

impl World {
    pub(crate) fn control(&mut self) {
        let Some((_, control)) = self.controls.pop() else { return };
        self.engine.mark(Who::World, "control", u32::MAX, control as u64);
        let is_busy = self.oracle.core.streams_active.get() > 0;
        match control {
            Control::Reload if self.engine.choices.chance(35) => {
                self.reloads += 1;
                if is_busy {
                    self.engine.meet(Situation::EndpointsChanged);
                }
                self.change_endpoints();
            }
            Control::Reload if !self.plan.is_calm && self.engine.choices.chance(30) => {
                self.reloads += 1;
                if is_busy {
                    self.engine.meet(Situation::HealthChanged);
                }
                self.change_health();
            }
            Control::Reload => {
                self.reloads += 1;
                let had_second = self.shape.has_second;
                self.shape.change(&mut self.engine.choices);
                if is_busy {
                    self.engine.meet(Situation::Reloaded);
                }
                if had_second && !self.shape.has_second {
                    self.engine.meet(Situation::ListenerRemoved);
                }
                self.apply();
            }
            Control::Drain => {
                self.is_draining = true;
                self.oracle.drained_at = Some(self.engine.now);
                if is_busy {
                    self.engine.meet(Situation::DrainInMidRequest);
                }
                self.mail.push(Mail::Message(Message::Drain));
            }
            Control::Readmit => self.readmit(),
            Control::Stop => {
                self.was_stopped = true;
                if is_busy {
                    self.engine.meet(Situation::Stopped);
                }
                self.mail.push(Mail::Message(Message::Stop));
            }
        }
    }

    /// Tells the machine of other endpoints of a cluster.
    fn change_endpoints(&mut self) {
        let number = self.shape.change_endpoints(&mut self.engine.choices);
        let endpoints = self.shape.clusters[number].endpoints_of(number).collect();
        let counters = self.oracle.endpoint_counters_for(&self.shape, number);
        let update = EndpointsUpdate { cluster: ClusterIndex(number as u32), endpoints, counters };
        let members = self.shape.memberships(&self.engine.truth);
        self.mail.push(Mail::Members(Message::Endpoints(update), members));
        self.engine.is_ready = true;
    }

    /// Tells the machine of endpoints of a cluster whose health is another.
    fn change_health(&mut self) {
        let (number, changes) = self.shape.change_health(&mut self.engine.choices);
        self.tell_health(number, changes);
    }

    /// What the machine has told of endpoints that fail. Where something may go wrong, most of them are ejected for a while.
    pub(crate) fn hear_notices(&mut self) {
        for Notice::FailuresInRow { endpoint, .. } in self.check_notices() {
            if self.plan.is_calm || self.engine.choices.chance(30) {
                continue;
            }
            let Some((number, change)) = self.shape.eject(&endpoint) else { continue };
            self.engine.mark(Who::World, "ejects an endpoint of cluster", u32::MAX, number as u64);
            self.engine.meet(Situation::Ejected);
            self.tell_health(number, vec![change]);
            let (least, most) = EJECTION_MICROS;
            let readmitted_at = self.engine.now + self.engine.choices.between(least, most) as u64;
            self.controls.push((readmitted_at, Control::Readmit));
            self.controls.sort_unstable_by(|one, other| other.cmp(one));
            self.engine.agenda.add(readmitted_at, Event::Control);
        }
    }

    fn readmit(&mut self) {
        for (number, changes) in self.shape.readmit() {
            self.engine.meet(Situation::Readmitted);
            self.tell_health(number, changes);
        }
    }

    fn tell_health(&mut self, number: usize, changes: Vec<HealthChange>) {
        let update = HealthUpdate { cluster: ClusterIndex(number as u32), changes: changes.into() };
        let members = self.shape.memberships(&self.engine.truth);
        self.mail.push(Mail::Members(Message::Health(update), members));
        self.engine.is_ready = true;
    }
}
