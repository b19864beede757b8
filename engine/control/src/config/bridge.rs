//! Reads what a route makes calls of that clients ask for in HTTP and JSON.

use super::problem::Problems;
use super::section::{Section, list, name, text};
use super::tree::{Tree, Value};
use sidering_codecs::bridge::{BridgedMethod, BridgedService, Classes, JavaType, Shape};
use sidering_codecs::registry::protocols as known_protocols;
use sidering_dataplane::config::BridgeRule;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Methods, parameters of one, classes, fields of one.
const MOST: usize = 256;
/// A request's or an answer's bytes.
const BYTES: RangeInclusive<u64> = 1..=16 * 1024 * 1024;
const DEFAULT_BYTES: u64 = 1024 * 1024;
const TYPE: &str = "a Java type such as int or java.util.List<java.lang.Long>";

/// The protocols that JSON is bridged to, as an expectation names them.
pub(super) fn protocols() -> String {
    let bridged = known_protocols().filter(|protocol| protocol.bridge.is_some());
    let named: Vec<String> = bridged.map(|protocol| format!("`protocol: {}`", protocol.name)).collect();
    named.join(" or ")
}

/// Reads `bridge` of a route.
pub(super) fn read(tree: &Tree, problems: &Problems) -> BridgeRule {
    let mut section = Section::open("a bridge", tree, problems);
    let service = section.require("service", "the interface that is called, such as com.example.Greeter");
    let service = service.and_then(|tree| name(tree, problems)).unwrap_or_default();
    let version = optional_name(&mut section, "version");
    let group = optional_name(&mut section, "group");
    let fixed = section.find("method");
    let method = fixed.and_then(|tree| name(tree, problems));
    let mut classes =
        section.find("classes").map_or_else(Classes::default, |tree| self::classes(tree, problems));
    let methods = section.find("methods").map_or(vec![], |tree| self::methods(tree, problems));
    let takes_types = section.boolean("types_from_client", false);
    if section.place_of("methods").is_none() && section.place_of("types_from_client").is_none() {
        let expected =
            "`methods`: what may be called, with the types of its parameters; or `types_from_client`: true";
        section.lacks(&["methods", "types_from_client"], "a bridge without a method", expected);
    }
    let max_request_bytes = section.size_bytes("max_request_bytes", BYTES, DEFAULT_BYTES) as u32;
    let max_response_bytes = section.size_bytes("max_response_bytes", BYTES, DEFAULT_BYTES) as u32;
    section.finish();
    for java_type in methods.iter().flat_map(|method| &method.types) {
        classes.add_classes_of(java_type);
    }
    let service = BridgedService { service, version, group, methods, takes_types, classes };
    if let (Some(tree), Some(method)) = (fixed, &method)
        && !service.has_method(method)
    {
        problems.error(
            tree.place,
            format!("`{method}` is not among `methods`"),
            "the name of one of `methods`",
        );
    }
    BridgeRule { service, method, max_request_bytes, max_response_bytes }
}

fn optional_name(section: &mut Section<'_>, key: &'static str) -> String {
    let problems = section.problems;
    section.find(key).and_then(|tree| name(tree, problems)).unwrap_or_default()
}

fn methods(tree: &Tree, problems: &Problems) -> Vec<BridgedMethod> {
    let mut methods: Vec<BridgedMethod> = vec![];
    for item in bounded(list(tree, "methods", problems), "methods", tree, problems) {
        let mut section = Section::open("a bridged method", item, problems);
        let named = section.require("name", "the method's name");
        let name = named.and_then(|tree| name(tree, problems)).unwrap_or_default();
        let types = section.find("types").map_or(vec![], |tree| types(tree, problems));
        let is_one_way = section.boolean("one_way", false);
        section.finish();
        let is_same = |other: &BridgedMethod| other.name == name && other.types.len() == types.len();
        if methods.iter().any(is_same) {
            let message = format!("a second method `{name}` with {} parameters", types.len());
            problems.error(
                item.place,
                message,
                "methods that differ in their names or in how many parameters they have",
            );
        }
        methods.push(BridgedMethod { name, types, is_one_way });
    }
    methods
}

/// The types of a method's parameters: of one without any, an empty list.
fn types(tree: &Tree, problems: &Problems) -> Vec<JavaType> {
    let Value::Sequence(items) = &tree.value else {
        problems.error(tree.place, format!("{} is not a list", tree.describe()), "a list of Java types");
        return vec![];
    };
    bounded(items, "parameters", tree, problems).iter().filter_map(|item| java_type(item, problems)).collect()
}

fn java_type(tree: &Tree, problems: &Problems) -> Option<JavaType> {
    let given = text(tree, TYPE, problems)?;
    let refused = |expected| {
        let message = format!("{} is no type to bridge to", tree.describe());
        problems.error(tree.place, message, expected);
    };
    JavaType::parse(given).map_err(refused).ok()
}

fn classes(tree: &Tree, problems: &Problems) -> Classes {
    let mut classes = Classes::default();
    for item in bounded(list(tree, "classes", problems), "classes", tree, problems) {
        let mut section = Section::open("a class", item, problems);
        let named = section.require("name", "its whole name, such as com.example.User");
        let fields = section.find("fields").map(|tree| fields(tree, problems));
        let is_enum = section.boolean("enum", false);
        if let (Some(place), true) = (section.place_of("fields"), is_enum) {
            problems.error(place, "an enum with fields", "`fields` of classes, `enum: true` of enums");
        }
        section.finish();
        let class = named.and_then(|tree| java_type(tree, problems));
        let (Some(class), Some(named)) = (class, named) else { continue };
        let mut names_itself = false;
        class.for_each_class(&mut |name| names_itself = name == &*class.name);
        if !names_itself {
            problems.error(
                named.place,
                format!("{} is no class of your own", named.describe()),
                "such as com.example.User",
            );
            continue;
        }
        for field in fields.iter().flat_map(BTreeMap::values) {
            classes.add_classes_of(field);
        }
        let shape = match (is_enum, fields) {
            (true, _) => Shape::Enum,
            (false, Some(fields)) => Shape::Fields(fields),
            (false, None) => Shape::Unknown,
        };
        classes.add(&class.name, shape);
    }
    classes
}

fn fields(tree: &Tree, problems: &Problems) -> BTreeMap<String, JavaType> {
    let Value::Mapping(entries) = &tree.value else {
        let expected = "a mapping such as { id: long }";
        problems.error(tree.place, format!("{} where fields belong", tree.describe()), expected);
        return BTreeMap::new();
    };
    let entries = bounded(entries, "fields", tree, problems).iter();
    entries.filter_map(|entry| Some((entry.key.to_string(), java_type(&entry.value, problems)?))).collect()
}

fn bounded<'t, T>(items: &'t [T], of: &str, tree: &Tree, problems: &Problems) -> &'t [T] {
    if items.len() > MOST {
        problems.error(tree.place, format!("{} {of}", items.len()), format!("at most {MOST}"));
    }
    items.get(..MOST).unwrap_or(items)
}
