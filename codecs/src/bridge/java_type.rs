//! The types of a method's parameters, as Java's sources write them.

use std::fmt;
use std::sync::Arc;

/// Types nested deeper within one another are refused.
const MAX_DEPTH: usize = 8;

/// A type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JavaType {
    /// Without what stands in angle brackets: `java.util.List`, `int[]`.
    pub name: Arc<str>,
    /// What its values are.
    pub kind: Kind,
}

/// What the values of a type are, and how they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One of Java's primitive types; a boxed one may be null.
    Primitive {
        /// Which of them.
        primitive: Primitive,
        /// Whether it is its box.
        is_boxed: bool,
    },
    /// `java.lang.String` or one of its interfaces.
    Text,
    /// `java.math.BigDecimal`.
    BigDecimal,
    /// `java.math.BigInteger`.
    BigInteger,
    /// `java.util.Date`.
    Date,
    /// `java.sql.Date`, `Time` and `Timestamp`: objects around a date.
    SqlDate,
    /// Whatever the value is by itself.
    Object,
    /// A collection.
    List {
        /// The class that is written; `None` for `ArrayList`, which is the one that a list without a class is.
        class: Option<&'static str>,
        /// Of its values.
        item: Box<JavaType>,
    },
    /// A map.
    Map {
        /// The class that is written; `None` for `HashMap`.
        class: Option<&'static str>,
        /// Of its keys.
        key: Box<JavaType>,
        /// Of its values.
        value: Box<JavaType>,
    },
    /// An array.
    Array(Box<JavaType>),
    /// A class or an enum of somebody's own, by its name.
    Class,
}

/// Java's primitive types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Primitive {
    /// `boolean`
    Boolean,
    /// `byte`
    Byte,
    /// `short`
    Short,
    /// `int`
    Int,
    /// `long`
    Long,
    /// `char`
    Char,
    /// `float`
    Float,
    /// `double`
    Double,
}

/// Each with its name, that of its box, and its letter in descriptors (JVM specification, section 4.3.2).
const PRIMITIVES: [(Primitive, &str, &str, char); 8] = [
    (Primitive::Boolean, "boolean", "java.lang.Boolean", 'Z'),
    (Primitive::Byte, "byte", "java.lang.Byte", 'B'),
    (Primitive::Short, "short", "java.lang.Short", 'S'),
    (Primitive::Int, "int", "java.lang.Integer", 'I'),
    (Primitive::Long, "long", "java.lang.Long", 'J'),
    (Primitive::Char, "char", "java.lang.Character", 'C'),
    (Primitive::Float, "float", "java.lang.Float", 'F'),
    (Primitive::Double, "double", "java.lang.Double", 'D'),
];

/// Collections: what is declared, and what is written for it.
const LISTS: [(&str, Option<&str>); 18] = [
    ("java.lang.Iterable", None),
    ("java.util.Collection", None),
    ("java.util.List", None),
    ("java.util.ArrayList", None),
    ("java.util.AbstractList", None),
    ("java.util.LinkedList", Some("java.util.LinkedList")),
    ("java.util.Vector", Some("java.util.Vector")),
    ("java.util.Stack", Some("java.util.Stack")),
    ("java.util.Set", Some("java.util.HashSet")),
    ("java.util.HashSet", Some("java.util.HashSet")),
    ("java.util.LinkedHashSet", Some("java.util.LinkedHashSet")),
    ("java.util.SortedSet", Some("java.util.TreeSet")),
    ("java.util.NavigableSet", Some("java.util.TreeSet")),
    ("java.util.TreeSet", Some("java.util.TreeSet")),
    ("java.util.Queue", Some("java.util.LinkedList")),
    ("java.util.Deque", Some("java.util.LinkedList")),
    ("java.util.ArrayDeque", Some("java.util.ArrayDeque")),
    ("java.util.concurrent.CopyOnWriteArrayList", Some("java.util.concurrent.CopyOnWriteArrayList")),
];

/// Maps: what is declared, and what is written for it.
const MAPS: [(&str, Option<&str>); 8] = [
    ("java.util.Map", None),
    ("java.util.HashMap", None),
    ("java.util.LinkedHashMap", Some("java.util.LinkedHashMap")),
    ("java.util.SortedMap", Some("java.util.TreeMap")),
    ("java.util.NavigableMap", Some("java.util.TreeMap")),
    ("java.util.TreeMap", Some("java.util.TreeMap")),
    ("java.util.concurrent.ConcurrentMap", Some("java.util.concurrent.ConcurrentHashMap")),
    ("java.util.concurrent.ConcurrentHashMap", Some("java.util.concurrent.ConcurrentHashMap")),
];

impl JavaType {
    /// `java.lang.Object`.
    pub fn object() -> Self {
        JavaType { name: "java.lang.Object".into(), kind: Kind::Object }
    }

    /// Reads a type such as `int`, `java.util.List<java.lang.Long>` or `com.example.User[]`.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut rest = text;
        let parsed = parse(&mut rest, 0)?;
        if rest.trim().is_empty() { Ok(parsed) } else { Err(EXPECTED) }
    }

    /// The type as descriptors have it: `Ljava/lang/String;`, `[I`.
    pub fn write_descriptor(&self, out: &mut String) {
        let mut name = &*self.name;
        while let Some(item) = name.strip_suffix("[]") {
            out.push('[');
            name = item;
        }
        match PRIMITIVES.iter().find(|(_, known, ..)| *known == name) {
            Some((.., letter)) => out.push(*letter),
            None => {
                out.push('L');
                out.extend(name.chars().map(|letter| if letter == '.' { '/' } else { letter }));
                out.push(';');
            }
        }
    }

    /// Every class of somebody's own that it names.
    pub fn for_each_class(&self, see: &mut impl FnMut(&str)) {
        match &self.kind {
            Kind::Class => see(&self.name),
            Kind::List { item, .. } | Kind::Array(item) => item.for_each_class(see),
            Kind::Map { key, value, .. } => {
                key.for_each_class(see);
                value.for_each_class(see);
            }
            _ => {}
        }
    }
}

impl fmt::Display for JavaType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Array(item) => write!(formatter, "{item}[]"),
            Kind::List { item, .. } if item.kind != Kind::Object => {
                write!(formatter, "{}<{item}>", self.name)
            }
            Kind::Map { key, value, .. } if (&key.kind, &value.kind) != (&Kind::Object, &Kind::Object) => {
                write!(formatter, "{}<{key}, {value}>", self.name)
            }
            _ => formatter.write_str(&self.name),
        }
    }
}

const EXPECTED: &str =
    "a Java type such as int, java.lang.String, java.util.List<java.lang.Long> or com.example.User[]";

/// Takes a type off the front of `rest`.
fn parse(rest: &mut &str, depth: usize) -> Result<JavaType, &'static str> {
    if depth >= MAX_DEPTH {
        return Err("a Java type that is not nested that deeply");
    }
    *rest = rest.trim_start();
    let is_of_name = |letter: char| letter.is_alphanumeric() || matches!(letter, '.' | '_' | '$');
    let end = rest.find(|letter| !is_of_name(letter)).unwrap_or(rest.len());
    let (name, behind) = rest.split_at(end);
    *rest = behind.trim_start();
    if !is_class_name(name) {
        return Err(EXPECTED);
    }
    let mut within = vec![];
    if let Some(behind) = rest.strip_prefix('<') {
        *rest = behind;
        loop {
            within.push(parse(rest, depth + 1)?);
            *rest = rest.trim_start();
            if let Some(behind) = rest.strip_prefix(',') {
                *rest = behind;
                continue;
            }
            *rest = rest.strip_prefix('>').ok_or(EXPECTED)?.trim_start();
            break;
        }
    }
    let mut parsed = JavaType { name: name.into(), kind: kind_of(name, within)? };
    while let Some(behind) = rest.strip_prefix("[]") {
        *rest = behind.trim_start();
        let name = format!("{}[]", parsed.name).into();
        parsed = JavaType { name, kind: Kind::Array(Box::new(parsed)) };
    }
    Ok(parsed)
}

/// Whether Java could have a class or a primitive type of this name.
pub(super) fn is_class_name(name: &str) -> bool {
    name.len() <= 255
        && name.split('.').all(|part| part.chars().next().is_some_and(|first| !first.is_ascii_digit()))
        && name.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '.' | '_' | '$'))
}

fn kind_of(name: &str, mut within: Vec<JavaType>) -> Result<Kind, &'static str> {
    let find = |table: &[(&str, Option<&'static str>)]| {
        table.iter().find(|(declared, _)| *declared == name).map(|(_, written)| *written)
    };
    if let Some(class) = find(&LISTS) {
        let item = Box::new(within.pop().unwrap_or_else(JavaType::object));
        return if within.is_empty() { Ok(Kind::List { class, item }) } else { Err(EXPECTED) };
    }
    if let Some(class) = find(&MAPS) {
        if !matches!(within.len(), 0 | 2) {
            return Err("a map of two types, such as java.util.Map<java.lang.String, java.lang.Long>");
        }
        let value = Box::new(within.pop().unwrap_or_else(JavaType::object));
        let key = Box::new(within.pop().unwrap_or_else(JavaType::object));
        return Ok(Kind::Map { class, key, value });
    }
    if !within.is_empty() {
        return Err("types in angle brackets behind collections and maps of java.util alone");
    }
    for (primitive, plain, boxed, _) in PRIMITIVES {
        if name == plain || name == boxed {
            return Ok(Kind::Primitive { primitive, is_boxed: name == boxed });
        }
    }
    match name {
        "java.lang.String" | "java.lang.CharSequence" => Ok(Kind::Text),
        "java.lang.Object" | "java.io.Serializable" | "java.lang.Number" | "java.lang.Comparable" => {
            Ok(Kind::Object)
        }
        "java.math.BigDecimal" => Ok(Kind::BigDecimal),
        "java.math.BigInteger" => Ok(Kind::BigInteger),
        "java.util.Date" => Ok(Kind::Date),
        "java.sql.Date" | "java.sql.Time" | "java.sql.Timestamp" => Ok(Kind::SqlDate),
        _ if ["java.", "javax.", "jdk.", "sun."].iter().any(|prefix| name.starts_with(prefix)) => Err(
            "a type of Java's own that can be bridged: primitive types and their boxes, java.lang.String, \
                 java.math, java.util.Date, java.sql's dates, and collections and maps of java.util",
        ),
        _ if !name.contains('.') => Err(EXPECTED),
        _ => Ok(Kind::Class),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> JavaType {
        JavaType::parse(text).unwrap_or_else(|expected| panic!("{text}: {expected}"))
    }

    #[test]
    fn types_have_names_and_descriptors() {
        for (text, name, descriptor) in [
            ("int", "int", "I"),
            ("boolean[]", "boolean[]", "[Z"),
            ("java.lang.String", "java.lang.String", "Ljava/lang/String;"),
            (" java.util.Map< java.lang.String , com.example.User[] > ", "java.util.Map", "Ljava/util/Map;"),
            ("com.example.Outer$Inner[][]", "com.example.Outer$Inner[][]", "[[Lcom/example/Outer$Inner;"),
        ] {
            let parsed = parsed(text);
            let mut written = String::new();
            parsed.write_descriptor(&mut written);
            assert_eq!((&*parsed.name, written.as_str()), (name, descriptor), "{text}");
            assert_eq!(JavaType::parse(&parsed.to_string()), Ok(parsed), "{text}");
        }
    }

    #[test]
    fn what_stands_in_angle_brackets_is_known() {
        let Kind::List { class: None, item } = parsed("java.util.List<java.util.Set<java.lang.Long>>").kind
        else {
            panic!("a list");
        };
        let Kind::List { class: Some("java.util.HashSet"), item } = item.kind else { panic!("a set") };
        assert_eq!(item.kind, Kind::Primitive { primitive: Primitive::Long, is_boxed: true });
        let mut seen = vec![];
        let classes = "java.util.Map<com.example.A, java.util.List<com.example.B[]>>";
        parsed(classes).for_each_class(&mut |class| seen.push(class.to_owned()));
        assert_eq!(seen, ["com.example.A", "com.example.B"]);
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for text in [
            "",
            "String",
            "java.lang.",
            ".a.B",
            "a..B",
            "int[",
            "a.B<",
            "java.util.List<>",
            "java.util.List<int",
            "java.util.Map<int>",
            "java.util.List<int, int>",
            "a.B<int>",
            "java.lang.Runtime",
            "int int",
            "1.a",
            "javax.naming.InitialContext",
        ] {
            assert!(JavaType::parse(text).is_err(), "{text}");
        }
        let nested = |depth: usize| "java.util.List<".repeat(depth - 1) + "int" + &">".repeat(depth - 1);
        assert!(JavaType::parse(&nested(MAX_DEPTH - 1)).is_ok());
        assert!(JavaType::parse(&nested(MAX_DEPTH)).is_ok());
        assert!(JavaType::parse(&nested(MAX_DEPTH + 1)).is_err());
    }
}
