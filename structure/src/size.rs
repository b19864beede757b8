//! Files that one reads in one go, functions that fit a screen.

use crate::{Finding, Source};

/// A file has fewer lines than this.
pub const FILE_LINES: usize = 600;
/// A function has fewer lines than this, from `fn` to its closing brace.
pub const FUNCTION_LINES: usize = 70;

/// The file, if it is too long.
#[must_use]
pub fn long_file(source: &Source) -> Option<Finding> {
    let lines = source.text.lines().count();
    let message =
        format!("{lines} lines; a file has fewer than {FILE_LINES}: give one of its ideas a file of its own");
    (lines >= FILE_LINES).then(|| Finding::new(&source.file, FILE_LINES, message))
}

/// The functions that are too long.
#[must_use]
pub fn long_functions(source: &Source) -> Vec<Finding> {
    let tokens = &source.tokens;
    let starts = (0..tokens.len()).filter(|at| tokens[*at].text == "fn" && tokens[*at].is_word);
    let functions = starts.filter_map(|start| {
        let name = tokens.get(start + 1).filter(|name| name.is_word)?;
        let (first, last) = (tokens[start].line, tokens[source.closing(body(source, start)?)].line);
        Some((first, last + 1 - first, &name.text))
    });
    functions
        .filter(|(_, lines, _)| *lines >= FUNCTION_LINES)
        .map(|(line, lines, name)| finding(source, line, lines, name))
        .collect()
}

fn finding(source: &Source, line: usize, lines: usize, name: &str) -> Finding {
    let message =
        format!("{name} has {lines} lines; a function has fewer than {FUNCTION_LINES}: name a part of it");
    Finding::new(&source.file, line, message)
}

/// Where the body of the function at `start` opens; `None` for one without a body.
fn body(source: &Source, start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        match source.tokens.get(at)?.text.as_str() {
            "{" => return Some(at),
            ";" => return None,
            "(" | "[" => at = source.closing(at) + 1,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::read("a.rs", text).unwrap()
    }

    fn function(lines: usize) -> String {
        format!("fn long(a: [u8; 2])\n{{{}}}", "\n".repeat(lines - 2))
    }

    #[test]
    fn files_at_the_bound() {
        assert_eq!(long_file(&source(&"\n".repeat(FILE_LINES - 1))), None);
        assert!(long_file(&source(&"\n".repeat(FILE_LINES))).is_some());
    }

    #[test]
    fn functions_at_the_bound() {
        assert_eq!(long_functions(&source(&function(FUNCTION_LINES - 1))), []);
        let found = long_functions(&source(&format!("\nmod a {{\n{}\n}}", function(FUNCTION_LINES))));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 3);
        assert!(found[0].message.starts_with("long has 70 lines"), "{}", found[0]);
    }

    #[test]
    fn a_long_body_in_a_macro_counts_and_a_declaration_does_not() {
        let text = format!("macro_rules! m {{ () => {{ {} }} }}", function(FUNCTION_LINES));
        assert_eq!(long_functions(&source(&text)).len(), 1);
        let text = format!("trait A {{ fn a(b: fn(u8)); {} }}", "\n".repeat(100));
        assert_eq!(long_functions(&source(&text)), []);
    }
}
