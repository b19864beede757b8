//! Reads conditions on texts, header fields and addresses, and shares of requests.

use super::problem::Problems;
use super::section::{Section, scalar, text};
use super::tree::Tree;
use super::units;
use sidering_dataplane::config::{Cidr, HeaderMatch, HeaderTest, Share, StringMatch, StringPattern};
use sidering_dataplane::route::Pattern;
use std::net::IpAddr;

const PATTERNS: [&str; 5] = ["exact", "prefix", "suffix", "contains", "regex"];
const ONE_PATTERN: &str = "one of `exact`, `prefix`, `suffix`, `contains`, `regex`";

/// Reads a text, which is to be just that, or a condition on one.
pub(super) fn text_or_pattern(tree: &Tree, problems: &Problems) -> StringMatch {
    match scalar(tree) {
        Some("") => {
            problems.error(tree.place, "an empty text", "a text, or a condition on one");
            StringMatch::exact("")
        }
        Some(exact) => StringMatch::exact(exact),
        None => string(tree, problems),
    }
}

/// Reads a condition on a text.
pub(super) fn string(tree: &Tree, problems: &Problems) -> StringMatch {
    let mut section = Section::open("a condition on a text", tree, problems);
    let found = pattern(&mut section);
    if found.is_none() && !has_pattern(&section) {
        section.lacks(&PATTERNS, "a condition on a text that says nothing", ONE_PATTERN);
    }
    section.finish();
    found.unwrap_or(StringMatch { pattern: StringPattern::Exact(String::new()), ignore_case: false })
}

/// The pattern among the keys of a section, with `ignore_case`.
pub(super) fn pattern(section: &mut Section<'_>) -> Option<StringMatch> {
    let problems = section.problems;
    let mut found = None;
    for key in PATTERNS {
        let Some(tree) = section.find(key) else { continue };
        if found.is_some() {
            let place = section.place_of(key).unwrap_or(tree.place);
            problems.error(place, "a condition with two patterns", ONE_PATTERN);
        }
        found = of_kind(key, tree, problems).or(found);
    }
    let ignore_case = section.boolean("ignore_case", false);
    if let Some(place) = section.place_of("ignore_case")
        && ignore_case
        && matches!(found, Some(StringPattern::Regex(_)))
    {
        problems.error(place, "`ignore_case` with a regex", "(?i) at the beginning of the regex");
    }
    found.map(|pattern| StringMatch { pattern, ignore_case })
}

fn of_kind(key: &str, tree: &Tree, problems: &Problems) -> Option<StringPattern> {
    if key == "regex" {
        return regex(tree, problems).map(StringPattern::Regex);
    }
    let given = text(tree, "a text", problems)?.to_owned();
    if given.is_empty() && key != "exact" {
        problems.error(tree.place, format!("an empty `{key}`"), "a text that tells some from others");
    }
    Some(match key {
        "prefix" => StringPattern::Prefix(given),
        "suffix" => StringPattern::Suffix(given),
        "contains" => StringPattern::Contains(given),
        _ => StringPattern::Exact(given),
    })
}

/// Reads a regular expression that holds for a whole text.
pub(super) fn regex(tree: &Tree, problems: &Problems) -> Option<Pattern> {
    let given = text(tree, "a regular expression", problems)?;
    let refused = |error| {
        let expected =
            "a regular expression for the whole text, without look-around or back-references, at most 4KiB";
        problems.error(tree.place, format!("{}: {error}", tree.describe()), expected);
    };
    Pattern::new(given).map_err(refused).ok()
}

pub(super) fn has_pattern(section: &Section<'_>) -> bool {
    PATTERNS.iter().any(|key| section.place_of(key).is_some())
}

/// Reads a condition on a header field; one that says nothing is that the field is there, as in Envoy.
pub(super) fn header(tree: &Tree, problems: &Problems) -> HeaderMatch {
    const TESTS: &str = "one of `present`, `exact`, `prefix`, `suffix`, `contains`, `regex`, `range`";
    let mut section = Section::open("a condition on a header", tree, problems);
    let name = section.require("name", "the name of a header, or :method, :path, :authority");
    let name = name.and_then(|tree| header_name(tree, problems)).unwrap_or_default();
    let present = section.find("present").map(|_| section.boolean("present", true));
    let text = pattern(&mut section);
    let range = section.find("range").map(|tree| range(tree, problems));
    let invert = section.boolean("invert", false);
    let given: Vec<_> = ["present", "range"].into_iter().filter_map(|key| section.place_of(key)).collect();
    let has_text = has_pattern(&section);
    if let (2.., Some(place)) = (given.len() + usize::from(has_text), given.last()) {
        problems.error(*place, "a condition on a header with two tests", TESTS);
    }
    section.finish();
    let test = present.map(HeaderTest::Present).or(text.map(HeaderTest::Text)).or(range);
    HeaderMatch { name, test: test.unwrap_or(HeaderTest::Present(true)), invert }
}

/// The name of a header, lower-case, or of a part of the request.
pub(super) fn header_name(tree: &Tree, problems: &Problems) -> Option<String> {
    let given = text(tree, "the name of a header", problems)?;
    if matches!(given, ":method" | ":path" | ":authority") || units::is_token(given) {
        return Some(given.to_ascii_lowercase());
    }
    let expected = "letters, digits, - . _ and the like, or :method, :path, :authority";
    problems.error(tree.place, format!("{} is no name of a header", tree.describe()), expected);
    None
}

fn range(tree: &Tree, problems: &Problems) -> HeaderTest {
    let mut section = Section::open("a range", tree, problems);
    let mut bound = |key| {
        let tree = section.require(key, "a whole number")?;
        let number = scalar(tree).and_then(|text| text.parse::<i64>().ok());
        if number.is_none() {
            problems.error(tree.place, format!("{} is not a number", tree.describe()), "a whole number");
        }
        number
    };
    let (start, end) = (bound("start"), bound("end"));
    section.finish();
    let (start, end) = (start.unwrap_or(0), end.unwrap_or(i64::MAX));
    if start >= end {
        problems.error(
            tree.place,
            "a range that nothing is in",
            "an `end` above `start`: it is not included",
        );
    }
    HeaderTest::Range { start, end }
}

/// Reads a block of addresses, such as 10.0.0.0/8, or one address.
pub(super) fn cidr(tree: &Tree, problems: &Problems) -> Cidr {
    const EXPECTED: &str = "an address such as 10.0.0.1 or 2001:db8::1, or a block such as 10.0.0.0/8";
    let nothing = Cidr { address: IpAddr::from([0, 0, 0, 0]), prefix_bits: 32 };
    let Some(given) = text(tree, EXPECTED, problems) else { return nothing };
    let (address, bits) =
        given.split_once('/').map_or((given, None), |(address, bits)| (address, Some(bits)));
    let Ok(address) = address.parse::<IpAddr>() else {
        problems.error(tree.place, format!("{} is no block of addresses", tree.describe()), EXPECTED);
        return nothing;
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    let prefix_bits = match bits.map(str::parse::<u8>) {
        None => most,
        Some(Ok(bits)) if bits <= most => bits,
        Some(_) => {
            let expected = format!("0 to {most} bits behind the slash");
            problems.error(tree.place, format!("{} is no block of addresses", tree.describe()), expected);
            return nothing;
        }
    };
    // Clients that come with IPv4 addresses mapped into IPv6 are known by the former.
    let (address, prefix_bits) = match (address.to_canonical(), prefix_bits.checked_sub(96)) {
        (IpAddr::V4(mapped), Some(bits)) if address.is_ipv6() => (mapped.into(), bits),
        (IpAddr::V4(_), None) if address.is_ipv6() => {
            let expected = "96 to 128 bits of an IPv4 address mapped into IPv6";
            problems.error(tree.place, format!("{} is no block of addresses", tree.describe()), expected);
            return nothing;
        }
        _ => (address, prefix_bits),
    };
    let is_mapped = address.is_ipv4() && given.contains(':');
    let address = masked(address, prefix_bits);
    let block = Cidr { address, prefix_bits };
    // A block written so was probably meant to be another one.
    if !is_mapped && !given.starts_with(&address.to_string()) && bits.is_some() {
        let message = format!("{} has bits behind its prefix", tree.describe());
        problems.warning(tree.place, message, format!("{address}/{prefix_bits}, which is what it means"));
    }
    block
}

fn masked(address: IpAddr, prefix_bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix_bits)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix_bits)).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

/// Reads a share of requests, in per cent with up to four decimals.
pub(super) fn share(tree: &Tree, problems: &Problems) -> Share {
    let read = scalar(tree).and_then(|given| {
        let (whole, decimals) = given.split_once('.').unwrap_or((given, "0"));
        let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !are_digits(whole) || !are_digits(decimals) || decimals.len() > 4 {
            return None;
        }
        let millionths = whole.parse::<u32>().ok()?.checked_mul(10_000)?;
        let share = Share(millionths.checked_add(format!("{decimals:0<4}").parse().ok()?)?);
        (share <= Share::ALL).then_some(share)
    });
    read.unwrap_or_else(|| {
        let expected = "per cent from 0 to 100, with at most four decimals";
        problems.error(tree.place, format!("{} is not a share", tree.describe()), expected);
        Share::default()
    })
}

/// A share as the configuration writes it.
pub(crate) fn show_share(share: Share) -> String {
    let (whole, decimals) = (share.0 / 10_000, format!("{:04}", share.0 % 10_000));
    match decimals.trim_end_matches('0') {
        "" => whole.to_string(),
        decimals => format!("{whole}.{decimals}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree;
    use super::*;

    /// What was read, and the problems as `column message`.
    fn read<T>(text: &str, read: impl Fn(&Tree, &Problems) -> T) -> (T, Vec<String>) {
        let problems = Problems::default();
        let value = read(&tree::parse(text, &problems).unwrap(), &problems);
        let show = |problem: super::super::Problem| format!("{} {}", problem.place.column, problem.message);
        (value, problems.into_sorted().into_iter().map(show).collect())
    }

    #[test]
    fn shares() {
        for (text, millionths) in
            [("0", 0), ("100", 1_000_000), ("0.0001", 1), ("12.5", 125_000), ("99.9999", 999_999)]
        {
            assert_eq!(read(text, share), (Share(millionths), vec![]), "{text}");
            assert_eq!(show_share(Share(millionths)), text);
        }
        for bad in ["101", "100.0001", "-1", "1.00001", "5%", "1.", ".5", "''", "[]", "99999999999"] {
            assert_eq!(read(bad, share).1.len(), 1, "{bad}");
        }
    }

    #[test]
    fn blocks_of_addresses() {
        for (text, address, bits) in [
            ("10.0.0.0/8", "10.0.0.0", 8),
            ("10.0.0.1", "10.0.0.1", 32),
            ("0.0.0.0/0", "0.0.0.0", 0),
            ("2001:db8::/32", "2001:db8::", 32),
            ("\"::1\"", "::1", 128),
            ("\"::/0\"", "::", 0),
            ("\"::ffff:10.0.0.0/104\"", "10.0.0.0", 8),
        ] {
            let expected = Cidr { address: address.parse().unwrap(), prefix_bits: bits };
            assert_eq!(read(text, cidr), (expected, vec![]), "{text}");
        }
        let (block, warned) = read("10.1.2.3/8", cidr);
        assert_eq!((block.address.to_string().as_str(), warned.len()), ("10.0.0.0", 1));
        for bad in [
            "10.0.0.0/33",
            "\"::/129\"",
            "10.0.0/8",
            "10.0.0.0/",
            "here",
            "10.0.0.0/-1",
            "\"::ffff:1.2.3.4/95\"",
        ] {
            assert_eq!(read(bad, cidr).1.len(), 1, "{bad}");
        }
    }

    #[test]
    fn conditions_on_headers() {
        let (found, problems) = read("{ name: X-A, range: { start: -1, end: 2 }, invert: true }", header);
        let test = HeaderTest::Range { start: -1, end: 2 };
        assert_eq!((found, problems), (HeaderMatch { name: "x-a".into(), test, invert: true }, vec![]));
        for (text, problem) in [
            ("{ name: a, exact: b, present: true }", "22 a condition on a header with two tests"),
            ("{ name: a, exact: b, prefix: c }", "22 a condition with two patterns"),
            ("{ name: a, regex: '(' }", "19 `(`: not a regular expression: unclosed group"),
            ("{ name: a, regex: b, ignore_case: true }", "22 `ignore_case` with a regex"),
            ("{ name: 'a b', present: true }", "9 `a b` is no name of a header"),
            ("{ name: ':scheme', present: true }", "9 `:scheme` is no name of a header"),
            ("{ exact: b }", "1 a condition on a header without `name`"),
            ("{ name: a, range: { start: 1, end: 1 } }", "19 a range that nothing is in"),
            ("{ name: a, prefix: '' }", "20 an empty `prefix`"),
            ("{ name: a, exakt: b }", "12 unknown key `exakt` in a condition on a header"),
        ] {
            assert_eq!(read(text, header).1.first().map(String::as_str), Some(problem), "{text}");
        }
    }
}
