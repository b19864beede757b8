//! JSON of any shape becomes hessian2 and JSON again, in both dialects; and bytes of any kind do no harm.

use crate::support::{bridges, service};
use proptest::prelude::*;
use sidering_codecs::hessian2::{Dialect, Document, Output, Reader};
use sidering_codecs::json::{self, Json};

/// A JSON text, written with as little as possible.
fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        any::<i32>().prop_map(|value| value.to_string()),
        any::<f64>()
            .prop_filter("a number", |value| value.is_finite())
            .prop_map(|value| format!("{value:?}")),
        any::<String>().prop_map(|text| quoted(&text)),
        "[a-zä😀]{0,40}".prop_map(|text| quoted(&text)),
    ];
    leaf.prop_recursive(4, 64, 10, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..10).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::btree_map("[b-z]{1,5}", inner, 0..10).prop_map(|members| {
                let members: Vec<String> =
                    members.iter().map(|(name, member)| format!("{}:{member}", quoted(name))).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

fn quoted(text: &str) -> String {
    let mut out = vec![];
    json::write_text(text, &mut out);
    String::from_utf8(out).expect("text")
}

/// The answer of a server that answers with its only argument.
fn echo(protocol: &str, call: &[u8], head_bytes: usize) -> Vec<u8> {
    let arguments = &call[head_bytes..];
    let mut reader = Reader::new(arguments);
    let mut document = Document::default();
    if protocol == "bolt" {
        document.read_early(&mut reader).expect("the SofaRequest");
        return answer(protocol, &arguments[reader.position()..]);
    }
    document.read(&mut reader).expect("the argument");
    answer(protocol, &arguments[..reader.position()])
}

/// An answer with this value.
fn answer(protocol: &str, value: &[u8]) -> Vec<u8> {
    let mut content = vec![];
    let mut frame = if protocol == "bolt" {
        let mut output = Output::new(Dialect::Early, &mut content);
        let class = "com.alipay.sofa.rpc.core.response.SofaResponse";
        output.begin_object(class, ["appResponse"].into_iter());
        vec![1, 0, 0, 2, 1, 0, 0, 0, 7, 1, 0, 0, 0, 0, 0, 0]
    } else {
        content.push(0x91);
        vec![0xda, 0xbb, 2, 20, 0, 0, 0, 0, 0, 0, 0, 7]
    };
    content.extend_from_slice(value);
    frame.extend_from_slice(&(content.len() as u32).to_be_bytes());
    [frame, content].concat()
}

proptest! {
    #[test]
    fn json_comes_back(text in json_text()) {
        let service = service(&["java.lang.Object"], &[]);
        for (name, bridge) in bridges() {
            let mut call = vec![];
            let body = format!("[{text}]");
            service.write_call(&bridge, "call", body.as_bytes(), None, &mut call).expect("a call");
            let head_bytes = (bridge.head)(&call).expect("a head").frame.head_bytes as usize;
            let answer = (bridge.read_answer)(&echo(name, &call, head_bytes), usize::MAX).expect("an answer");
            prop_assert_eq!(String::from_utf8(answer.body).expect("text"), text.clone(), "{}", name);
        }
    }

    #[test]
    fn any_bytes_are_an_answer_or_none(value in prop::collection::vec(any::<u8>(), 0..200)) {
        for (name, bridge) in bridges() {
            let Ok(answer) = (bridge.read_answer)(&answer(name, &value), 10_000) else { continue };
            // A map may have keys that are not one, and whose names are.
            let error = json::read(&answer.body).err().filter(|error| !error.reason.contains("two members"));
            prop_assert_eq!(error, None, "{:?}", String::from_utf8_lossy(&answer.body));
        }
    }

    #[test]
    fn any_text_is_json_or_none(text in "[\\[\\]{}\",:0-9a-z\\\\ .e+-]{0,40}") {
        let ours = json::read(text.as_bytes());
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        // Numbers beyond a double's range are ours, and names that come twice are theirs.
        let is_fine = match (&ours, &theirs) {
            (Err(error), Ok(_)) => error.reason.contains("two members"),
            (Ok(_), Err(error)) => error.to_string().contains("out of range"),
            _ => true,
        };
        prop_assert!(is_fine, "{:?} {:?}", ours, theirs);
        if let Ok(Json::Text(text)) = ours {
            let theirs = theirs.expect("both read it");
            prop_assert_eq!(Some(&*text), theirs.as_str());
        }
    }
}
