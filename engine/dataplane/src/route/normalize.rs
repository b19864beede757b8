//! Path normalisation before routing (RFC 3986 section 6.2.2), so that what was matched is what is forwarded.
//!
//! Percent-encoded unreserved characters are decoded, `.` and `..` segments removed, a backslash becomes a slash.
//! Encoded slashes (`%2F`, `%5C`) stay as they are: decoding them would change which segments there are.

/// Writes the normalised form of `path` (with query, which stays untouched) to `out`; `false` if it already was in
/// that form and `out` is of no use. A path that climbs above the root stays at the root.
pub fn normalize(path: &[u8], merge_slashes: bool, out: &mut Vec<u8>) -> bool {
    out.clear();
    if path.first() != Some(&b'/') {
        return false;
    }
    let end = super::request::path_without_query(path).len();
    let (bare, query) = path.split_at(end);
    if is_plain(bare, merge_slashes) {
        return false;
    }
    let mut rest = bare;
    while !rest.is_empty() {
        rest = take_byte(rest, out);
        if out.last() == Some(&b'/') {
            end_segment(out);
        }
    }
    end_last_segment(out);
    // Only now: `..` takes the empty segment between two slashes, as in Envoy.
    if merge_slashes {
        out.dedup_by(|next, kept| *next == b'/' && *kept == b'/');
    }
    out.extend_from_slice(query);
    out != path
}

/// Most paths have nothing to normalise: no percent sign, no backslash, no segment that starts with a dot.
fn is_plain(path: &[u8], merge_slashes: bool) -> bool {
    if memchr::memchr2(b'%', b'\\', path).is_some() {
        return false;
    }
    memchr::memchr_iter(b'/', path).all(|slash| match path.get(slash + 1) {
        Some(b'.') => false,
        Some(b'/') => !merge_slashes,
        _ => true,
    })
}

fn take_byte<'a>(rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    match rest {
        [b'%', high, low, after @ ..] => match decoded(*high, *low) {
            Some(byte) if is_unreserved(byte) => {
                out.push(byte);
                after
            }
            _ => {
                out.push(b'%');
                &rest[1..]
            }
        },
        [b'\\', after @ ..] => {
            out.push(b'/');
            after
        }
        [byte, after @ ..] => {
            out.push(*byte);
            after
        }
        [] => rest,
    }
}

/// `out` has just got a slash: resolves the segment in front of it.
fn end_segment(out: &mut Vec<u8>) {
    if out.ends_with(b"/./") {
        out.truncate(out.len() - 2);
    } else if out.ends_with(b"/../") {
        remove_segment(out, 3);
    }
}

/// The path is over without a slash: `/a/.` is `/a/`, `/a/..` is `/`.
fn end_last_segment(out: &mut Vec<u8>) {
    if out.ends_with(b"/.") {
        out.pop();
    } else if out.ends_with(b"/..") {
        remove_segment(out, 2);
    }
}

/// Drops `dots` trailing bytes (the dots and what follows them) and the segment before, keeping its leading slash.
fn remove_segment(out: &mut Vec<u8>, dots: usize) {
    out.truncate(out.len() - dots);
    if out.len() > 1 {
        out.pop();
        let slash = memchr::memrchr(b'/', out).unwrap_or(0);
        out.truncate(slash + 1);
    }
}

fn decoded(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|value| value as u8);
    Some(digit(high)? << 4 | digit(low)?)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalized(path: &str, merge_slashes: bool) -> String {
        let mut out = vec![];
        let changed = normalize(path.as_bytes(), merge_slashes, &mut out);
        if changed { String::from_utf8(out).unwrap() } else { path.to_owned() }
    }

    #[test]
    fn table() {
        for (path, expected) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/b/..", "/a/"),
            ("/a/b/.", "/a/b/"),
            ("/../../etc", "/etc"),
            ("/..", "/"),
            ("/%2e%2e/x", "/x"),
            ("/a/%2E%2e/b", "/b"),
            ("/a%2fb", "/a%2fb"),
            ("/..%2f..%2fetc", "/..%2f..%2fetc"),
            ("/a\\..\\b", "/b"),
            ("/%41%7e", "/A~"),
            ("/%zz%4", "/%zz%4"),
            ("/a//b", "/a//b"),
            ("/a//../b", "/a/b"),
            ("/.hidden/..x", "/.hidden/..x"),
            ("/a/../b?x=/../y%41", "/b?x=/../y%41"),
            ("*", "*"),
        ] {
            assert_eq!(normalized(path, false), expected, "{path}");
            assert_eq!(normalized(expected, false), expected, "twice: {path}");
        }
        assert_eq!(normalized("/a//b///c", true), "/a/b/c");
        assert_eq!(normalized("//a", true), "/a");
        assert_eq!(normalized("/a//../b", true), "/a/b");
        assert_eq!(normalized("/a//b/..//?//", true), "/a/?//");
        assert_eq!(normalized("/a%2f%2fb", true), "/a%2f%2fb");
    }
}
