//! The goals of a case and whether the figures meet them.

use super::figures::{Figures, Ratio};
use super::peer::Peer;

/// A bound on a figure of a proxy, as it is or relative to another proxy's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    pub(crate) figure: &'static str,
    /// Whose figure is bounded.
    pub(crate) of: Peer,
    /// None: the figure itself is bounded.
    pub(crate) against: Option<Peer>,
    pub(crate) bound: Bound,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// What became of a goal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) text: String,
    pub(crate) value: Option<f64>,
    pub(crate) met: Option<bool>,
}

impl Goal {
    pub(crate) const fn ratio_at_most(figure: &'static str, against: Peer, bound: f64) -> Self {
        Self { figure, of: Peer::Ours, against: Some(against), bound: Bound::AtMost(bound) }
    }

    pub(crate) const fn ratio_at_least(figure: &'static str, against: Peer, bound: f64) -> Self {
        Self { figure, of: Peer::Ours, against: Some(against), bound: Bound::AtLeast(bound) }
    }

    pub(crate) const fn at_most(figure: &'static str, bound: f64) -> Self {
        Self { figure, of: Peer::Ours, against: None, bound: Bound::AtMost(bound) }
    }

    pub(crate) const fn at_least(figure: &'static str, bound: f64) -> Self {
        Self { figure, of: Peer::Ours, against: None, bound: Bound::AtLeast(bound) }
    }

    /// The same bound for another proxy than ours.
    pub(crate) const fn of(self, of: Peer) -> Self {
        Self { of, ..self }
    }

    /// Judges by the medians of a proxy, or by the ratio of one proxy's figure to another's.
    pub(crate) fn judge(
        &self,
        medians_of: impl Fn(Peer) -> Figures,
        ratio: impl Fn(&'static str, Peer, Peer) -> Option<Ratio>,
    ) -> Verdict {
        let value = match self.against {
            Some(against) => ratio(self.figure, self.of, against).map(|ratio| ratio.median),
            None => medians_of(self.of).get(self.figure).copied(),
        };
        Verdict { text: self.text(), value, met: value.map(|value| self.bound.holds(value)) }
    }

    fn text(&self) -> String {
        let bound = match self.bound {
            Bound::AtMost(bound) => format!("at most {bound}"),
            Bound::AtLeast(bound) => format!("at least {bound}"),
        };
        let whose = if self.of == Peer::Ours { String::new() } else { format!("{}: ", self.of.name()) };
        match self.against {
            Some(peer) => format!("{whose}{} {bound} of {}", self.figure, peer.name()),
            None => format!("{whose}{} {bound}", self.figure),
        }
    }
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::figures::{CPU_US, STARTUP_MS};

    #[test]
    fn ratios_and_plain_figures_are_judged() {
        let ratio = |_, of, peer| {
            (of == Peer::Ours && peer == Peer::Nginx).then_some(Ratio { median: 0.75, min: 0.7, max: 0.8 })
        };
        let nobody = |_| Figures::new();
        let goal = Goal::ratio_at_most(CPU_US, Peer::Nginx, 0.75);
        assert_eq!(goal.judge(nobody, ratio).met, Some(true));
        assert_eq!(Goal::ratio_at_least(CPU_US, Peer::Nginx, 0.8).judge(nobody, ratio).met, Some(false));
        assert_eq!(Goal::ratio_at_most(CPU_US, Peer::Envoy, 1.0).judge(nobody, ratio).met, None);
        let ours = Figures::from([(STARTUP_MS, 21.0)]);
        assert_eq!(goal.of(Peer::OursEpoll).judge(nobody, ratio).met, None);
        let verdict = Goal::at_most(STARTUP_MS, 20.0).judge(|_| ours.clone(), ratio);
        assert_eq!((verdict.value, verdict.met), (Some(21.0), Some(false)));
        assert_eq!(verdict.text, "startup_ms at most 20");
    }
}
