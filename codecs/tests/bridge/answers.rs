//! What answers become.

use sidering_codecs::bridge::{Answer, DUBBO, SOFA};
use sidering_codecs::hessian2::{Dialect, Output};

const MAX_BYTES: usize = 1000;

/// A bolt answer with this status and content.
fn bolt(status: u16, content: &[u8]) -> Vec<u8> {
    let mut frame = vec![1, 0, 0, 2, 1, 0, 0, 0, 7, 1];
    frame.extend_from_slice(&status.to_be_bytes());
    frame.extend_from_slice(&[0, 0, 0, 0]);
    frame.extend_from_slice(&(content.len() as u32).to_be_bytes());
    frame.extend_from_slice(content);
    frame
}

/// A Dubbo answer with this status and body.
fn dubbo(status: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xda, 0xbb, 2, status, 0, 0, 0, 0, 0, 0, 0, 7];
    frame.extend_from_slice(&(body.len() as u32).to_be_bytes());
    frame.extend_from_slice(body);
    frame
}

/// A value as either protocol answers with it.
fn answers(write: impl Fn(&mut Output<'_>)) -> [Result<Answer, &'static str>; 2] {
    let mut content = vec![];
    let mut output = Output::new(Dialect::Early, &mut content);
    let fields = ["isError", "errorMsg", "appResponse", "responseProps"];
    output.begin_object("com.alipay.sofa.rpc.core.response.SofaResponse", fields.into_iter());
    output.bool(false);
    output.null();
    write(&mut output);
    output.null();
    let mut body = vec![0x91];
    write(&mut Output::new(Dialect::Final, &mut body));
    [(SOFA.read_answer)(&bolt(0, &content), MAX_BYTES), (DUBBO.read_answer)(&dubbo(20, &body), MAX_BYTES)]
}

#[track_caller]
fn assert_json(expected: &str, write: impl Fn(&mut Output<'_>)) {
    for answer in answers(write) {
        let answer = answer.unwrap();
        assert_eq!((answer.status, std::str::from_utf8(&answer.body).unwrap()), (200, expected));
    }
}

#[test]
fn values_are_json() {
    assert_json("[]", |out| {
        out.begin_list(None, 0);
        out.end_list();
    });
    assert_json("true", |out| out.bool(true));
    assert_json("-7", |out| out.int(-7));
    assert_json("9007199254740993", |out| out.long(9_007_199_254_740_993));
    assert_json("-9223372036854775808", |out| out.long(i64::MIN));
    assert_json("0.5", |out| out.double(0.5));
    assert_json("\"NaN\"", |out| out.double(f64::NAN));
    assert_json("\"2024-02-29T12:34:56.789Z\"", |out| out.date_ms(1_709_210_096_789));
    assert_json("\"ä😀\\n\"", |out| out.text("ä😀\n"));
    assert_json("\"AQL/\"", |out| out.bytes(&[1, 2, 255]));
}

#[test]
fn what_holds_others_is_arrays_and_objects() {
    assert_json("{\"1\":[true,[]],\"b\":{\"c\":1}}", |out| {
        out.begin_map(None);
        out.int(1);
        out.begin_list(Some("[object"), 2);
        out.bool(true);
        out.begin_list(None, 0);
        out.end_list();
        out.end_list();
        out.text("b");
        out.begin_object("com.example.User", ["c"].into_iter());
        out.int(1);
        out.end_map();
    });
    assert_json("[12345678901234567890.10,-18446744073709551616,\"1970-01-01T00:00:00.000Z\"]", |out| {
        out.begin_list(None, 3);
        out.begin_object("java.math.BigDecimal", ["value"].into_iter());
        out.text("12345678901234567890.10");
        out.begin_object("java.math.BigInteger", ["signum", "mag"].into_iter());
        out.int(-1);
        out.begin_list(Some("[int"), 3);
        (0..3).for_each(|word| out.int(i32::from(word == 0)));
        out.end_list();
        out.begin_object("java.sql.Timestamp", ["value"].into_iter());
        out.date_ms(0);
        out.end_list();
    });
    // An enum as a key is its name.
    assert_json("{\"RED\":1}", |out| {
        out.begin_map(None);
        out.begin_object("com.example.Color", ["name"].into_iter());
        out.text("RED");
        out.int(1);
        out.end_map();
    });
}

#[test]
fn values_within_themselves_are_named_by_their_place() {
    // A map {a: [itself, the list]}: `Q` and `J` refer to what began first, second.
    let dubbo_body = b"\x91H\x01a\x7a\x51\x90\x51\x91Z";
    let answer = (DUBBO.read_answer)(&dubbo(20, dubbo_body), MAX_BYTES).unwrap();
    assert_eq!(String::from_utf8(answer.body).unwrap(), r#"{"a":[{"$ref":"$"},{"$ref":"$.a"}]}"#);
    let mut content = vec![];
    let mut output = Output::new(Dialect::Early, &mut content);
    output.begin_object("com.alipay.sofa.rpc.core.response.SofaResponse", ["appResponse"].into_iter());
    content.extend_from_slice(b"M\x01aVn\x02J\x01J\x02zz");
    let answer = (SOFA.read_answer)(&bolt(0, &content), MAX_BYTES).unwrap();
    assert_eq!(String::from_utf8(answer.body).unwrap(), r#"{"a":[{"$ref":"$"},{"$ref":"$.a"}]}"#);
}

#[test]
fn what_is_referred_to_again_and_again_is_bounded() {
    // Each list has the one before twice: 2 to the 40th values.
    let mut body = vec![0x91, 0x58, 0x90 + 40, 0x7a, 0x91, 0x91];
    for before in 1..40u8 {
        body.extend_from_slice(&[0x7a, 0x51, 0x90 + before, 0x51, 0x90 + before]);
    }
    assert_eq!((DUBBO.read_answer)(&dubbo(20, &body), MAX_BYTES), Err("answer_to_bridged_call_too_large"));
    // Each has the one before once: 200 levels.
    let mut body = vec![0x91, 0x58, 0xc8, 200, 0x78];
    for before in 1..200u8 {
        body.extend_from_slice(&[0x79, 0x51, 0xc8, before]);
    }
    assert_eq!(
        (DUBBO.read_answer)(&dubbo(20, &body), usize::MAX),
        Err("answer_to_bridged_call_nested_too_deeply")
    );
}

#[test]
fn bounds_of_length() {
    for (length, is_fine) in [(MAX_BYTES - 3, true), (MAX_BYTES - 2, true), (MAX_BYTES - 1, false)] {
        for answer in answers(|out| out.text(&"x".repeat(length))) {
            assert_eq!(answer.is_ok(), is_fine, "{length}");
        }
    }
}

fn exception(dialect: Dialect, class: &str, out: &mut Vec<u8>) {
    let mut output = Output::new(dialect, out);
    output.begin_object(class, ["detailMessage", "cause", "stackTrace"].into_iter());
    output.text("no \"good\"");
    output.null();
    output.begin_list(Some("[java.lang.StackTraceElement"), 0);
    output.end_list();
}

#[test]
fn exceptions_are_named() {
    let mut body = vec![0x90];
    exception(Dialect::Final, "java.lang.IllegalStateException", &mut body);
    let expected = r#"{"error":{"class":"java.lang.IllegalStateException","message":"no \"good\""}}"#;
    for kind in [0x90, 0x93] {
        body[0] = kind;
        let answer = (DUBBO.read_answer)(&dubbo(20, &body), MAX_BYTES).unwrap();
        assert_eq!((answer.status, std::str::from_utf8(&answer.body).unwrap()), (500, expected));
    }
    let mut content = vec![];
    let mut output = Output::new(Dialect::Early, &mut content);
    output.begin_object(
        "com.alipay.sofa.rpc.core.response.SofaResponse",
        ["isError", "appResponse"].into_iter(),
    );
    output.bool(false);
    output.begin_object("java.lang.IllegalStateException", ["detailMessage", "stackTrace"].into_iter());
    output.text("no \"good\"");
    output.null();
    let answer = (SOFA.read_answer)(&bolt(0, &content), MAX_BYTES).unwrap();
    assert_eq!((answer.status, std::str::from_utf8(&answer.body).unwrap()), (500, expected));
}

#[test]
fn statuses_are_https() {
    let text = |status, message: &str| {
        let mut body = vec![message.len() as u8];
        body.extend_from_slice(message.as_bytes());
        let answer = (DUBBO.read_answer)(&dubbo(status, &body), MAX_BYTES).unwrap();
        (answer.status, String::from_utf8(answer.body).unwrap())
    };
    for (status, http) in
        [(30, 504), (31, 504), (40, 400), (60, 404), (70, 500), (80, 500), (100, 503), (99, 500)]
    {
        assert_eq!(
            text(status, "why"),
            (http, format!(r#"{{"error":{{"status":"{status}","message":"why"}}}}"#))
        );
    }
    assert_eq!(text(70, "Not found exported service: x").0, 404);
    for (status, http) in [(1, 500), (2, 500), (4, 503), (6, 404), (7, 504), (16, 502), (99, 500)] {
        let answer = (SOFA.read_answer)(&bolt(status, b""), MAX_BYTES).unwrap();
        assert_eq!(answer.status, http);
        assert_eq!(answer.body, format!(r#"{{"error":{{"status":"{status}","message":""}}}}"#).into_bytes());
    }
}

#[test]
fn answers_of_the_proxys_own_are_nothing() {
    // What a direct response says: no content, and Dubbo's mark of an answer without a value.
    assert_eq!((SOFA.read_answer)(&bolt(0, b""), MAX_BYTES).unwrap().body, b"null");
    for body in [&[0x92][..], &[0x95, b'H', b'Z'], b"N"] {
        assert_eq!((DUBBO.read_answer)(&dubbo(20, body), MAX_BYTES).unwrap().body, b"null");
    }
}

#[test]
fn what_is_no_answer_is_refused() {
    let malformed = Err("malformed_answer_to_bridged_call");
    for body in [&b""[..], b"\x91", b"\x01x", b"\x91\x51\x90", b"\x91\x7a\x90"] {
        assert_eq!((DUBBO.read_answer)(&dubbo(20, body), MAX_BYTES), malformed, "{body:?}");
    }
    for content in [&b"N"[..], b"\x01x", b"M\x7a", b"o\x90", b"V"] {
        assert_eq!((SOFA.read_answer)(&bolt(0, content), MAX_BYTES), malformed, "{content:?}");
    }
    // Another serialization, a request, and a frame that is cut.
    let mut other = dubbo(20, b"\x91\x90");
    other[2] = 6;
    assert_eq!((DUBBO.read_answer)(&other, MAX_BYTES), malformed);
    other[2] = 0xc2;
    assert_eq!((DUBBO.read_answer)(&other, MAX_BYTES), malformed);
    assert_eq!((SOFA.read_answer)(&bolt(0, b"N")[..20], MAX_BYTES), malformed);
    // Lists in lists, deeper than is followed, and more values.
    let deep = [vec![0x91], vec![0x79; 10_000], vec![0x90]].concat();
    assert_eq!((DUBBO.read_answer)(&dubbo(20, &deep), MAX_BYTES), malformed);
    let many = [vec![0x91, 0x58, b'I'], 1_000_000i32.to_be_bytes().to_vec(), vec![0x90; 1_000_000]].concat();
    assert_eq!((DUBBO.read_answer)(&dubbo(20, &many), usize::MAX), malformed);
}
