//! Reads requests.txt.

use sidering_control::explain::{Question, World};

/// One request, as it is sent to everybody.
pub(super) struct Request {
    /// As it stands in the file, without its alternatives: its name among the differences.
    pub(super) text: String,
    pub(super) listener: String,
    pub(super) question: Question,
}

/// All requests, in their order; one that stands there twice counts once.
pub(super) fn read(text: &str) -> Vec<Request> {
    let mut texts: Vec<String> = vec![];
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        for expanded in expand(line) {
            if !texts.contains(&expanded) {
                texts.push(expanded);
            }
        }
    }
    texts.into_iter().map(request).collect()
}

/// A line with each combination of its alternatives.
fn expand(line: &str) -> Vec<String> {
    // Braces without an alternative are themselves.
    let spans = line.match_indices('{').filter_map(|(open, _)| {
        let close = open + line[open..].find('}')?;
        line[open..close].contains('|').then_some((open, close))
    });
    let Some((open, close)) = spans.into_iter().next() else { return vec![line.to_owned()] };
    let (before, after) = (&line[..open], &line[close + 1..]);
    let choices = line[open + 1..close].split('|');
    choices.flat_map(|choice| expand(&format!("{before}{choice}{after}"))).collect()
}

fn request(text: String) -> Request {
    let mut parts = text.split("; ");
    let words: Vec<&str> = parts.next().unwrap_or_default().split(' ').collect();
    let [method, listener, host, target] = words[..] else { panic!("not four words: {text}") };
    let headers = parts.map(|part| {
        let (name, value) = part.split_once(": ").unwrap_or_else(|| panic!("{part} is no header: {text}"));
        (name.to_owned(), unescape(value))
    });
    let question = Question {
        words: text.clone(),
        method: method.to_owned(),
        target: unescape(target),
        authority: (host != "-").then(|| unescape(host)),
        is_https: false,
        headers: headers.collect(),
        call: None,
        body: String::new(),
        listener: Some(listener.to_owned()),
        world: World::default(),
    };
    Request { listener: listener.to_owned(), question, text }
}

/// `\n` is nothing, `\x20` a byte.
fn unescape(text: &str) -> String {
    let mut parts = text.replace("\\n", "").split("\\x").map(str::to_owned).collect::<Vec<_>>().into_iter();
    let mut out = parts.next().unwrap_or_default();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        out.push(char::from(u8::from_str_radix(digits, 16).expect("two hexadecimal digits")));
        out.push_str(rest);
    }
    out
}

#[test]
fn alternatives_and_escapes() {
    assert_eq!(expand("a {b|c}{1|2}{x}"), ["a b1{x}", "a b2{x}", "a c1{x}", "a c2{x}"]);
    assert_eq!(unescape("a\\x20b\\n"), "a b");
    let all = read("# comment\nGET web - /; x-a: {1|\\n}\nGET web - /; x-a: 1\n");
    assert_eq!(all.len(), 2);
    assert_eq!(all[1].question.headers, [("x-a".to_owned(), String::new())]);
    assert_eq!(all[0].question.authority, None);
}
