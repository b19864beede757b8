//! Path templates as Envoy's URI templates have them: `/users/{id}`, `/*/{rest=**}.json`.
//!
//! `*` and `{name}` stand for one segment, `**` for any number of bytes across segments, once and as the last of them.
//! Only characters that may stand in a path (RFC 3986 `pchar`, without `*` and `=`) are taken, as Envoy does it. What a
//! glob takes is decided by what follows it, so that matching goes through the path once and never back.

/// Envoy's bounds: variables of a template, and bytes of a variable's name.
pub const VARIABLES: usize = 5;
const NAME_BYTES: usize = 16;
/// The longest template that is taken.
const TEMPLATE_BYTES: usize = 4096;

/// A compiled template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    source: Box<str>,
    parts: Box<[Part]>,
    /// Segments that are literal and as many slashes from the beginning.
    segments: Box<[(u8, Box<str>)]>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    /// Slashes included.
    Literal(Box<str>),
    /// `*`: up to the next slash, or to a literal that ends the path.
    Segment,
    /// `**`: up to a literal that ends the path.
    Any,
}

impl Template {
    /// Compiles a template; an error says what was expected.
    pub fn new(source: &str) -> Result<Template, &'static str> {
        if source.len() > TEMPLATE_BYTES {
            return Err("a template of at most 4KiB");
        }
        let rest = source.strip_prefix('/').ok_or("a template that begins with /")?;
        let mut reading = Reading::default();
        reading.push_literal("/");
        reading.path(rest)?;
        let Reading { parts, segments, .. } = reading;
        Ok(Template { source: source.into(), parts: parts.into(), segments: segments.into() })
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it describes the whole path.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        takes(&self.parts, path)
    }

    /// What every path it takes begins with.
    #[must_use]
    pub fn literal(&self) -> &str {
        match self.parts.first() {
            Some(Part::Literal(text)) => text,
            _ => "",
        }
    }

    /// The segments that are the same in every path it takes: number, from 0, and text.
    pub(super) fn segments(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.segments.iter().map(|(number, text)| (*number, text.as_bytes()))
    }
}

fn takes(parts: &[Part], path: &[u8]) -> bool {
    let mut rest = path;
    let mut parts = parts.iter().peekable();
    while let Some(part) = parts.next() {
        let (glob, after) = match part {
            Part::Literal(text) => match rest.strip_prefix(text.as_bytes()) {
                Some(after) => (None, after),
                None => return false,
            },
            Part::Segment => match parts.next_if(|next| is_suffix(next)) {
                Some(suffix) => (before(rest, suffix), &[][..]),
                None => {
                    let (segment, after) = rest.split_at(memchr::memchr(b'/', rest).unwrap_or(rest.len()));
                    (Some(segment), after)
                }
            },
            Part::Any => {
                let glob = match parts.next() {
                    Some(suffix) => before(rest, suffix),
                    None => Some(rest),
                };
                return glob.is_some_and(|glob| glob.iter().all(|byte| *byte == b'/' || is_path_byte(*byte)));
            }
        };
        if *part == Part::Segment
            && !glob
                .is_some_and(|segment| !segment.is_empty() && segment.iter().all(|byte| is_path_byte(*byte)))
        {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

/// Whether it follows a glob within its segment, which it then ends together with the path.
fn is_suffix(part: &Part) -> bool {
    matches!(part, Part::Literal(text) if !text.starts_with('/'))
}

fn before<'p>(rest: &'p [u8], suffix: &Part) -> Option<&'p [u8]> {
    match suffix {
        Part::Literal(text) => rest.strip_suffix(text.as_bytes()),
        _ => None,
    }
}

/// What a glob takes; in templates `=` and `*` mean something else.
fn is_path_byte(byte: u8) -> bool {
    is_literal_byte(byte) || matches!(byte, b'=' | b'*')
}

fn is_literal_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&' | b'\'')
        || matches!(byte, b'(' | b')' | b'+' | b',' | b';' | b':' | b'@')
}

#[derive(Default)]
struct Reading<'s> {
    parts: Vec<Part>,
    names: Vec<&'s str>,
    seen_any: bool,
    segment: usize,
    segments: Vec<(u8, Box<str>)>,
}

impl<'s> Reading<'s> {
    fn path(&mut self, mut rest: &'s str) -> Result<(), &'static str> {
        while !rest.is_empty() {
            rest = match rest.strip_prefix('{') {
                Some(inner) => self.variable(inner)?,
                None => self.part(rest)?,
            };
            if rest.is_empty() {
                break;
            }
            match rest.strip_prefix('/') {
                Some(after) => {
                    self.next_segment();
                    rest = after;
                }
                None => {
                    // It belongs to the segment before it.
                    self.segments.retain(|(number, _)| usize::from(*number) != self.segment);
                    let after = self.literal(rest)?;
                    return if after.is_empty() { Ok(()) } else { Err("nothing after the suffix of a glob") };
                }
            }
        }
        Ok(())
    }

    fn next_segment(&mut self) {
        self.push_literal("/");
        self.segment += 1;
    }

    fn push_literal(&mut self, text: &str) {
        if let Some(Part::Literal(before)) = self.parts.last_mut() {
            *before = format!("{before}{text}").into();
        } else {
            self.parts.push(Part::Literal(text.into()));
        }
    }

    /// A segment, or the part of one in a variable: `*`, `**` or a literal up to the next slash; tells what is left.
    fn part(&mut self, rest: &'s str) -> Result<&'s str, &'static str> {
        let (glob, after) = match (rest.strip_prefix("**"), rest.strip_prefix('*')) {
            (Some(after), _) => (Part::Any, after),
            (None, Some(after)) => (Part::Segment, after),
            (None, None) => {
                let after = self.literal(rest)?;
                self.note_segment(&rest[..rest.len() - after.len()]);
                return Ok(after);
            }
        };
        if self.seen_any {
            return Err("no other glob behind **");
        }
        self.seen_any = glob == Part::Any;
        self.parts.push(glob);
        Ok(after)
    }

    /// Behind a deep glob the number of a segment is not known.
    fn note_segment(&mut self, text: &str) {
        if let (Ok(number), false) = (u8::try_from(self.segment), self.seen_any) {
            self.segments.push((number, text.into()));
        }
    }

    fn literal(&mut self, rest: &'s str) -> Result<&'s str, &'static str> {
        let end = rest.find('/').unwrap_or(rest.len());
        let (literal, after) = rest.split_at(end);
        if literal.is_empty() || !literal.bytes().all(is_literal_byte) {
            return Err("segments of letters, digits and -._~%!$&'()+,;:@, or *, **, {name}, {name=...}");
        }
        self.push_literal(literal);
        Ok(after)
    }

    fn variable(&mut self, inner: &'s str) -> Result<&'s str, &'static str> {
        let (inner, after) = inner.split_once('}').ok_or("a } that ends the variable")?;
        let (name, parts) = inner.split_once('=').unwrap_or((inner, "*"));
        let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name || name.len() > NAME_BYTES {
            return Err("a variable's name of 1 to 16 letters, digits and _, the first a letter");
        }
        if self.names.contains(&name) {
            return Err("each variable once");
        }
        self.names.push(name);
        if self.names.len() > VARIABLES {
            return Err("at most 5 variables");
        }
        let mut rest = parts;
        loop {
            rest = self.part(rest)?;
            match rest.strip_prefix('/') {
                _ if rest.is_empty() => return Ok(after),
                Some(more) if !more.is_empty() => {
                    self.next_segment();
                    rest = more;
                }
                _ => return Err("whole segments within a variable"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_take_what_envoy_documents() {
        for (source, takes, leaves) in [
            (
                "/users/{id}",
                &["/users/1", "/users/a.b", "/users/a=b*"][..],
                &["/users/", "/users/1/x", "/users", "/users/a[b"][..],
            ),
            ("/*/b", &["/a/b"], &["//b", "/a/a/b"]),
            ("/**", &["/", "/a", "/a/b/"], &["", "a"]),
            ("/a/**", &["/a/", "/a/b/c"], &["/a", "/ab"]),
            ("/{format}/{country=**}.json", &["/x/y/z.json", "/x/.json"], &["/x/y.jso", "/x.json"]),
            ("/{a=v1/*}/x", &["/v1/b/x"], &["/v2/b/x", "/v1/x"]),
            ("/a.b/", &["/a.b/"], &["/axb/", "/a.b"]),
            ("/*.m3u8", &["/x.m3u8"], &["/.m3u8", "/a/x.m3u8"]),
            ("/", &["/"], &["/a"]),
        ] {
            let template = Template::new(source).unwrap();
            for path in takes {
                assert!(template.matches(path.as_bytes()), "{source} {path}");
            }
            for path in leaves {
                assert!(!template.matches(path.as_bytes()), "{source} {path}");
            }
        }
    }

    #[test]
    fn what_envoy_refuses_is_refused() {
        for source in [
            "users",
            "",
            "/a//b",
            "/{id",
            "/{}",
            "/{1a}",
            "/{a}/{a}",
            "/**/*",
            "/**/{a}",
            "/{a=**}/{b=**}",
            "/a*b/c",
            "/{a=}",
            "/{a=*/}",
            "/a b",
            "/a?b",
            "/*x/y",
            "/{abcdefghijklmnopq}",
            "/{a}/{b}/{c}/{d}/{e}/{f}",
        ] {
            assert!(Template::new(source).is_err(), "{source}");
        }
        for source in ["/{abcdefghijklmnop}", "/{a}/{b}/{c}/{d}/{e}", "/**/a", "/{a=**}/b"] {
            assert!(Template::new(source).is_ok(), "{source}");
        }
    }

    #[test]
    fn fixed_segments_are_known_up_to_the_first_deep_glob() {
        let segments = |source: &str| {
            let template = Template::new(source).unwrap();
            template
                .segments()
                .map(|(at, text)| (at, String::from_utf8_lossy(text).into_owned()))
                .collect::<Vec<_>>()
        };
        let expected: Vec<(u8, String)> = vec![(0, "users".into()), (2, "orders".into())];
        assert_eq!(segments("/users/{id}/orders"), expected);
        assert_eq!(segments("/{a=v1}.json"), []);
        let expected: Vec<(u8, String)> = vec![(0, "v".into()), (2, "x".into())];
        assert_eq!(segments("/{a=v/*}/x/**"), expected);
    }

    /// Envoy makes an expression of a template; this is what it makes of the ones below.
    #[test]
    fn templates_take_what_the_expressions_take_that_envoy_makes_of_them() {
        const SEGMENT: &str = "[-a-zA-Z0-9._~%!$&'()+,;:@=*]+";
        const ANY: &str = "[-a-zA-Z0-9._~%!$&'()+,;:@=*/]*";
        let pieces = ["/", "a", "b", ".x", "=", "*", "[", "//", "/a/", "%2F"];
        for (template, expression) in [
            ("/a/{b}", format!("/a/{SEGMENT}")),
            ("/*/{b=a/*}/b", format!("/{SEGMENT}/a/{SEGMENT}/b")),
            ("/{a}.x", format!("/{SEGMENT}\\.x")),
            ("/a/*.x", format!("/a/{SEGMENT}\\.x")),
            ("/**.x", format!("/{ANY}\\.x")),
            ("/*/{r=**}/a", format!("/{SEGMENT}/{ANY}/a")),
            ("/{r=a/**}", format!("/a/{ANY}")),
            ("/a/", "/a/".to_owned()),
        ] {
            let template = Template::new(template).unwrap();
            let pattern = crate::route::Pattern::new(&expression).unwrap();
            for number in 0..8usize.pow(5) {
                let at = |place: u32| pieces[number / 8usize.pow(place) % 8];
                let path: String = std::iter::once("/").chain((0..5).map(at)).collect();
                let path = &path[..path.len() - number % 3];
                assert_eq!(
                    template.matches(path.as_bytes()),
                    pattern.matches(path.as_bytes()),
                    "{template:?} {path}"
                );
            }
        }
    }
}
