//! A YAML document as a tree in which every key and value knows its place; texts are the document's own. It knows nothing of the configuration.

use super::problem::{Place, Problems};
use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Tree<'t> {
    pub(super) place: Place,
    pub(super) value: Value<'t>,
}

#[derive(Debug, Clone)]
pub(super) enum Value<'t> {
    Null,
    Text(Text<'t>),
    Sequence(Vec<Tree<'t>>),
    Mapping(Vec<Entry<'t>>),
}

/// A scalar.
#[derive(Debug, Clone)]
pub(super) struct Text<'t> {
    pub(super) text: Cow<'t, str>,
    /// Written without quotes: only then it may be a number or a boolean.
    pub(super) plain: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Entry<'t> {
    pub(super) key: Cow<'t, str>,
    pub(super) place: Place,
    pub(super) value: Tree<'t>,
}

impl<'t> Tree<'t> {
    /// What a mapping has under this key, without saying that the key is known.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry<'t>> {
        match &self.value {
            Value::Mapping(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// What the value is, for messages.
    pub(super) fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Text(text) if text.text.len() <= 60 => format!("`{}`", text.text.escape_debug()),
            Value::Text(_) => "a long text".to_owned(),
            Value::Sequence(_) => "a list".to_owned(),
            Value::Mapping(_) => "a mapping".to_owned(),
        }
    }
}

/// Nesting deeper than this is refused.
const DEPTH: usize = 32;
/// Values in a document, those repeated by aliases included.
const NODES: usize = 1_000_000;

/// Reads the one document of `text`. `None` if it could not be read; the error is then among the problems.
pub(super) fn parse<'t>(text: &'t str, problems: &Problems) -> Option<Tree<'t>> {
    let options = granit_parser::options! {
        flow_nesting_limit: DEPTH,
        block_nesting_limit: DEPTH,
        disallow_directives: true,
        emit_unresolved_aliases: true,
    };
    let parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder { parser, problems, anchors: HashMap::new(), nodes: 0 };
    let tree = builder.document().ok()?;
    Some(tree)
}

/// Reading cannot go on; the reason is among the problems already.
struct Stopped;

struct Builder<'t, 'p> {
    parser: Parser<'t, StrInput<'t>>,
    problems: &'p Problems,
    /// Whole values by anchor, with how many values they hold. An alias inside its own anchor finds nothing here.
    anchors: HashMap<usize, (Tree<'t>, usize)>,
    nodes: usize,
}

impl<'t> Builder<'t, '_> {
    fn document(&mut self) -> Result<Tree<'t>, Stopped> {
        let mut root = None;
        loop {
            let (event, span) = self.event()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if root.is_some() => {
                    return self.stop(place_of(&span), "a second document", "one document in a file");
                }
                Event::DocumentStart(..) => {
                    let (event, span) = self.event()?;
                    root = Some(self.value(event, &span)?);
                }
                _ => return self.stop(place_of(&span), "content outside of the document", "one document"),
            }
        }
        Ok(root.unwrap_or(Tree { place: Place { line: 1, column: 1, width: 1 }, value: Value::Null }))
    }

    fn event(&mut self) -> Result<(Event<'t>, Span), Stopped> {
        match self.parser.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let place = Place {
                    line: error.marker().line() as u32,
                    column: error.marker().col() as u32 + 1,
                    width: 1,
                };
                self.stop(place, format!("not YAML: {}", error.info()), hint(&error.info()))
            }
            None => self.stop(Place::default(), "the file ends in the middle", "a whole document"),
        }
    }

    fn value(&mut self, event: Event<'t>, span: &Span) -> Result<Tree<'t>, Stopped> {
        let place = place_of(span);
        self.count(place, 1)?;
        let before = self.nodes;
        let (value, anchor, tag) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.map(Cow::into_owned);
                let forced = tag.as_ref().is_some_and(|tag| tag.suffix() == "str");
                let plain = style == ScalarStyle::Plain && !forced;
                (scalar(text, plain), anchor, tag)
            }
            Event::SequenceStart(_, anchor, tag) => (self.sequence()?, anchor, tag.map(Cow::into_owned)),
            Event::MappingStart(_, anchor, tag) => (self.mapping()?, anchor, tag.map(Cow::into_owned)),
            Event::Alias(anchor) => return self.alias(anchor, place),
            Event::UnresolvedAlias(name) => {
                let message = format!("`*{name}` refers to no anchor");
                self.problems.error(
                    place,
                    message,
                    "an anchor `&name` before it; a text that begins with * needs quotes",
                );
                return Ok(Tree { place, value: Value::Null });
            }
            _ => return self.stop(place, "no value here", "a value"),
        };
        if let Some(tag) = tag.filter(|tag| tag.handle() != "tag:yaml.org,2002:") {
            let message = format!("the tag `{}{}`", tag.original_handle(), tag.suffix());
            self.problems.error(place, message, "no tags");
        }
        let tree = Tree { place, value };
        if anchor != 0 {
            self.anchors.insert(anchor, (tree.clone(), self.nodes - before + 1));
        }
        Ok(tree)
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<Tree<'t>, Stopped> {
        let Some((tree, nodes)) = self.anchors.get(&anchor).cloned() else {
            return self.stop(
                place,
                "an alias inside the value it stands for",
                "an alias to a value before it",
            );
        };
        self.count(place, nodes)?;
        Ok(tree)
    }

    fn sequence(&mut self) -> Result<Value<'t>, Stopped> {
        let mut items = vec![];
        loop {
            match self.event()? {
                (Event::SequenceEnd, _) => return Ok(Value::Sequence(items)),
                (event, span) => items.push(self.value(event, &span)?),
            }
        }
    }

    fn mapping(&mut self) -> Result<Value<'t>, Stopped> {
        let mut entries: Vec<Entry<'t>> = vec![];
        let mut keys: HashSet<Cow<'t, str>> = HashSet::new();
        loop {
            let (event, span) = self.event()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(Value::Mapping(entries));
            }
            let key = self.value(event, &span)?;
            let place = key.place;
            let (event, span) = self.event()?;
            let value = self.value(event, &span)?;
            let Value::Text(Text { text: key, .. }) = key.value else {
                self.problems.error(place, format!("{} as a key", key.describe()), "a name");
                continue;
            };
            if !keys.insert(key.clone()) {
                let first = entries.iter().find(|entry| entry.key == key).map_or(0, |entry| entry.place.line);
                self.problems.error(
                    place,
                    format!("`{key}` is given twice"),
                    format!("once; first on line {first}"),
                );
                continue;
            }
            entries.push(Entry { key, place, value });
        }
    }

    fn count(&mut self, place: Place, nodes: usize) -> Result<(), Stopped> {
        self.nodes += nodes;
        if self.nodes > NODES {
            return self.stop(
                place,
                "too many values",
                format!("at most {NODES}, those repeated by aliases included"),
            );
        }
        Ok(())
    }

    fn stop<T>(
        &self,
        place: Place,
        message: impl Into<String>,
        expected: impl Into<String>,
    ) -> Result<T, Stopped> {
        self.problems.error(place, message, expected);
        Err(Stopped)
    }
}

fn scalar(text: Cow<'_, str>, plain: bool) -> Value<'_> {
    if plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    Value::Text(Text { text, plain })
}

fn place_of(span: &Span) -> Place {
    let width = if span.start.line() == span.end.line() {
        span.end.col().saturating_sub(span.start.col())
    } else {
        1
    };
    Place { line: span.start.line() as u32, column: span.start.col() as u32 + 1, width: width.max(1) as u32 }
}

/// What mostly lies behind a syntax error.
fn hint(message: &str) -> &'static str {
    if message.contains("tab") {
        "spaces: YAML is not indented with tabs"
    } else if message.contains("anchor") || message.contains("alias") {
        "quotes around a text that begins with * or &"
    } else if message.contains("mapping values") {
        "`key: value` in the right indentation, and quotes around a text with `: ` in it"
    } else {
        "YAML; look at the indentation and quotes here and on the line before"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> Vec<(u32, u32, String)> {
        let problems = Problems::default();
        parse(text, &problems);
        let list = problems.into_sorted();
        list.into_iter().map(|problem| (problem.place.line, problem.place.column, problem.message)).collect()
    }

    #[test]
    fn values_know_their_places() {
        let problems = Problems::default();
        let tree = parse("a: 1\nlist:\n- 'x'\n- {b: }\n", &problems).unwrap();
        let Value::Mapping(entries) = tree.value else { panic!() };
        assert_eq!(entries[0].value.place, Place { line: 1, column: 4, width: 1 });
        assert_eq!(entries[1].place, Place { line: 2, column: 1, width: 4 });
        let Value::Sequence(items) = &entries[1].value.value else { panic!() };
        assert_eq!(items[0].place, Place { line: 3, column: 3, width: 3 });
        assert!(matches!(&items[0].value, Value::Text(text) if !text.plain && text.text == "x"));
        let Value::Mapping(inner) = &items[1].value else { panic!() };
        assert!(matches!(inner[0].value.value, Value::Null));
    }

    #[test]
    fn duplicates_tags_and_bad_aliases_are_told_and_reading_goes_on() {
        let list = errors("a: 1\na: 2\nb: !x 1\nc: *nowhere\n[d]: 1\n");
        let places: Vec<_> = list.iter().map(|(line, column, _)| (*line, *column)).collect();
        assert_eq!(places, [(2, 1), (3, 7), (4, 4), (5, 1)], "{list:?}");
    }

    #[test]
    fn an_alias_repeats_a_value() {
        let problems = Problems::default();
        let tree = parse("a: &x [1, 2]\nb: *x\n", &problems).unwrap();
        let Value::Mapping(entries) = tree.value else { panic!() };
        assert!(matches!(&entries[1].value.value, Value::Sequence(items) if items.len() == 2));
        assert!(problems.into_sorted().is_empty());
    }

    #[test]
    fn bombs_are_refused() {
        let mut text = "a0: &a0 [x]\n".to_owned();
        for level in 1..8 {
            let items = vec![format!("*a{}", level - 1); 10].join(", ");
            text += &format!("a{level}: &a{level} [{items}]\n");
        }
        assert!(errors(&text)[0].2.contains("too many values"));
        assert!(!errors(&"[".repeat(100)).is_empty());
        assert!(!errors("a: &a [*a]\n").is_empty());
        assert!(errors("a: 1\n---\nb: 1\n")[0].2.contains("second document"));
    }

    #[test]
    fn nothing_panics() {
        for text in
            ["", "\u{feff}", "\t", "a:\n\t- b", "'", "- - -", "? a\n: b", "%YAML 1.2\n---\na", "\0", "&", "*"]
        {
            errors(text);
        }
    }
}
