//! The process's clocks: the monotonic one that all cores count from, and the calendar for people. It schedules
//! nothing.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The origin of `sidering_dataplane::io::Time`, common to all threads.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// What the data plane's microseconds count from.
    pub origin: Instant,
}

impl Clock {
    /// A clock that begins now.
    #[must_use]
    pub fn start() -> Clock {
        Clock { origin: Instant::now() }
    }

    /// Microseconds since the origin.
    #[must_use]
    pub fn micros(&self) -> u64 {
        self.origin.elapsed().as_micros() as u64
    }

    /// The wall-clock time of the origin, in microseconds since 1970, by the wall clock as it stands now (so that
    /// corrections of the wall clock are followed).
    #[must_use]
    pub fn origin_unix_micros(&self) -> u64 {
        unix_micros().saturating_sub(self.micros())
    }
}

/// Microseconds since 1970.
#[must_use]
pub fn unix_micros() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

/// A moment in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub year: u64,
    pub month: u64,
    pub day: u64,
    pub hour: u64,
    pub minute: u64,
    pub second: u64,
    pub micros: u64,
    pub unix_seconds: u64,
}

impl Moment {
    /// The calendar's view of a time.
    #[must_use]
    pub fn from_unix_micros(unix_micros: u64) -> Moment {
        let unix_seconds = unix_micros / 1_000_000;
        let (days, second) = (unix_seconds / 86_400, unix_seconds % 86_400);
        // Years are counted from March, so that the leap day is a year's last: months then have fixed first days.
        let days = days + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        Moment {
            year: era * 400 + year_of_era + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
            micros: unix_micros % 1_000_000,
            unix_seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let at = |seconds: u64| {
            let moment = Moment::from_unix_micros(seconds * 1_000_000 + 7);
            assert_eq!(moment.micros, 7);
            (moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second)
        };
        assert_eq!(at(0), (1970, 1, 1, 0, 0, 0));
        assert_eq!(at(951_782_400), (2000, 2, 29, 0, 0, 0));
        assert_eq!(at(1_709_251_199), (2024, 2, 29, 23, 59, 59));
        assert_eq!(at(1_709_251_200), (2024, 3, 1, 0, 0, 0));
        assert_eq!(at(1_767_225_599), (2025, 12, 31, 23, 59, 59));
        assert_eq!(at(4_102_444_800), (2100, 1, 1, 0, 0, 0));
    }
}
