//! Every type of argument, as it is written for either protocol, and what is refused.

use crate::support::{arguments, bridged, frame, java_type, service};
use sidering_codecs::bridge::Shape;

/// The argument as each protocol has it is shown as `expected`.
#[track_caller]
fn assert_written(text: &str, body: &str, expected: &str) {
    let service =
        service(&[text], &[("com.example.Dog", Shape::Unknown), ("com.example.Color", Shape::Enum)]);
    for protocol in bridged() {
        let frame = frame(&service, protocol, body).unwrap_or_else(|refused| panic!("{}", refused.message));
        assert_eq!(arguments(protocol, &frame), [expected], "{text} {body} over {}", protocol.name);
    }
}

#[track_caller]
fn assert_refused(text: &str, body: &str, expected: &str) {
    let service = service(&[text], &[("com.example.User", Shape::Fields(Default::default()))]);
    for protocol in bridged() {
        let refused = frame(&service, protocol, body).expect_err("a mistake");
        assert_eq!((refused.status, refused.message.as_str()), (400, expected), "{text} {body}");
    }
}

#[test]
fn primitive_types_and_their_boxes() {
    for (text, body, expected) in [
        ("boolean", "[true]", "Bool(true)"),
        ("byte", "[-128]", "Int(-128)"),
        ("short", "[32767]", "Int(32767)"),
        ("int", "[-2147483648]", "Int(-2147483648)"),
        ("long", "[9007199254740993]", "Long(9007199254740993)"),
        ("long", "[\"-9223372036854775808\"]", "Long(-9223372036854775808)"),
        ("long", "[2147483647]", "Long(2147483647)"),
        ("char", "[\"x\"]", "Text(\"x\")"),
        ("float", "[0.5]", "Double(0.5)"),
        ("double", "[1e300]", "Double(1e300)"),
        ("double", "[0]", "Double(0.0)"),
        ("double", "[1]", "Double(1.0)"),
        ("java.lang.Integer", "[7]", "Int(7)"),
        ("java.lang.Long", "[null]", "Null"),
        ("java.lang.String", "[null]", "Null"),
    ] {
        assert_written(text, body, expected);
    }
}

#[test]
fn what_is_out_of_a_types_range_is_refused() {
    for (text, body, expected) in [
        ("byte", "[128]", "argument 1: 128 is no byte"),
        ("short", "[-32769]", "argument 1: -32769 is no short"),
        ("int", "[2147483648]", "argument 1: 2147483648 is no int"),
        ("int", "[1.0]", "argument 1: 1.0 is no int"),
        ("int", "[null]", "argument 1: null is no int"),
        ("int", "[\"1\"]", "argument 1: \"1\" is no int"),
        ("long", "[9223372036854775808]", "argument 1: 9223372036854775808 is no long"),
        ("double", "[1e999]", "argument 1: 1e999 is no double"),
        ("float", "[1e39]", "argument 1: 1e39 is no float"),
        ("char", "[\"xy\"]", "argument 1: \"xy\" is no char"),
        ("boolean", "[1]", "argument 1: 1 is no boolean"),
        ("java.lang.String", "[[]]", "argument 1: an array is no java.lang.String"),
        ("java.util.List<int>", "[[1, {}]]", "argument 1[1]: an object is no int"),
        ("java.util.Map<java.lang.String, long>", "{\"a\": {}}", "argument 1.a: an object is no long"),
        ("java.util.Map<int, long>", "{\"a\": 1}", "argument 1.a: \"a\" is no int"),
        ("java.util.List", "{}", "argument 1: an object is no java.util.List"),
        ("byte[]", "\"*\"", "argument 1: a string that is no base64"),
        ("byte[]", "[[1]]", "argument 1: an array is no byte[]"),
        ("java.util.Date", "\"yesterday\"", "argument 1: \"yesterday\" is no java.util.Date"),
        ("java.math.BigDecimal", "\"1,5\"", "argument 1: \"1,5\" is no java.math.BigDecimal"),
        ("java.math.BigInteger", "1.5", "argument 1: 1.5 is no java.math.BigInteger"),
        (
            "java.lang.Object",
            "[9223372036854775808]",
            "argument 1: 9223372036854775808 has more than 64 bits, and no type is known",
        ),
    ] {
        assert_refused(text, body, expected);
    }
}

#[test]
fn types_of_javas_library() {
    for (text, body, expected) in [
        ("java.lang.String", "\"ä😀\"", "Text(\"ä😀\")"),
        ("java.util.Date", "\"1970-01-01T00:00:01Z\"", "DateMs(1000)"),
        ("java.util.Date", "1000", "DateMs(1000)"),
        ("java.sql.Timestamp", "1000", "java.sql.Timestamp<value>(DateMs(1000))"),
        (
            "java.math.BigDecimal",
            "12345678901234567890.10",
            "java.math.BigDecimal<value>(Text(\"12345678901234567890.10\"))",
        ),
        (
            "java.math.BigInteger",
            "-18446744073709551616",
            "java.math.BigInteger<signum mag>(Int(-1), [int[Int(1), Int(0), Int(0)])",
        ),
        ("java.math.BigInteger", "\"0\"", "java.math.BigInteger<signum mag>(Int(0), [int[])"),
        ("java.util.List<java.lang.Long>", "[[1, 2]]", "[Long(1), Long(2)]"),
        ("java.util.Set<java.lang.String>", "[[\"a\"]]", "java.util.HashSet[Text(\"a\")]"),
        ("java.util.Map<java.lang.Integer, java.lang.Boolean>", "{\"1\": true}", "{Int(1): Bool(true)}"),
        ("java.util.SortedMap", "{\"a\": 1}", "java.util.TreeMap{Text(\"a\"): Int(1)}"),
        ("int[]", "[[1, 2]]", "[int[Int(1), Int(2)]"),
        ("java.lang.String[]", "[[\"a\", null]]", "[string[Text(\"a\"), Null]"),
        ("long[][]", "[[[1], []]]", "[[long[[long[Long(1)], [long[]]"),
        ("byte[]", "\"AQL/\"", "Bytes([1, 2, 255])"),
        ("char[]", "\"abc\"", "Text(\"abc\")"),
    ] {
        assert_written(text, body, expected);
    }
}

#[test]
fn values_without_a_type_are_what_they_seem() {
    let body = r#"[{"a": [1, 2147483648, 1.0, null, true, "s", {}]}]"#;
    let expected =
        "{Text(\"a\"): [Int(1), Long(2147483648), Double(1.0), Null, Bool(true), Text(\"s\"), {}]}";
    assert_written("java.lang.Object", body, expected);
}

#[test]
fn classes_of_somebodys_own() {
    let user = "com.example.User";
    assert_written(user, r#"{"id": 1, "name": "Ann"}"#, "com.example.User<id name>(Int(1), Text(\"Ann\"))");
    assert_written(
        "com.example.Animal",
        r#"{"class": "com.example.Dog", "age": 3}"#,
        "com.example.Dog<age>(Int(3))",
    );
    assert_written("com.example.Color", "\"RED\"", "com.example.Color<name>(Text(\"RED\"))");
    assert_written("com.example.Day", "\"MONDAY\"", "com.example.Day<name>(Text(\"MONDAY\"))");
    let two = r#"[[{"a": 1}, {"a": 2}, {"b": 3}]]"#;
    let expected = "[com.example.User[com.example.User<a>(Int(1)), com.example.User<a>(Int(2)), com.example.User<b>(Int(3))]";
    assert_written("com.example.User[]", two, expected);
}

#[test]
fn fields_have_the_types_that_are_known_of_them() {
    let fields = [("id", "long"), ("tags", "java.util.Set<java.lang.String>"), ("best", "com.example.User")];
    let fields = fields.into_iter().map(|(name, text)| (name.to_owned(), java_type(text))).collect();
    let service = service(&["com.example.User"], &[("com.example.User", Shape::Fields(fields))]);
    let body = r#"{"id": 1, "tags": ["a"], "other": 2, "best": {"id": 3}}"#;
    let expected = "com.example.User<id tags other best>(Long(1), java.util.HashSet[Text(\"a\")], Int(2), \
                    com.example.User<id>(Long(3)))";
    for protocol in bridged() {
        let written = frame(&service, protocol, body).unwrap();
        assert_eq!(arguments(protocol, &written), [expected]);
        let refused = frame(&service, protocol, r#"{"best": {"id": "x"}}"#).unwrap_err();
        assert_eq!(refused.message, "argument 1.best.id: \"x\" is no long");
    }
}

#[test]
fn no_other_class_is_made() {
    let runtime = "argument 1.class: the class \"java.lang.Runtime\" is not among those of the configuration";
    assert_refused("com.example.Other", r#"{"class": "java.lang.Runtime"}"#, runtime);
    assert_refused("java.lang.Object", r#"{"class": "java.lang.Runtime"}"#, runtime);
    assert_refused("java.lang.Object", r#"{"class": 1}"#, "argument 1.class: 1 is no name of a class");
    // A class with fields is no enum.
    assert_refused("com.example.User", "\"RED\"", "argument 1: \"RED\" is no com.example.User");
}
