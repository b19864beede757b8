//! What became of every request, and how evenly the origins were used.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Of all requests, at most so many may fail.
const FAILED_GOAL: f64 = 0.0001;
/// By then after the last trouble the load has to be even.
const EVEN_GOAL: Duration = Duration::from_secs(5);
/// Answers are counted in slots of this length; a window of evenness has [`WINDOW_SLOTS`].
const SLOT: Duration = Duration::from_millis(250);
const WINDOW_SLOTS: usize = 4;
/// In an even window every origin has its share, give or take this much of it.
const EVEN_WITHIN: f64 = 0.2;

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// The proxy refused or broke the connection.
    Connection,
    /// The answer ended early.
    Cut,
    NoAnswer,
    Status(u16),
    /// It was the answer to another request.
    Mixed,
}

pub(crate) struct Tally {
    began: Instant,
    recovered: Option<Instant>,
    answered: u64,
    failed: BTreeMap<Fault, u64>,
    /// Answers that came without a request.
    surplus: u64,
    latency_us: Histogram<u64>,
    /// Answers of each origin in each slot of time.
    slots: Vec<Vec<u32>>,
    origins: usize,
}

impl Tally {
    pub(crate) fn of(origins: usize) -> Self {
        let latency_us = Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are in order");
        Self {
            began: Instant::now(),
            recovered: None,
            answered: 0,
            failed: BTreeMap::new(),
            surplus: 0,
            latency_us,
            slots: Vec::new(),
            origins,
        }
    }

    pub(crate) fn count(&mut self, outcome: Result<u16, Fault>, latency: Duration) {
        self.latency_us.saturating_record(latency.as_micros() as u64);
        match outcome {
            Ok(origin) => self.answered_by(usize::from(origin), self.began.elapsed()),
            Err(fault) => *self.failed.entry(fault).or_default() += 1,
        }
    }

    fn answered_by(&mut self, origin: usize, at: Duration) {
        self.answered += 1;
        let slot = (at.as_micros() / SLOT.as_micros()) as usize;
        while self.slots.len() <= slot {
            self.slots.push(vec![0; self.origins]);
        }
        if let Some(count) = self.slots[slot].get_mut(origin) {
            *count += 1;
        }
    }

    pub(crate) fn surplus(&mut self) {
        self.surplus += 1;
    }

    #[cfg(test)]
    pub(crate) fn answered(&self) -> u64 {
        self.answered
    }

    #[cfg(test)]
    pub(crate) fn surplus_seen(&self) -> u64 {
        self.surplus
    }

    /// Every origin is well from now on.
    pub(crate) fn recovered(&mut self, now: Instant) {
        self.recovered = Some(now);
    }

    fn failed(&self) -> u64 {
        self.failed.values().sum()
    }

    fn failed_share(&self) -> f64 {
        self.failed() as f64 / (self.answered + self.failed()).max(1) as f64
    }

    /// How long after the recovery the last uneven window began; None if it was the last there is.
    fn even_after(&self) -> Option<Duration> {
        let recovered = self.recovered?.duration_since(self.began);
        let first = recovered.as_micros().div_ceil(SLOT.as_micros()) as usize;
        // The last slot may not be full.
        let slots = self.slots.get(first..self.slots.len().saturating_sub(1))?;
        let windows: Vec<bool> = slots.windows(WINDOW_SLOTS).map(is_even).collect();
        let even_from = windows.iter().rposition(|even| !even).map_or(0, |last| last + 1);
        (even_from < windows.len()).then(|| SLOT * even_from as u32)
    }

    pub(crate) fn meets_goals(&self) -> bool {
        self.failed_share() <= FAILED_GOAL
            && self.surplus == 0
            && !self.failed.contains_key(&Fault::Mixed)
            && self.even_after().is_some_and(|after| after <= EVEN_GOAL)
    }

    pub(crate) fn report(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "requests      {} answered, {} failed ({:.4} %, at most {:.2} %)",
            self.answered,
            self.failed(),
            self.failed_share() * 100.0,
            FAILED_GOAL * 100.0
        );
        for (fault, count) in &self.failed {
            let _ = writeln!(text, "              {count} × {fault:?}");
        }
        let _ = writeln!(text, "answered twice {}", self.surplus);
        let quantile = |of| self.latency_us.value_at_quantile(of) as f64 / 1e3;
        let (p50, p99, p99_9, max) = (quantile(0.5), quantile(0.99), quantile(0.999), quantile(1.0));
        let _ = writeln!(text, "latency       p50 {p50:.1} ms, p99 {p99:.1}, p99.9 {p99_9:.1}, max {max:.1}");
        let _ = match self.even_after() {
            Some(after) => writeln!(
                text,
                "even again    {:.2} s after the last trouble (at most {} s)",
                after.as_secs_f64(),
                EVEN_GOAL.as_secs()
            ),
            None => writeln!(text, "even again    never"),
        };
        text
    }
}

fn is_even(window: &[Vec<u32>]) -> bool {
    let origins = window.first().map_or(0, Vec::len);
    let counts: Vec<u32> = (0..origins).map(|origin| window.iter().map(|slot| slot[origin]).sum()).collect();
    let share = f64::from(counts.iter().sum::<u32>()) / origins.max(1) as f64;
    counts.iter().all(|&count| (f64::from(count) - share).abs() <= share * EVEN_WITHIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(slots: &[[u32; 2]], recovered: Duration) -> Tally {
        let mut tally = Tally::of(2);
        tally.slots = slots.iter().map(|slot| slot.to_vec()).collect();
        tally.recovered = Some(tally.began + recovered);
        tally
    }

    #[test]
    fn even_from_the_first_window_on_after_the_last_uneven_one() {
        let mut slots = vec![[0, 100]; 4];
        slots.extend([[50, 50]; 12]);
        // The window that begins in the last uneven slot is uneven by that quarter alone.
        assert_eq!(tally(&slots, Duration::ZERO).even_after(), Some(Duration::from_secs(1)));
        assert_eq!(tally(&slots, Duration::from_secs(1)).even_after(), Some(Duration::ZERO));
        assert_eq!(tally(&[[10, 90]; 12], Duration::ZERO).even_after(), None);
    }

    #[test]
    fn one_in_ten_thousand_may_fail_and_no_more() {
        let mut tally = tally(&[[50, 50]; 40], Duration::ZERO);
        tally.answered = 9_999;
        tally.failed.insert(Fault::Status(503), 1);
        assert!(tally.meets_goals());
        tally.failed.insert(Fault::Cut, 1);
        assert!(!tally.meets_goals());
    }

    #[test]
    fn a_second_answer_is_never_forgiven() {
        let mut tally = tally(&[[50, 50]; 40], Duration::ZERO);
        tally.answered = 1_000_000;
        assert!(tally.meets_goals());
        tally.surplus();
        assert!(!tally.meets_goals());
    }
}
