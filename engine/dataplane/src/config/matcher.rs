//! Conditions on texts, header fields and addresses, and shares of requests. Routes and filters ask them alike: each looks
//! at a value and knows nothing of where it comes from.

use crate::route::Pattern;
use std::net::IpAddr;

/// What a text must look like (Envoy's StringMatcher).
#[derive(Debug, Clone, PartialEq)]
pub struct StringMatch {
    pub pattern: StringPattern,
    /// ASCII letters are equal in either case; never with a regex.
    pub ignore_case: bool,
}

/// The pattern of a [`StringMatch`].
#[derive(Debug, Clone, PartialEq)]
pub enum StringPattern {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
    /// Of the whole text, not of a part of it.
    Regex(Pattern),
}

impl StringMatch {
    /// This very text.
    #[must_use]
    pub fn exact(text: &str) -> Self {
        StringMatch { pattern: StringPattern::Exact(text.to_owned()), ignore_case: false }
    }

    /// The only text that it takes, if there is only one.
    #[must_use]
    pub fn only(&self) -> Option<&str> {
        match &self.pattern {
            StringPattern::Exact(exact) if !self.ignore_case => Some(exact),
            _ => None,
        }
    }

    /// Whether the text is as it must be. Allocates nothing.
    #[must_use]
    pub fn takes(&self, text: &[u8]) -> bool {
        match &self.pattern {
            StringPattern::Exact(exact) => self.equal(text, exact.as_bytes()),
            StringPattern::Prefix(prefix) => {
                text.get(..prefix.len()).is_some_and(|start| self.equal(start, prefix.as_bytes()))
            }
            StringPattern::Suffix(suffix) => {
                let start = text.len().checked_sub(suffix.len());
                start.is_some_and(|start| self.equal(&text[start..], suffix.as_bytes()))
            }
            StringPattern::Contains(part) if !self.ignore_case => {
                memchr::memmem::find(text, part.as_bytes()).is_some()
            }
            StringPattern::Contains(part) => {
                part.is_empty() || text.windows(part.len()).any(|window| self.equal(window, part.as_bytes()))
            }
            StringPattern::Regex(pattern) => pattern.matches(text),
        }
    }

    fn equal(&self, text: &[u8], wanted: &[u8]) -> bool {
        if self.ignore_case { text.eq_ignore_ascii_case(wanted) } else { text == wanted }
    }
}

/// A condition on the values of one header field (Envoy's HeaderMatcher). A field that is not there fulfils none but
/// `Present(false)`, inverted or not.
#[derive(Debug, Clone, PartialEq)]
pub struct HeaderMatch {
    /// Lower-case; `:method`, `:path` and `:authority` name those parts of the request.
    pub name: String,
    pub test: HeaderTest,
    /// The outcome is turned round.
    pub invert: bool,
}

impl HeaderMatch {
    /// Whether it is on the request's path.
    pub fn looks_at_path(&self) -> bool {
        self.name == ":path"
    }

    /// Whether it is on a header field, and not on a part of the request that has the name of one.
    pub fn looks_at_field(&self) -> bool {
        !is_part(&self.name)
    }

    /// Whether a request fulfils it that has these values under its name, one for each field: it is enough that one of them
    /// is as it must be, and inverted, none may be (as in Envoy since 1.39). Allocates nothing.
    #[must_use]
    pub fn takes<'v>(&self, values: impl Iterator<Item = &'v [u8]>) -> bool {
        let (mut is_there, mut fits) = (false, false);
        for value in values {
            is_there = true;
            fits = fits || self.test.fits(value);
        }
        match self.test {
            HeaderTest::Present(present) => (is_there == present) != self.invert,
            _ => is_there && fits != self.invert,
        }
    }
}

/// Whether a name in a condition is no field's: it means a part of the request.
pub fn is_part(name: &str) -> bool {
    matches!(name, ":method" | ":path" | ":authority" | "host")
}

/// What a [`HeaderMatch`] looks at.
#[derive(Debug, Clone, PartialEq)]
pub enum HeaderTest {
    Present(bool),
    Text(StringMatch),
    /// A whole number from `start` to below `end`.
    Range {
        start: i64,
        end: i64,
    },
}

impl HeaderTest {
    fn fits(&self, value: &[u8]) -> bool {
        match self {
            HeaderTest::Present(_) => true,
            HeaderTest::Text(text) => text.takes(value),
            HeaderTest::Range { start, end } => {
                let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<i64>().ok());
                number.is_some_and(|number| (*start..*end).contains(&number))
            }
        }
    }
}

/// A block of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    /// Bits behind the prefix are 0.
    pub address: IpAddr,
    /// 0..=32 or 0..=128.
    pub prefix_bits: u8,
}

impl Cidr {
    /// Whether the address lies in the block; an IPv4 address may come mapped into IPv6 (RFC 4291 section 2.5.5.2).
    pub fn contains(&self, address: IpAddr) -> bool {
        let keeps = |bits: u32| bits.saturating_sub(u32::from(self.prefix_bits));
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(block), IpAddr::V4(address)) => {
                let differs = block.to_bits() ^ address.to_bits();
                differs.checked_shr(keeps(32)).unwrap_or(0) == 0
            }
            (IpAddr::V6(block), IpAddr::V6(address)) => {
                let differs = block.to_bits() ^ address.to_bits();
                differs.checked_shr(keeps(128)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// A share of all requests, in millionths: 0..=1,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Share(pub u32);

impl Share {
    /// Every request.
    pub const ALL: Share = Share(1_000_000);

    /// So many per cent.
    pub fn percent(percent: u32) -> Share {
        Share(percent.saturating_mul(10_000).min(Share::ALL.0))
    }

    /// Whether a request with this random number is part of it.
    pub fn takes(self, random: u64) -> bool {
        // The high bits are the better ones, and a multiplication is cheaper than a division.
        let drawn = (u128::from(random) * u128::from(Share::ALL.0)) >> 64;
        drawn < u128::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        use StringPattern::{Contains, Exact, Prefix, Regex, Suffix};
        let regex = |source: &str| Regex(Pattern::new(source).unwrap());
        for (pattern, ignore_case, takes, leaves) in [
            (Exact("Abc".into()), false, "Abc", "abc"),
            (Exact("Abc".into()), true, "aBC", "abcd"),
            (Exact(String::new()), false, "", "a"),
            (Prefix("ab".into()), false, "abc", "a"),
            (Prefix("ab".into()), true, "ABc", "ba"),
            (Suffix("bc".into()), false, "abc", "c"),
            (Suffix("bc".into()), true, "aBC", "bcd"),
            (Contains("b".into()), false, "abc", "aBc"),
            (Contains("bC".into()), true, "aBcd", "b"),
            (regex(r"a\d+|b"), false, "a12", "a12c"),
            (regex("a|b"), false, "b", "ab"),
        ] {
            let text = StringMatch { pattern, ignore_case };
            assert!(text.takes(takes.as_bytes()), "{text:?} {takes}");
            assert!(!text.takes(leaves.as_bytes()), "{text:?} {leaves}");
        }
    }

    #[test]
    fn headers_as_envoys_header_matcher_has_them() {
        let exact = |value: &str| HeaderTest::Text(StringMatch::exact(value));
        let range = HeaderTest::Range { start: -2, end: 3 };
        // Test, without and with inversion: whether it takes a request with this value; `None`: without the field.
        for (test, value, plain, inverted) in [
            (HeaderTest::Present(true), Some(""), true, false),
            (HeaderTest::Present(true), None, false, true),
            (HeaderTest::Present(false), Some("a"), false, true),
            (HeaderTest::Present(false), None, true, false),
            (exact("a"), Some("a"), true, false),
            (exact("a"), Some("b"), false, true),
            (exact("a"), None, false, false),
            (exact(""), Some(""), true, false),
            (range.clone(), Some("-3"), false, true),
            (range.clone(), Some("-2"), true, false),
            (range.clone(), Some("2"), true, false),
            (range.clone(), Some("3"), false, true),
            (range.clone(), Some("2x"), false, true),
            (range, None, false, false),
        ] {
            for (invert, expected) in [(false, plain), (true, inverted)] {
                let header = HeaderMatch { name: "x-a".into(), test: test.clone(), invert };
                assert_eq!(
                    header.takes(value.iter().map(|value| value.as_bytes())),
                    expected,
                    "{header:?} {value:?}"
                );
            }
        }
    }

    #[test]
    fn blocks_contain_what_their_prefix_says() {
        let block = |address: &str, prefix_bits| Cidr { address: address.parse().unwrap(), prefix_bits };
        for (block, address, inside) in [
            (block("10.0.0.0", 8), "10.255.255.255", true),
            (block("10.0.0.0", 8), "9.255.255.255", false),
            (block("10.0.0.0", 8), "11.0.0.0", false),
            (block("10.1.2.3", 32), "10.1.2.3", true),
            (block("10.1.2.3", 32), "10.1.2.2", false),
            (block("10.1.2.2", 31), "10.1.2.3", true),
            (block("0.0.0.0", 0), "255.255.255.255", true),
            (block("0.0.0.0", 0), "::1", false),
            (block("10.0.0.0", 8), "::ffff:10.1.1.1", true),
            (block("::", 0), "10.0.0.1", false),
            (block("::", 0), "2001:db8::1", true),
            (block("2001:db8::", 32), "2001:db8:ffff::", true),
            (block("2001:db8::", 32), "2001:db9::", false),
            (block("2001:db8::1", 128), "2001:db8::1", true),
            (block("2001:db8::1", 128), "2001:db8::2", false),
        ] {
            assert_eq!(block.contains(address.parse().unwrap()), inside, "{block:?} {address}");
        }
    }

    #[test]
    fn a_share_takes_its_part_of_the_random_numbers() {
        let first = |share: Share| (u128::from(share.0) << 64).div_ceil(1_000_000);
        for share in [Share(1), Share(500_000), Share(999_999)] {
            let bound = first(share) as u64;
            assert!(share.takes(bound - 1) && !share.takes(bound), "{share:?}");
        }
        assert!(!Share(0).takes(0) && Share::ALL.takes(u64::MAX));
        assert_eq!((Share::percent(50), Share::percent(101)), (Share(500_000), Share::ALL));
    }
}
