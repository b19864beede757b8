//! What the doctor says, as plain data, and how it looks: text in columns for people, JSON for machines. It finds nothing
//! out.

use sidering_control::json::Json;
use std::fmt::Write;

/// Longest line of the text, where words allow it.
const WIDTH: usize = 118;
/// Names and values up to this length stand in columns; longer ones push the rest of their line to the right.
const COLUMN_MAX: usize = 36;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grade {
    /// As it should be.
    Good,
    /// Neither good nor bad.
    Plain,
    /// It costs something; the meaning says what, and what to do.
    Costs,
    /// Something does not work at all without it.
    Stops,
}

impl Grade {
    fn mark(self) -> &'static str {
        match self {
            Grade::Good => "ok",
            Grade::Plain => " ",
            Grade::Costs => "!",
            Grade::Stops => "!!",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Grade::Good => "good",
            Grade::Plain => "plain",
            Grade::Costs => "costs",
            Grade::Stops => "stops",
        }
    }

    /// `Good` if it is so, otherwise `other`.
    pub(crate) fn good_if(is_so: bool, other: Grade) -> Grade {
        if is_so { Grade::Good } else { other }
    }
}

/// One thing that was found.
#[derive(Debug, Clone)]
pub(crate) struct Fact {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) grade: Grade,
    /// What it is for, or what its absence costs and what to do.
    pub(crate) meaning: String,
}

impl Fact {
    pub(crate) fn new(
        name: impl Into<String>,
        value: impl Into<String>,
        grade: Grade,
        meaning: impl Into<String>,
    ) -> Fact {
        Fact { name: name.into(), value: value.into(), grade, meaning: meaning.into() }
    }
}

/// Facts about one subject.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) facts: Vec<Fact>,
}

/// Everything.
pub(crate) struct Report {
    pub(crate) version: &'static str,
    pub(crate) sections: Vec<Section>,
    /// What `engine: auto` runs on, if anything.
    pub(crate) engine: Option<&'static str>,
    pub(crate) reason: String,
}

impl Report {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("sidering {}\n", self.version);
        for section in &self.sections {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "\n{}", section.title);
            let name = column(section.facts.iter().map(|fact| &fact.name));
            let value = column(section.facts.iter().map(|fact| &fact.value));
            for Fact { name: known, value: found, grade, meaning } in &section.facts {
                let start = format!("  {:<3}{known:<name$}  {found:<value$}  ", grade.mark());
                wrap(&mut text, &start, 5 + name + 2 + value + 2, meaning);
            }
        }
        let _ = writeln!(text, "\n{}", self.verdict());
        text
    }

    fn verdict(&self) -> String {
        let graded = |grade| {
            self.sections.iter().flat_map(|section| &section.facts).filter(move |fact| fact.grade == grade)
        };
        let costs = match graded(Grade::Costs).count() {
            0 => String::new(),
            1 => "; what is marked ! costs something".to_owned(),
            count => format!("; {count} things, marked !, cost something"),
        };
        match self.engine {
            Some(engine) => format!("verdict: engine auto runs on {engine}{costs}"),
            None => format!("verdict: no engine can run here: {}", self.reason),
        }
    }

    /// For machines.
    pub(crate) fn json(&self) -> String {
        Json::document(|json| {
            json.key("version").text(self.version);
            json.key("engine").text(self.engine.unwrap_or("none"));
            json.key("reason").text(&self.reason);
            json.key("sections").list(&self.sections, |json, section| {
                json.object(|json| {
                    json.key("title").text(section.title);
                    json.key("facts").list(&section.facts, |json, fact| {
                        json.object(|json| {
                            json.key("name").text(&fact.name);
                            json.key("value").text(&fact.value);
                            json.key("grade").text(fact.grade.name());
                            json.key("meaning").text(&fact.meaning);
                        });
                    });
                });
            });
        })
    }
}

fn column<'a>(texts: impl Iterator<Item = &'a String>) -> usize {
    let lengths = texts.map(|text| text.chars().count()).filter(|length| *length <= COLUMN_MAX);
    lengths.max().unwrap_or(0)
}

/// Adds `words` behind `start`, in lines that begin below each other.
fn wrap(text: &mut String, start: &str, indent: usize, words: &str) {
    let mut line = start.to_owned();
    let mut is_empty = true;
    for word in words.split(' ') {
        let length = line.chars().count();
        if !is_empty && length + 1 + word.chars().count() > WIDTH {
            text.push_str(line.trim_end());
            text.push('\n');
            line = " ".repeat(indent);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(engine: Option<&'static str>) -> Report {
        let facts = vec![
            Fact::new("short", "yes", Grade::Good, "fine"),
            Fact::new("a longer name", "no", Grade::Costs, "word ".repeat(40).trim_end()),
        ];
        let sections = vec![Section { title: "things", facts }];
        Report { version: "1", sections, engine, reason: "because".to_owned() }
    }

    #[test]
    fn columns_line_up_and_long_lines_are_wrapped_below_their_beginning() {
        let text = report(Some("epoll")).text();
        let lines: Vec<&str> = text.lines().collect();
        let column = lines[3].find("fine");
        assert_eq!(lines[4].find("word"), column, "{text}");
        assert_eq!(lines[5].find("word"), column, "{text}");
        assert!(lines.iter().all(|line| line.len() <= WIDTH && *line == line.trim_end()), "{text}");
        assert_eq!(text.matches("word").count(), 40);
        assert!(text.ends_with("runs on epoll; what is marked ! costs something\n"), "{text}");
        assert!(report(None).text().contains("no engine can run here: because"));
    }

    #[test]
    fn machines_get_the_same() {
        let json = report(None).json();
        for part in ["\"engine\": \"none\"", "\"name\": \"a longer name\"", "\"grade\": \"costs\""] {
            assert!(json.contains(part), "{part} in {json}");
        }
    }
}
