//! Takes texts with `%OPERATOR(argument):limit%` in them apart (Envoy's substitution format). It knows no operator.

/// A part of a format.
pub(crate) enum Part<T> {
    Text(String),
    Value(T),
}

/// Why a format was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatError {
    /// Characters from the start of the format.
    pub offset: usize,
    /// Characters that are wrong.
    pub width: usize,
    pub message: String,
    pub expected: String,
}

/// Takes a format apart; `read` is asked for each operator's name, its argument in parentheses and its limit behind a
/// colon, and an error of its tells what was expected.
pub(crate) fn split<T>(
    source: &str,
    mut read: impl FnMut(&str, Option<&str>, Option<usize>) -> Result<T, String>,
) -> Result<Vec<Part<T>>, FormatError> {
    let mut pieces = vec![];
    let mut literal = String::new();
    let mut rest = source;
    while let Some((before, behind)) = rest.split_once('%') {
        literal.push_str(before);
        let start = source.len() - behind.len() - 1;
        if let Some(behind) = behind.strip_prefix('%') {
            literal.push('%');
            rest = behind;
            continue;
        }
        let operator = read_operator(behind, &mut read);
        let (operator, behind) = operator.map_err(|(length, message, expected)| FormatError {
            offset: source[..start].chars().count(),
            width: source[start..start + 1 + length].chars().count(),
            message,
            expected,
        })?;
        if !literal.is_empty() {
            pieces.push(Part::Text(std::mem::take(&mut literal)));
        }
        pieces.push(Part::Value(operator));
        rest = behind;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Part::Text(literal));
    }
    Ok(pieces)
}

/// How many bytes are wrong, what is wrong, and what was expected.
type Mistake = (usize, String, String);

/// Reads an operator behind its first percent sign, and tells what follows its last.
fn read_operator<'s, T>(
    text: &'s str,
    read: &mut impl FnMut(&str, Option<&str>, Option<usize>) -> Result<T, String>,
) -> Result<(T, &'s str), Mistake> {
    let name_length = text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    let (name, mut rest) = text.split_at(name_length);
    let mut argument = None;
    if let Some(behind) = rest.strip_prefix('(') {
        let Some((inside, behind)) = behind.split_once(')') else {
            return Err((text.len(), format!("%{name}( is not closed"), "a closing parenthesis".to_owned()));
        };
        argument = Some(inside);
        rest = behind;
    }
    let mut limit = None;
    if let Some(behind) = rest.strip_prefix(':') {
        let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
        limit = behind[..digits].parse().ok();
        if limit.is_none() || argument.is_none() {
            let length = text.len() - behind.len() + digits;
            return Err((length, format!("a bad limit behind %{name}"), "%REQ(X):LENGTH%".to_owned()));
        }
        rest = &behind[digits..];
    }
    let length = text.len() - rest.len();
    let Some(behind) = rest.strip_prefix('%') else {
        let expected = "%NAME% or %NAME(argument)%; a percent sign itself is %%".to_owned();
        return Err((length, "an operator without its closing %".to_owned(), expected));
    };
    match read(name, argument, limit) {
        Ok(operator) => Ok((operator, behind)),
        Err(expected) => Err((length + 1, format!("`%{}%` is not understood", &text[..length]), expected)),
    }
}
