//! Whole hessian2 values against those that npm's hessian.js 2 writes (`fixtures.txt`: what it is, a tab, the bytes).

use sidering_codecs::hessian2::{self, Classes, Document, HessianError, Node, Reader, Value};

mod early;

fn fixture(name: &str) -> Vec<u8> {
    fixture_of(include_str!("fixtures.txt"), name)
}

/// The bytes of this name in a table of fixtures.
fn fixture_of(text: &str, name: &str) -> Vec<u8> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'));
    let digits = line.unwrap_or_else(|| panic!("no fixture is called {name}"));
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("digits"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal digits")).collect()
}

/// A whole value, and the document of its nodes; every cut of it is an error, and skipping takes as much.
fn read(bytes: &[u8]) -> (Document, Value) {
    let mut document = Document::default();
    let mut reader = Reader::new(bytes);
    let value = document.read(&mut reader).expect("the value can be read");
    assert!(reader.is_at_end());
    let mut skipping = Reader::new(bytes);
    assert_eq!(skipping.skip(&mut Classes::default()), Ok(()));
    assert!(skipping.is_at_end());
    for length in 0..bytes.len() {
        let cut = Document::default().read(&mut Reader::new(&bytes[..length]));
        assert_eq!(cut.err(), Some(HessianError::Cut), "{length} of {} bytes", bytes.len());
    }
    (document, value)
}

fn scalar(name: &str) -> Value {
    read(&fixture(name)).1
}

#[test]
fn scalars_are_what_was_written() {
    assert_eq!(scalar("null"), Value::Null);
    assert_eq!([scalar("true"), scalar("false")], [Value::Bool(true), Value::Bool(false)]);
    for int in [0, -16, 47, 48, 2047, -2048, 262_143, -262_144, i32::MAX] {
        assert_eq!(scalar(&format!("int {int}")), Value::Int(int));
        let mut out = Vec::new();
        hessian2::write_int(int, &mut out);
        assert_eq!(out, fixture(&format!("int {int}")));
    }
    for long in [0, -8, 15, 16, -2048, 2047, 262_143, 2_147_483_647, 2_147_483_648, i64::MIN, i64::MAX] {
        assert_eq!(scalar(&format!("long {long}")), Value::Long(long));
        let mut out = Vec::new();
        hessian2::write_long(long, &mut out);
        assert_eq!(out, fixture(&format!("long {long}")));
    }
    for name in ["0", "1", "-128", "127", "32767", "-32768", "12.25", "3.14159", "1e+300"] {
        let double: f64 = name.parse().expect("a number");
        assert_eq!(scalar(&format!("double {name}")), Value::Double(double));
        let mut out = Vec::new();
        hessian2::write_double(double, &mut out);
        assert_eq!(read(&out).1, Value::Double(double));
    }
    for date in [894_621_091_000, 894_621_060_000] {
        assert_eq!(scalar(&format!("date {date}")), Value::DateMs(date));
    }
}

#[test]
fn texts_and_bytes_are_what_was_written() {
    let (a31, a32, b1023, c1024) = ("a".repeat(31), "a".repeat(32), "b".repeat(1023), "c".repeat(1024));
    for text in ["", "hello", &a31, &a32, &b1023, &c1024, "é", "中文", "😀"] {
        let name = format!("string \"{text}\"");
        assert_eq!(scalar(&name), Value::Text(text.to_owned()));
        let mut out = Vec::new();
        hessian2::write_string(text, &mut out);
        assert_eq!(out, fixture(&name));
    }
    for length in [0, 15, 16, 1023, 1024] {
        let name = format!("bytes {length}");
        assert_eq!(scalar(&name), Value::Bytes(vec![7; length]));
        let mut out = Vec::new();
        hessian2::write_bytes(&vec![7; length], &mut out);
        assert_eq!(out, fixture(&name));
    }
}

#[test]
fn long_texts_and_bytes_go_in_chunks() {
    for length in [0x7ffe, 0x7fff, 0x8000, 0xffff, 200_000] {
        let text: String = "x😀é".chars().cycle().take(length).collect();
        let mut out = Vec::new();
        hessian2::write_string(&text, &mut out);
        let mut reader = Reader::new(&out);
        assert_eq!(reader.whole_text().as_deref(), Ok(text.as_str()), "{length}");
        assert!(reader.is_at_end());
        let bytes: Vec<u8> = (0..length).map(|index| index as u8).collect();
        out.clear();
        hessian2::write_bytes(&bytes, &mut out);
        let mut reader = Reader::new(&out);
        assert_eq!(reader.whole_bytes().as_ref(), Ok(&bytes), "{length}");
        assert!(reader.is_at_end());
    }
}

#[test]
fn lists_maps_and_objects_are_what_was_written() {
    let (document, value) = read(&fixture("list [1,\"a\",null]"));
    let Value::Node(list) = value else { panic!("a list") };
    let items = vec![Value::Int(1), Value::Text("a".to_owned()), Value::Null];
    assert_eq!(document.node(list), Some(&Node::List(None, items)));
    let (document, _) = read(&fixture("typed list"));
    let items = vec![Value::Text("a".to_owned()), Value::Text("b".to_owned())];
    assert_eq!(document.node(0), Some(&Node::List(Some("[string".into()), items)));
    let (document, _) = read(&fixture("map {\"a\":1,\"b\":\"x\"}"));
    let text = |text: &str| Value::Text(text.to_owned());
    let entries = vec![(text("a"), Value::Int(1)), (text("b"), text("x"))];
    assert_eq!(document.node(0), Some(&Node::Map(None, entries)));
    let (document, _) = read(&fixture("object"));
    let Some(Node::Object(class, values)) = document.node(0) else { panic!("an object") };
    assert_eq!(
        (class.name.as_str(), class.fields.join(",")),
        ("com.test.Car", "color,model,year".to_owned())
    );
    assert_eq!(values, &[text("red"), text("civic"), Value::Int(1998)]);
}

#[test]
fn a_class_is_told_once_and_a_shared_value_is_one_value() {
    let (document, value) = read(&fixture("objects of one class"));
    assert_eq!(value, Value::Node(0));
    assert_eq!(document.node(0), Some(&Node::List(None, vec![Value::Node(1), Value::Node(2)])));
    assert!(matches!(document.node(2), Some(Node::Object(_, values)) if values[1] == Value::Int(2)));
    let (document, _) = read(&fixture("shared"));
    assert_eq!(document.node(0), Some(&Node::List(None, vec![Value::Node(1), Value::Node(1)])));
}

#[test]
fn nesting_has_a_bound() {
    for (depth, fits) in [(63, true), (64, true), (65, false), (10_000, false)] {
        let bytes = [vec![0x79; depth], vec![b'N']].concat();
        let outcome = Document::default().read(&mut Reader::new(&bytes));
        assert_eq!(outcome.is_ok(), fits, "{depth}");
    }
}

#[test]
fn lists_are_written_with_and_without_a_class() {
    for count in [0, 7, 8, 300] {
        for class in [None, Some("[string")] {
            let mut out = Vec::new();
            hessian2::begin_list(class, count, &mut out);
            (0..count).for_each(|_| hessian2::write_null(&mut out));
            let (document, _) = read(&out);
            assert_eq!(document.node(0), Some(&Node::List(class.map(Into::into), vec![Value::Null; count])));
        }
    }
    let mut out = Vec::new();
    hessian2::begin_map(&mut out);
    hessian2::write_string("k", &mut out);
    hessian2::write_bool(true, &mut out);
    hessian2::end_map(&mut out);
    let entry = (Value::Text("k".to_owned()), Value::Bool(true));
    assert_eq!(read(&out).0.node(0), Some(&Node::Map(None, vec![entry])));
}
