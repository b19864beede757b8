//! The log of the process itself: lines on standard error with a level. A few lines a day come out of it, so it is no
//! framework (one would cost more at the start than everything else here); no core ever writes to it while it serves.

use crate::clock::{Moment, unix_micros};
use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicU8, Ordering};

/// How much a line matters, the gravest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Nothing is logged.
    Off,
    Error,
    Warning,
    Info,
    Debug,
}

impl Level {
    const ALL: [Level; 5] = [Level::Off, Level::Error, Level::Warning, Level::Info, Level::Debug];

    /// As `/logging?level=` takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Level::Off => "off",
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Info => "info",
            Level::Debug => "debug",
        }
    }

    /// Also takes the names of Envoy's other levels for their nearest of ours.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Level> {
        let name = match name {
            "critical" => "error",
            "warn" => "warning",
            "trace" => "debug",
            name => name,
        };
        Level::ALL.into_iter().find(|level| level.name() == name)
    }
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);

/// The level in force: graver lines and those of this level are written.
#[must_use]
pub fn level() -> Level {
    let number = LEVEL.load(Ordering::Relaxed);
    Level::ALL.into_iter().find(|level| *level as u8 == number).unwrap_or(Level::Info)
}

/// Changes the level in force.
pub fn set_level(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Something failed that somebody must look at.
pub fn error(message: fmt::Arguments<'_>) {
    write(Level::Error, message);
}

/// Something is not as it should be, but work goes on.
pub fn warning(message: fmt::Arguments<'_>) {
    write(Level::Warning, message);
}

/// Something happened that is good to know.
pub fn info(message: fmt::Arguments<'_>) {
    write(Level::Info, message);
}

/// Something for those who look for a fault.
pub fn debug(message: fmt::Arguments<'_>) {
    write(Level::Debug, message);
}

fn write(level: Level, message: fmt::Arguments<'_>) {
    if level as u8 > LEVEL.load(Ordering::Relaxed) {
        return;
    }
    let line = format!("{} {:<7} {message}\n", Timestamp(unix_micros()), level.name());
    // Whole lines, so that threads don't mix theirs. Where standard error is gone there is nobody to tell.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

/// `2026-01-31T12:00:00.123Z`.
struct Timestamp(u64);

impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Moment { year, month, day, hour, minute, second, micros, .. } = Moment::from_unix_micros(self.0);
        let millis = micros / 1000;
        write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_names() {
        for level in Level::ALL {
            assert_eq!(Level::from_name(level.name()), Some(level));
        }
        assert_eq!(Level::from_name("trace"), Some(Level::Debug));
        assert_eq!(Level::from_name("loud"), None);
        assert_eq!(Timestamp(1_709_251_199_123_456).to_string(), "2024-02-29T23:59:59.123Z");
    }
}
