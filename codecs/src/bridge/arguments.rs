//! JSON values as hessian2 values of Java types.

use super::big_integer::{MAX_DIGITS, words_of};
use super::java_type::{JavaType, Kind, Primitive};
use super::{Classes, Shape, date};
use crate::hessian2::Output;
use crate::json::Json;
use std::fmt;

/// The member of an object that names its class.
const CLASS: &str = "class";

/// What a caller has wrong about an argument, and where it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    place: String,
    what: String,
}

impl Mistake {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Mistake { place: String::new(), what: what.into() }
    }

    fn of(json: &Json<'_>, java_type: &JavaType) -> Self {
        Mistake::new(format!("{} is no {}", shown(json), java_type.name))
    }

    /// The mistake is in this part of something.
    fn inside(mut self, part: impl fmt::Display) -> Self {
        self.place = format!("{part}{}", self.place);
        self
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let between = if self.place.is_empty() { "" } else { ": " };
        write!(formatter, "{}{between}{}", self.place, self.what)
    }
}

/// The arguments of a call, one for each type, and the classes that they may be of.
#[derive(Clone, Copy, Debug)]
pub struct Arguments<'a> {
    /// As the caller wrote them.
    pub values: &'a [Json<'a>],
    /// What may be made.
    pub classes: &'a Classes,
}

impl Arguments<'_> {
    /// Writes all of them, one after the other.
    pub(super) fn write(&self, types: &[JavaType], out: &mut Output<'_>) -> Result<(), Mistake> {
        for (index, (json, java_type)) in self.values.iter().zip(types).enumerate() {
            value(json, java_type, self.classes, out)
                .map_err(|mistake| mistake.inside(format_args!("argument {}", index + 1)))?;
        }
        Ok(())
    }
}

/// The arguments that a body stands for: an array is all of them, anything else is the only one, and no body is none.
pub fn arguments_of(body: Option<Json<'_>>) -> Vec<Json<'_>> {
    match body {
        None => vec![],
        Some(Json::List(items)) => items,
        Some(only) => vec![only],
    }
}

fn value(
    json: &Json<'_>,
    java_type: &JavaType,
    classes: &Classes,
    out: &mut Output<'_>,
) -> Result<(), Mistake> {
    let wrong = || Mistake::of(json, java_type);
    match (&java_type.kind, json) {
        (Kind::Primitive { is_boxed: false, .. }, Json::Null) => return Err(wrong()),
        (_, Json::Null) => out.null(),
        (Kind::Primitive { primitive, .. }, json) => number_or_so(json, *primitive, out).ok_or_else(wrong)?,
        (Kind::Text, Json::Text(text)) => out.text(text),
        (Kind::BigDecimal, Json::Number(digits)) => big_decimal(digits, out),
        (Kind::BigDecimal, Json::Text(digits)) if crate::json::is_number(digits) => big_decimal(digits, out),
        (Kind::BigInteger, Json::Number(digits)) => big_integer(digits, out).ok_or_else(wrong)?,
        (Kind::BigInteger, Json::Text(digits)) => big_integer(digits, out).ok_or_else(wrong)?,
        (Kind::Date, json) => out.date_ms(date_ms(json).ok_or_else(wrong)?),
        (Kind::SqlDate, json) => {
            let ms = date_ms(json).ok_or_else(wrong)?;
            out.begin_object(&java_type.name, ["value"].into_iter());
            out.date_ms(ms);
        }
        (Kind::Object, json) => untyped(json, classes, out)?,
        (Kind::List { class, item }, Json::List(items)) => list(items, *class, item, classes, out)?,
        (Kind::Array(item), json) => array(json, java_type, item, classes, out)?,
        (Kind::Map { class, key, value }, Json::Object(members)) => {
            map(members, *class, key, value, classes, out)?;
        }
        (Kind::Class, Json::Object(members)) => object(members, Some(&java_type.name), classes, out)?,
        (Kind::Class, Json::Text(name)) if takes_names(&java_type.name, classes) => {
            out.begin_object(&java_type.name, ["name"].into_iter());
            out.text(name);
        }
        _ => return Err(wrong()),
    }
    Ok(())
}

/// Whether a string can be the name of an enum's constant.
fn takes_names(class: &str, classes: &Classes) -> bool {
    matches!(classes.shape(class), Some(Shape::Enum | Shape::Unknown))
}

/// A value of a primitive type; `None` if it is none.
fn number_or_so(json: &Json<'_>, primitive: Primitive, out: &mut Output<'_>) -> Option<()> {
    match (primitive, json) {
        (Primitive::Boolean, Json::Bool(value)) => out.bool(*value),
        (Primitive::Char, Json::Text(text)) if text.encode_utf16().count() == 1 => out.text(text),
        // JavaScript's numbers do not hold every long.
        (Primitive::Long, Json::Text(digits)) => out.long(digits.parse().ok()?),
        (Primitive::Long, Json::Number(digits)) => out.long(digits.parse().ok()?),
        (Primitive::Int, Json::Number(digits)) => out.int(digits.parse().ok()?),
        (Primitive::Short, Json::Number(digits)) => out.int(digits.parse::<i16>().ok()?.into()),
        (Primitive::Byte, Json::Number(digits)) => out.int(digits.parse::<i8>().ok()?.into()),
        (Primitive::Double, Json::Number(digits)) => {
            out.double(digits.parse().ok().filter(|value: &f64| value.is_finite())?);
        }
        (Primitive::Float, Json::Number(digits)) => {
            out.double(digits.parse().ok().filter(|value: &f32| value.is_finite())?.into());
        }
        _ => return None,
    }
    Some(())
}

fn big_decimal(digits: &str, out: &mut Output<'_>) {
    out.begin_object("java.math.BigDecimal", ["value"].into_iter());
    out.text(digits);
}

/// As its fields have it: a sign, and words of 32 bits.
fn big_integer(text: &str, out: &mut Output<'_>) -> Option<()> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_whole =
        (1..=MAX_DIGITS).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let words = is_whole.then(|| words_of(digits))?;
    let sign = match (words.is_empty(), digits.len() < text.len()) {
        (true, _) => 0,
        (false, true) => -1,
        (false, false) => 1,
    };
    out.begin_object("java.math.BigInteger", ["signum", "mag"].into_iter());
    out.int(sign);
    out.begin_list(Some("[int"), words.len());
    for word in words {
        out.int(word.cast_signed());
    }
    out.end_list();
    Some(())
}

/// A text, or milliseconds since 1970.
fn date_ms(json: &Json<'_>) -> Option<i64> {
    match json {
        Json::Text(text) => date::ms_of(text),
        Json::Number(digits) => digits.parse().ok(),
        _ => None,
    }
}

fn list(
    items: &[Json<'_>],
    class: Option<&str>,
    item_type: &JavaType,
    classes: &Classes,
    out: &mut Output<'_>,
) -> Result<(), Mistake> {
    out.begin_list(class, items.len());
    for (index, item) in items.iter().enumerate() {
        value(item, item_type, classes, out).map_err(|mistake| mistake.inside(format_args!("[{index}]")))?;
    }
    out.end_list();
    Ok(())
}

/// Bytes are base64, characters a string.
fn array(
    json: &Json<'_>,
    java_type: &JavaType,
    item: &JavaType,
    classes: &Classes,
    out: &mut Output<'_>,
) -> Result<(), Mistake> {
    let plain = match item.kind {
        Kind::Primitive { primitive, is_boxed: false } => Some(primitive),
        _ => None,
    };
    match (plain, json) {
        (Some(Primitive::Byte), Json::Text(text)) => {
            out.bytes(&from_base64(text).ok_or_else(|| Mistake::new("a string that is no base64"))?);
        }
        (Some(Primitive::Char), Json::Text(text)) => out.text(text),
        (Some(Primitive::Byte | Primitive::Char), _) => return Err(Mistake::of(json, java_type)),
        (_, Json::List(items)) => list(items, Some(&array_class(item)), item, classes, out)?,
        _ => return Err(Mistake::of(json, java_type)),
    }
    Ok(())
}

/// The class of an array of such values, as hessian has it.
fn array_class(item: &JavaType) -> String {
    match (&item.kind, &*item.name) {
        (Kind::Array(inner), _) => format!("[{}", array_class(inner)),
        (_, "java.lang.String") => "[string".to_owned(),
        (_, "java.lang.Object") => "[object".to_owned(),
        (_, "java.util.Date") => "[date".to_owned(),
        (_, name) => format!("[{name}"),
    }
}

fn map(
    members: &[(std::borrow::Cow<'_, str>, Json<'_>)],
    class: Option<&str>,
    key_type: &JavaType,
    value_type: &JavaType,
    classes: &Classes,
    out: &mut Output<'_>,
) -> Result<(), Mistake> {
    out.begin_map(class);
    for (name, member) in members {
        let key = key_of(name, key_type);
        value(&key, key_type, classes, out).map_err(|mistake| mistake.inside(format_args!(".{name}")))?;
        value(member, value_type, classes, out).map_err(|mistake| mistake.inside(format_args!(".{name}")))?;
    }
    out.end_map();
    Ok(())
}

/// JSON's names are strings; a map's keys need not be.
fn key_of<'a>(name: &'a str, key_type: &JavaType) -> Json<'a> {
    match (&key_type.kind, name) {
        (Kind::Primitive { primitive: Primitive::Boolean, .. }, "true") => Json::Bool(true),
        (Kind::Primitive { primitive: Primitive::Boolean, .. }, "false") => Json::Bool(false),
        (Kind::Primitive { primitive, .. }, _)
            if *primitive != Primitive::Char && crate::json::is_number(name) =>
        {
            Json::Number(name)
        }
        _ => Json::Text(name.into()),
    }
}

/// An object, of the class that it names or of the one that is declared.
fn object(
    members: &[(std::borrow::Cow<'_, str>, Json<'_>)],
    declared: Option<&str>,
    classes: &Classes,
    out: &mut Output<'_>,
) -> Result<(), Mistake> {
    let named = members.iter().find(|(name, _)| name == CLASS).map(|(_, class)| class);
    let class = match (named, declared) {
        (Some(Json::Text(class)), _) => class,
        (Some(other), _) => {
            return Err(Mistake::new(format!("{} is no name of a class", shown(other))).inside(".class"));
        }
        (None, Some(declared)) => declared,
        (None, None) => return Err(Mistake::new("an object without a class")),
    };
    let Some(shape) = classes.shape(class) else {
        return Err(Mistake::new(format!("the class {class:?} is not among those of the configuration"))
            .inside(".class"));
    };
    let members = members.iter().filter(|(name, _)| name != CLASS);
    out.begin_object(class, members.clone().map(|(name, _)| &**name));
    let object = JavaType::object();
    for (name, member) in members {
        let field_type = match shape {
            Shape::Fields(fields) => fields.get(&**name).unwrap_or(&object),
            Shape::Unknown | Shape::Enum => &object,
        };
        value(member, field_type, classes, out).map_err(|mistake| mistake.inside(format_args!(".{name}")))?;
    }
    Ok(())
}

/// A value of whatever type it seems to have.
fn untyped(json: &Json<'_>, classes: &Classes, out: &mut Output<'_>) -> Result<(), Mistake> {
    let object_type = JavaType::object();
    match json {
        Json::Null => out.null(),
        Json::Bool(value) => out.bool(*value),
        Json::Text(text) => out.text(text),
        Json::Number(digits) if digits.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) => {
            number_or_so(json, Primitive::Double, out)
                .ok_or_else(|| Mistake::new(format!("{digits} is no double")))?;
        }
        Json::Number(digits) => match (digits.parse::<i32>(), digits.parse::<i64>()) {
            (Ok(int), _) => out.int(int),
            (_, Ok(long)) => out.long(long),
            _ => return Err(Mistake::new(format!("{digits} has more than 64 bits, and no type is known"))),
        },
        Json::List(items) => list(items, None, &object_type, classes, out)?,
        Json::Object(members) if members.iter().any(|(name, _)| name == CLASS) => {
            object(members, None, classes, out)?;
        }
        Json::Object(members) => map(members, None, &object_type, &object_type, classes, out)?,
    }
    Ok(())
}

/// A value as a message shows it.
fn shown(json: &Json<'_>) -> String {
    const SHOWN: usize = 40;
    match json {
        Json::Number(digits) => digits.chars().take(SHOWN).collect(),
        Json::Text(text) => format!("{:?}", text.chars().take(SHOWN).collect::<String>()),
        other => other.kind().to_owned(),
    }
}

/// Bytes of base64, with padding or without.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    if digits.len() % 4 == 1 || text.len() - digits.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.chunks(4) {
        let mut bits = 0u32;
        for digit in group {
            let six = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' | b'-' => 62,
                b'/' | b'_' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(six);
        }
        bits <<= 6 * (4 - group.len());
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::from_base64;
    use crate::json::write_base64;

    #[test]
    fn base64_reads_back() {
        for length in 0..20 {
            let bytes: Vec<u8> = (0..length).map(|byte: u8| byte.wrapping_mul(37)).collect();
            let mut text = vec![];
            write_base64(&bytes, &mut text);
            let text = std::str::from_utf8(&text).unwrap().trim_matches('"');
            assert_eq!(from_base64(text).as_ref(), Some(&bytes));
            assert_eq!(from_base64(text.trim_end_matches('=')), Some(bytes));
        }
        assert_eq!(["A", "A===", "A*==", "====", "Zg==="].map(from_base64), [None, None, None, None, None]);
    }
}
