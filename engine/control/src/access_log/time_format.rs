//! The calendar part of `%START_TIME(...)%`: a small set of strftime's letters, always UTC.

use crate::clock::Moment;
use std::io::Write;

/// A compiled format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TimeFormat(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(char),
    Year,
    Month,
    MonthName,
    Day,
    Hour,
    Minute,
    Second,
    /// This many digits of the second's fraction.
    Fraction(u8),
    UnixSeconds,
}

/// What may stand in a format, for messages.
pub(super) const EXPECTED: &str = "%Y %m %b %d %H %M %S %F %T %s %z %f or %1f to %9f";
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl TimeFormat {
    /// Envoy's default: `2026-01-31T12:00:00.123Z`.
    pub(super) fn standard() -> TimeFormat {
        TimeFormat::parse("%FT%T.%3fZ").unwrap_or(TimeFormat(vec![]))
    }

    /// `None` on a letter that is not known.
    pub(super) fn parse(text: &str) -> Option<TimeFormat> {
        let mut pieces = vec![];
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            if character != '%' {
                pieces.push(Piece::Literal(character));
                continue;
            }
            match rest.next()? {
                'Y' => pieces.push(Piece::Year),
                'm' => pieces.push(Piece::Month),
                'b' => pieces.push(Piece::MonthName),
                'd' => pieces.push(Piece::Day),
                'H' => pieces.push(Piece::Hour),
                'M' => pieces.push(Piece::Minute),
                'S' => pieces.push(Piece::Second),
                's' => pieces.push(Piece::UnixSeconds),
                'f' => pieces.push(Piece::Fraction(9)),
                'z' => pieces.extend("+0000".chars().map(Piece::Literal)),
                '%' => pieces.push(Piece::Literal('%')),
                'F' => pieces.extend(TimeFormat::parse("%Y-%m-%d")?.0),
                'T' => pieces.extend(TimeFormat::parse("%H:%M:%S")?.0),
                digit @ '1'..='9' if rest.next() == Some('f') => {
                    pieces.push(Piece::Fraction(digit as u8 - b'0'));
                }
                _ => return None,
            }
        }
        Some(TimeFormat(pieces))
    }

    pub(super) fn write(&self, unix_micros: u64, out: &mut Vec<u8>) {
        let moment = Moment::from_unix_micros(unix_micros);
        for piece in &self.0 {
            // Writing to a Vec cannot fail.
            let _ = match piece {
                Piece::Literal(character) => write!(out, "{character}"),
                Piece::Year => write!(out, "{:04}", moment.year),
                Piece::Month => write!(out, "{:02}", moment.month),
                Piece::MonthName => write!(out, "{}", MONTHS[(moment.month as usize - 1) % 12]),
                Piece::Day => write!(out, "{:02}", moment.day),
                Piece::Hour => write!(out, "{:02}", moment.hour),
                Piece::Minute => write!(out, "{:02}", moment.minute),
                Piece::Second => write!(out, "{:02}", moment.second),
                Piece::UnixSeconds => write!(out, "{}", moment.unix_seconds),
                Piece::Fraction(digits) => {
                    let nanos = format!("{:09}", moment.micros * 1000);
                    out.write_all(&nanos.as_bytes()[..usize::from(*digits).min(9)])
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let show = |format: &str| {
            let mut out = vec![];
            TimeFormat::parse(format).unwrap().write(1_709_251_199_123_456, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(show("%Y-%m-%dT%H:%M:%S.%3fZ"), "2024-02-29T23:59:59.123Z");
        assert_eq!(show("%d/%b/%Y:%T %z"), "29/Feb/2024:23:59:59 +0000");
        assert_eq!(show("%s.%6f %f 100%%"), "1709251199.123456 123456000 100%");
        for bad in ["%", "%Q", "%3", "%0f", "%3x"] {
            assert_eq!(TimeFormat::parse(bad), None, "{bad}");
        }
    }
}
