//! Accept-Encoding (RFC 9110 section 12.5.3), read as Envoy's compressor reads it.

use crate::filter::coding::Library;

/// What a client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// One of the libraries, by its place.
    Library(usize),
    /// It would rather have the body as it is.
    Identity,
    /// Nothing that is there, or nothing that can be read.
    Nothing,
}

/// The coding with the highest weight among those that there are; of several, the one that the client names first.
pub(super) fn choose(accepted: &[u8], libraries: &[Library]) -> Choice {
    let mut best = (0, Choice::Nothing);
    for (name, weight) in entries(accepted) {
        if weight <= best.0 {
            continue;
        }
        let choice = if name == b"*" {
            let is_refused = |library: &Library| {
                entries(accepted).any(|(name, weight)| weight == 0 && library.coding.is_named(name))
            };
            libraries.iter().position(|library| !is_refused(library)).map(Choice::Library)
        } else if name.eq_ignore_ascii_case(b"identity") {
            Some(Choice::Identity)
        } else {
            libraries.iter().position(|library| library.coding.is_named(name)).map(Choice::Library)
        };
        if let Some(choice) = choice {
            best = (weight, choice);
        }
    }
    best.1
}

/// Names and weights in thousandths; what has a weight that is none is left out.
fn entries(accepted: &[u8]) -> impl Iterator<Item = (&[u8], u16)> {
    accepted.split(|&byte| byte == b',').filter_map(|entry| {
        let mut parts = entry.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let mut weight = 1000;
        for parameter in parts {
            if let [b'q' | b'Q', value @ ..] = parameter
                && let Some(value) = value.trim_ascii_start().strip_prefix(b"=")
            {
                weight = thousandths(value.trim_ascii())?;
            }
        }
        Some((name, weight))
    })
}

/// `0`, `1`, `0.5`, `1.000`: at most three decimals count.
fn thousandths(text: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits(whole) || !are_digits(decimals) || text.is_empty() || text == "." {
        return None;
    }
    let whole: u16 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let decimals: u16 = format_thousandths(decimals);
    Some(whole.checked_mul(1000)?.checked_add(decimals)?.min(1000))
}

fn format_thousandths(decimals: &str) -> u16 {
    let digits = decimals.bytes().chain(std::iter::repeat(b'0')).take(3);
    digits.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::coding::Coding;

    #[test]
    fn what_clients_want() {
        let libraries =
            [Coding::Brotli, Coding::Gzip, Coding::Zstd].map(|coding| Library { coding, level: 1 });
        let (brotli, gzip, zstd) = (Choice::Library(0), Choice::Library(1), Choice::Library(2));
        for (accepted, expected) in [
            ("gzip", gzip),
            ("GZIP", gzip),
            ("x-gzip", gzip),
            ("deflate, gzip, br, zstd", gzip),
            ("br;q=0.9, gzip;q=0.8", brotli),
            ("br;q=0.8, gzip;q=0.9", gzip),
            ("gzip;q=0.5, zstd;q=0.501", zstd),
            ("gzip ; q = 0.5 , br ; q=1", brotli),
            ("*", brotli),
            ("br;q=0, *", gzip),
            ("br;q=0, gzip;q=0, zstd;q=0, *", Choice::Nothing),
            ("*;q=0", Choice::Nothing),
            ("gzip;q=0.5, *;q=0.7", brotli),
            ("identity", Choice::Identity),
            ("identity;q=0.5, gzip", gzip),
            ("identity, gzip;q=0.5", Choice::Identity),
            ("gzip;q=0", Choice::Nothing),
            ("gzip;q=0.000", Choice::Nothing),
            ("gzip;q=0.001", gzip),
            ("gzip;q=x", Choice::Nothing),
            ("gzip;q=1.5", gzip),
            ("gzip;q=.5", gzip),
            ("gzip;q=", Choice::Nothing),
            ("gzip;q=-1", Choice::Nothing),
            ("gzip;level=9", gzip),
            ("deflate", Choice::Nothing),
            ("", Choice::Nothing),
            (",;,", Choice::Nothing),
        ] {
            assert_eq!(choose(accepted.as_bytes(), &libraries), expected, "{accepted}");
        }
    }
}
