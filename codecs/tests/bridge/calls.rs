//! The frames of calls, as routing reads them, and what a body stands for.

use crate::support::{arguments, bridged, bridges, frame, java_type, service};
use sidering_codecs::bridge::{BridgedMethod, BridgedService};
use sidering_codecs::hessian2::{Document, Reader};
use sidering_codecs::rpc::FrameKind;

#[test]
fn a_call_says_what_a_client_would() {
    let service = BridgedService {
        version: "2.0".to_owned(),
        group: "g".to_owned(),
        ..service(&["int", "java.lang.String[]"], &[])
    };
    for (name, bridge) in bridges() {
        let mut bytes = vec![];
        service.write_call(&bridge, "call", b"[1, [\"a\"]]", Some(3000), &mut bytes).unwrap();
        let head = (bridge.head)(&bytes).unwrap();
        assert_eq!(
            (head.frame.kind, head.taken().len(), head.method()),
            (FrameKind::Request, bytes.len(), &b"call"[..])
        );
        let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        if name == "bolt" {
            assert_eq!(head.service(), b"com.example.Greeter:2.0:g");
            assert_eq!(head.frame.timeout_ms, Some(3000));
            let mut document = Document::default();
            let mut reader = Reader::new(&bytes[head.frame.head_bytes as usize..]);
            let request = document.read_early(&mut reader).unwrap();
            let expected = "com.alipay.sofa.rpc.core.request.SofaRequest<targetAppName methodName targetServiceUniqueName \
                            requestProps methodArgSigs>(Null, Text(\"call\"), Text(\"com.example.Greeter:2.0:g\"), Null, \
                            [string[Text(\"int\"), Text(\"java.lang.String[]\")])";
            assert_eq!(crate::support::show(&document, &request), expected);
        } else {
            assert_eq!((head.service(), head.version()), (&b"com.example.Greeter"[..], &b"2.0"[..]));
            assert!(has("I[Ljava/lang/String;") && has("timeout\u{4}3000") && has("group\u{1}g"));
        }
    }
}

#[test]
fn a_one_way_call_is_one() {
    let mut service = service(&["int"], &[]);
    service.methods[0].is_one_way = true;
    for (_, bridge) in bridges() {
        let mut bytes = vec![];
        assert_eq!(service.write_call(&bridge, "call", b"[1]", None, &mut bytes), Ok(true));
        let head = (bridge.head)(&bytes).unwrap();
        assert_eq!((head.frame.kind, head.frame.timeout_ms), (FrameKind::OneWay, None));
    }
}

#[test]
fn a_body_is_all_arguments_or_the_only_one_or_none() {
    for (types, body, expected) in [
        (&["int"][..], "[1]", &["Int(1)"][..]),
        (&["int"], " 1 ", &["Int(1)"]),
        (&["java.util.Map"], "{}", &["{}"]),
        (&["java.util.List"], "[[]]", &["[]"]),
        (&["int", "int"], "[1, 2]", &["Int(1)", "Int(2)"]),
        (&[], "", &[]),
        (&[], " \n", &[]),
        (&[], "[]", &[]),
    ] {
        for protocol in bridged() {
            let written = frame(&service(types, &[]), protocol, body).unwrap();
            assert_eq!(arguments(protocol, &written), expected, "{body}");
        }
    }
    let refused =
        |types: &[&str], body: &str| frame(&service(types, &[]), bridged()[0], body).unwrap_err().message;
    assert_eq!(refused(&[], "1"), "call has 0 parameters, and there are 1 arguments");
    assert_eq!(refused(&["int"], ""), "call has 1 parameters, and there are 0 arguments");
    assert_eq!(
        refused(&["int"], "[1,]"),
        "the body is no JSON: something else where a value belongs at line 1, column 4"
    );
}

#[test]
fn methods_of_one_name_are_told_apart_by_their_parameters() {
    let mut service = service(&["int"], &[]);
    let types = vec![java_type("long"), java_type("long")];
    service.methods.push(BridgedMethod { name: "call".to_owned(), types, is_one_way: false });
    let dubbo = bridged()[1];
    assert_eq!(arguments(dubbo, &frame(&service, dubbo, "1").unwrap()), ["Int(1)"]);
    assert_eq!(arguments(dubbo, &frame(&service, dubbo, "[1, 2]").unwrap()), ["Long(1)", "Long(2)"]);
    let refused = frame(&service, dubbo, "[1, 2, 3]").unwrap_err();
    assert_eq!(refused.message, "call has 1 or 2 parameters, and there are 3 arguments");
}

#[test]
fn clients_may_say_types_where_they_are_let() {
    let mut service = BridgedService { takes_types: true, ..service(&["com.example.User"], &[]) };
    service.methods[0].name = "listed".to_owned();
    assert!(service.has_method("listed") && service.has_method("call") && service.has_method("$x"));
    assert!(!service.has_method("") && !service.has_method("a-b") && !service.has_method("1a"));
    for protocol in bridged() {
        let written =
            frame(&service, protocol, r#"{"types": ["long", "com.example.User"], "args": [1, {}]}"#).unwrap();
        assert_eq!(arguments(protocol, &written), ["Long(1)", "com.example.User<>()"]);
        for body in [
            "",
            "1",
            "[1]",
            "{}",
            r#"{"types": []}"#,
            r#"{"types": [], "args": [1]}"#,
            r#"{"types": [1], "args": [1]}"#,
            r#"{"types": ["x"], "args": [1]}"#,
            r#"{"types": ["javax.naming.InitialContext"], "args": [{}]}"#,
            r#"{"types": ["com.example.Gadget"], "args": [{}]}"#,
        ] {
            assert_eq!(frame(&service, protocol, body).unwrap_err().status, 400, "{body}");
        }
    }
    service.takes_types = false;
    assert!(service.has_method("listed") && !service.has_method("call"));
}
