//! The early dialect against what npm's hessian.js 1 writes, which sofa-bolt-node speaks (`early.txt`: what it is, a tab, the
//! bytes), and what is read back of what is written here.

use super::fixture_of;
use sidering_codecs::hessian2::{Dialect, Document, HessianError, Node, Output, Reader, Value};

fn fixture(name: &str) -> Vec<u8> {
    fixture_of(include_str!("early.txt"), name)
}

/// A whole value; every cut of it is an error.
fn read(bytes: &[u8]) -> (Document, Value) {
    let mut document = Document::default();
    let mut reader = Reader::new(bytes);
    let value = document.read_early(&mut reader).expect("the value can be read");
    assert!(reader.is_at_end());
    for length in 0..bytes.len() {
        let cut = Document::default().read_early(&mut Reader::new(&bytes[..length]));
        assert_eq!(cut.err(), Some(HessianError::Cut), "{length} of {} bytes", bytes.len());
    }
    (document, value)
}

fn written(write: impl FnOnce(&mut Output<'_>)) -> Vec<u8> {
    let mut out = vec![];
    write(&mut Output::new(Dialect::Early, &mut out));
    out
}

/// The value is read as it was written, and written as it is read.
#[track_caller]
fn assert_same(name: &str, value: &Value, write: impl FnOnce(&mut Output<'_>)) {
    let bytes = fixture(name);
    assert_eq!(read(&bytes).1, *value, "{name}");
    assert_eq!(written(write), bytes, "{name}");
}

#[test]
fn scalars() {
    assert_eq!(read(&fixture("null")).1, Value::Null);
    assert_same("true", &Value::Bool(true), |out| out.bool(true));
    assert_same("false", &Value::Bool(false), |out| out.bool(false));
    for int in [0, -16, 47, 48, 2047, -2048, 262_143, -262_144, i32::MAX] {
        assert_same(&format!("int {int}"), &Value::Int(int), |out| out.int(int));
    }
    for long in [0, -8, 15, 16, -2048, 2047, 262_143, 2_147_483_647, 2_147_483_648, i64::MIN, i64::MAX] {
        assert_same(&format!("long {long}"), &Value::Long(long), |out| out.long(long));
    }
    for (name, double) in [("0", 0.0), ("1", 1.0), ("12.25", 12.25), ("1e+300", 1e300)] {
        assert_same(&format!("double {name}"), &Value::Double(double), |out| out.double(double));
    }
    for (name, double) in [("-128", -128.0), ("127", 127.0), ("-32768", -32768.0), ("16777216", 16_777_216.0)]
    {
        assert_eq!(read(&fixture(&format!("double {name}"))).1, Value::Double(double));
    }
    assert_same("date 894621091000", &Value::DateMs(894_621_091_000), |out| out.date_ms(894_621_091_000));
}

#[test]
fn texts_and_bytes() {
    for text in ["", "hello", &"a".repeat(31), &"a".repeat(32), &"b".repeat(1024), "é", "中文"] {
        assert_same(&format!("string \"{text}\""), &Value::Text(text.to_owned()), |out| out.text(text));
    }
    for length in [0, 15, 16, 1024] {
        let bytes = vec![7; length];
        assert_same(&format!("bytes {length}"), &Value::Bytes(bytes.clone()), |out| out.bytes(&bytes));
    }
    for length in [0x7ffe, 0x7fff, 0x8000, 0xffff, 200_000] {
        let text: String = "x😀é".chars().cycle().take(length).collect();
        let mut document = Document::default();
        let bytes = written(|out| out.text(&text));
        assert_eq!(document.read_early(&mut Reader::new(&bytes)), Ok(Value::Text(text)));
        let bytes: Vec<u8> = (0..length).map(|index| index as u8).collect();
        let chunks = written(|out| out.bytes(&bytes));
        assert_eq!(document.read_early(&mut Reader::new(&chunks)), Ok(Value::Bytes(bytes)));
    }
}

#[test]
fn lists_maps_and_objects() {
    let text = |text: &str| Value::Text(text.to_owned());
    let (document, _) = read(&fixture("list"));
    assert_eq!(document.node(0), Some(&Node::List(None, vec![Value::Int(1), text("a"), Value::Null])));
    let (document, _) = read(&fixture("two typed lists"));
    let of = |item: &str| Node::List(Some("[string".into()), vec![text(item)]);
    assert_eq!((document.node(1), document.node(2)), (Some(&of("a")), Some(&of("b"))));
    let (document, _) = read(&fixture("long list"));
    assert_eq!(document.node(0), Some(&Node::List(None, vec![Value::Null; 300])));
    let (document, _) = read(&fixture("map"));
    let entries = vec![(text("a"), Value::Int(1)), (text("b"), text("x"))];
    assert_eq!(document.node(0), Some(&Node::Map(None, entries)));
    let (document, _) = read(&fixture("objects of one class"));
    assert!(matches!(document.node(2), Some(Node::Object(class, values))
        if class.name == "com.test.Car" && values[..] == [text("blue"), Value::Int(2)]));
    let (document, _) = read(&fixture("shared"));
    assert_eq!(document.node(0), Some(&Node::List(None, vec![Value::Node(1), Value::Node(1)])));
}

#[test]
fn what_holds_others_is_written_the_same() {
    let list = written(|out| {
        out.begin_list(Some("[string"), 2);
        out.text("a");
        out.text("b");
        out.end_list();
    });
    assert_eq!(list, fixture("typed list"));
    let map = written(|out| {
        out.begin_map(None);
        out.text("a");
        out.int(1);
        out.text("b");
        out.text("x");
        out.end_map();
    });
    assert_eq!(map, fixture("map"));
    let objects = written(|out| {
        out.begin_list(None, 2);
        for (color, year) in [("red", 1), ("blue", 2)] {
            out.begin_object("com.test.Car", ["color", "year"].into_iter());
            out.text(color);
            out.int(year);
        }
        out.end_list();
    });
    assert_eq!(objects, fixture("objects of one class"));
    let long = written(|out| {
        out.begin_list(None, 300);
        (0..300).for_each(|_| out.null());
        out.end_list();
    });
    assert_eq!(long, fixture("long list"));
}

#[test]
fn nesting_and_number_have_bounds() {
    for (depth, fits) in [(63, true), (64, true), (65, false), (10_000, false)] {
        let bytes = [b"Vn\x01".repeat(depth), b"N".to_vec(), b"z".repeat(depth)].concat();
        assert_eq!(Document::default().read_early(&mut Reader::new(&bytes)).is_ok(), fits, "{depth}");
    }
    let most = sidering_codecs::hessian2::MAX_VALUES;
    for (values, fits) in [(most - 1, true), (most, true), (most + 1, false)] {
        let early = [
            b"Vl".to_vec(),
            (values as u32 - 1).to_be_bytes().to_vec(),
            vec![b'N'; values - 1],
            b"z".to_vec(),
        ];
        assert_eq!(
            Document::default().read_early(&mut Reader::new(&early.concat())).is_ok(),
            fits,
            "{values}"
        );
        let last = [b"\x57".to_vec(), vec![b'N'; values - 1], b"Z".to_vec()].concat();
        assert_eq!(Document::default().read(&mut Reader::new(&last)).is_ok(), fits, "{values}");
    }
}

#[test]
fn what_is_no_value_is_refused() {
    for bytes in [&b"o\x90"[..], b"J\x00", b"v\x90\x91N", b"Vu\x90n\x00z", b"Vn\x01NN", b"\x5a", b"O\x01"] {
        let outcome = Document::default().read_early(&mut Reader::new(bytes));
        assert!(
            matches!(outcome, Err(HessianError::Malformed | HessianError::Cut)),
            "{bytes:?}: {outcome:?}"
        );
    }
}
