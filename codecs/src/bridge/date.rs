//! Dates as JSON has them: RFC 3339 texts, of milliseconds since 1970 in UTC.

const DAY_MS: i64 = 86_400_000;

/// Writes `2024-01-31T12:00:00.000Z`; years beyond four digits get a sign, as ISO 8601 has it.
pub(super) fn text_of(ms: i64) -> String {
    let (year, month, day) = civil_of(ms.div_euclid(DAY_MS));
    let of_day = ms.rem_euclid(DAY_MS);
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (second, fraction) = (of_day / 1000 % 60, of_day % 1000);
    let year = match year {
        0..=9999 => format!("{year:04}"),
        _ => format!("{year:+07}"),
    };
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:03}Z")
}

/// Reads `2024-01-31`, `2024-01-31T12:00:00Z`, with a fraction of a second or an offset such as `+08:00`.
pub(super) fn ms_of(text: &str) -> Option<i64> {
    let mut rest = text;
    let (year, month, day) = (number(&mut rest, 4)?, after(&mut rest, '-')?, after(&mut rest, '-')?);
    if !(1..=12).contains(&month) || !(1..=days_of(year, month)).contains(&day) {
        return None;
    }
    let midnight = days_since_1970(year, month, day) * DAY_MS;
    if rest.is_empty() {
        return Some(midnight);
    }
    rest = rest.strip_prefix(['T', 't', ' '])?;
    let (hour, minute, second) = (number(&mut rest, 2)?, after(&mut rest, ':')?, after(&mut rest, ':')?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let fraction_ms = match rest.strip_prefix('.') {
        Some(behind) => {
            let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
            let (fraction, behind) = behind.split_at(digits);
            rest = behind;
            let padded = format!("{:0<3}", fraction.get(..3).unwrap_or(fraction));
            if digits == 0 { None } else { padded.parse::<i64>().ok() }?
        }
        None => 0,
    };
    let local = midnight + ((hour * 60 + minute) * 60 + second) * 1000 + fraction_ms;
    Some(local - offset_ms(rest)?)
}

fn offset_ms(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let mut rest = text.strip_prefix(['+', '-'])?;
    let (hours, minutes) = (number(&mut rest, 2)?, after(&mut rest, ':')?);
    (rest.is_empty() && hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes) * 60_000)
}

/// Takes so many digits.
fn number(rest: &mut &str, digits: usize) -> Option<i64> {
    let (taken, behind) = rest.split_at_checked(digits)?;
    *rest = behind;
    taken.bytes().all(|byte| byte.is_ascii_digit()).then(|| taken.parse().ok())?
}

/// Takes two digits behind a separator.
fn after(rest: &mut &str, separator: char) -> Option<i64> {
    *rest = rest.strip_prefix(separator)?;
    number(rest, 2)
}

fn days_of(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the proleptic Gregorian calendar, counted in eras of 400 years that begin with March.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse: year, month, day.
fn civil_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_texts_and_back() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (894_621_091_000, "1998-05-08T09:51:31.000Z"),
            (1_709_210_096_789, "2024-02-29T12:34:56.789Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!((text_of(ms).as_str(), ms_of(text)), (text, Some(ms)));
        }
        assert_eq!(text_of(253_402_300_800_000), "+010000-01-01T00:00:00.000Z");
        assert!(text_of(i64::MIN).starts_with('-'));
        assert!(text_of(i64::MAX).starts_with('+'));
    }

    #[test]
    fn what_is_read_beyond_what_is_written() {
        for (text, ms) in [
            ("2024-02-29", 1_709_164_800_000),
            ("1970-01-01T08:00:00+08:00", 0),
            ("1969-12-31T19:30:00.5-04:30", 500),
            ("1970-01-01 00:00:00.123456Z", 123),
        ] {
            assert_eq!(ms_of(text), Some(ms), "{text}");
        }
        for text in [
            "",
            "2023-02-29",
            "1970-13-01",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00.Z",
            "1970-1-1",
            "x970-01-01",
            "1970-01-01T00:00:00+8:00",
            "ä970-01-01",
        ] {
            assert_eq!(ms_of(text), None, "{text}");
        }
    }
}
