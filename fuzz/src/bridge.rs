//! Bridging on arbitrary bytes: JSON that becomes a call, which then is a whole frame and comes back as the JSON that it was, and
//! answers, which become JSON or nothing. Never a panic, and every bound kept.

use crate::control::Control;
use sidering_codecs::bridge::{Bridge, BridgedMethod, BridgedService, Classes, JavaType, Shape};
use sidering_codecs::json;
use sidering_codecs::registry::protocol;

/// What an answer may come to, as the control byte chooses.
const MAX_BYTES: [usize; 2] = [64 * 1024, 16];
/// Types that arguments may have.
const TYPES: [&str; 8] = [
    "java.lang.Object",
    "long",
    "java.math.BigInteger",
    "java.util.Date",
    "byte[]",
    "java.util.Map<java.lang.Integer, java.util.Set<double>>",
    "a.User",
    "a.User[][]",
];

/// The protocol, what is asked and the type; then JSON, or an answer's content.
pub fn run(input: &[u8]) {
    let mut control = Control::new(input);
    let choice = control.byte();
    let name = if choice & 1 == 0 { "bolt" } else { "dubbo" };
    let bridge = protocol(name).and_then(|protocol| protocol.bridge).expect("there is a bridge");
    let max_bytes = MAX_BYTES[usize::from(choice >> 2 & 1)];
    if choice & 2 == 0 {
        call(&bridge, TYPES[usize::from(choice >> 3 & 7)], control.rest());
    } else {
        let prefix: &[u8] = match name {
            "bolt" => b"O\xbecom.alipay.sofa.rpc.core.response.SofaResponse\x91\x0bappResponseo\x90",
            _ => b"\x91",
        };
        answer(&bridge, &frame(name, &[prefix, control.rest()].concat()), max_bytes);
    }
}

fn call(bridge: &Bridge, type_text: &str, body: &[u8]) {
    let parameter = JavaType::parse(type_text).expect("a type");
    let mut classes = Classes::default();
    classes.add("a.User", Shape::Fields([("id".to_owned(), JavaType::object())].into()));
    let service = BridgedService {
        service: "a.B".to_owned(),
        methods: vec![BridgedMethod { name: "m".to_owned(), types: vec![parameter], is_one_way: false }],
        takes_types: true,
        classes,
        ..BridgedService::default()
    };
    for method in ["m", "other"] {
        let mut frame = vec![];
        match service.write_call(bridge, method, body, Some(1), &mut frame) {
            Ok(_) => {
                let head = (bridge.head)(&frame).expect("a call is a whole frame");
                assert_eq!(head.taken().len(), frame.len());
                assert_eq!(head.method(), method.as_bytes());
            }
            Err(refused) => assert!(refused.status == 400 && !refused.message.is_empty()),
        }
    }
}

fn frame(protocol: &str, content: &[u8]) -> Vec<u8> {
    let mut frame = match protocol {
        "bolt" => vec![1, 0, 0, 2, 1, 0, 0, 0, 7, 1, 0, 0, 0, 0, 0, 0],
        _ => vec![0xda, 0xbb, 2, 20, 0, 0, 0, 0, 0, 0, 0, 7],
    };
    frame.extend_from_slice(&(content.len() as u32).to_be_bytes());
    frame.extend_from_slice(content);
    frame
}

fn answer(bridge: &Bridge, frame: &[u8], max_bytes: usize) {
    let Ok(answer) = (bridge.read_answer)(frame, max_bytes) else { return };
    assert!((200..600).contains(&answer.status));
    assert!(answer.status != 200 || answer.body.len() <= max_bytes);
    if let Err(error) = json::read(&answer.body) {
        // What is written may be nested deeper, through references, than is read.
        assert!(error.reason.contains("deeper") || error.reason.contains("two members"), "{error}");
    }
}
