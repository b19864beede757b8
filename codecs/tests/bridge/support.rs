//! Services to call, and frames taken apart.

use sidering_codecs::bolt::Bolt;
use sidering_codecs::bridge::{Bridge, BridgedMethod, BridgedService, Classes, JavaType, Refused, Shape};
use sidering_codecs::dubbo::Dubbo;
use sidering_codecs::hessian2::{Document, Node, Reader, Value};
use sidering_codecs::registry::{Protocol, protocol};
use sidering_codecs::rpc::{Frame, Layout, Scan, ScanLimits};

pub(crate) fn java_type(text: &str) -> JavaType {
    JavaType::parse(text).unwrap_or_else(|expected| panic!("{text} is not {expected}"))
}

/// A service with one method `call` of these parameters.
pub(crate) fn service(types: &[&str], classes: &[(&str, Shape)]) -> BridgedService {
    let types: Vec<JavaType> = types.iter().map(|text| java_type(text)).collect();
    let mut known = Classes::default();
    for (name, shape) in classes {
        known.add(name, shape.clone());
    }
    types.iter().for_each(|java_type| known.add_classes_of(java_type));
    BridgedService {
        service: "com.example.Greeter".to_owned(),
        methods: vec![BridgedMethod { name: "call".to_owned(), types, is_one_way: false }],
        classes: known,
        ..BridgedService::default()
    }
}

/// The protocols that there are bridges to.
pub(crate) fn bridged() -> [&'static Protocol; 2] {
    ["bolt", "dubbo"].map(|name| protocol(name).expect("it is registered"))
}

/// The same, taken apart.
pub(crate) fn bridges() -> [(&'static str, Bridge); 2] {
    bridged().map(|protocol| (protocol.name, protocol.bridge.expect("there is a bridge")))
}

/// The frame of a call of `call`.
pub(crate) fn frame(service: &BridgedService, protocol: &Protocol, body: &str) -> Result<Vec<u8>, Refused> {
    let bridge = protocol.bridge.as_ref().expect("there is a bridge");
    let mut frame = vec![];
    service.write_call(bridge, "call", body.as_bytes(), Some(3000), &mut frame)?;
    Ok(frame)
}

fn outline<L: Layout>(frame: &[u8]) -> Frame {
    let limits = ScanLimits { head_bytes: u32::MAX, wants_late_fields: false };
    match L::scan(frame, &limits) {
        Ok(Scan::Frame(outline)) if outline.total_bytes() == frame.len() as u64 => outline,
        other => panic!("no whole frame: {other:?}"),
    }
}

/// The arguments that a frame has, shown.
pub(crate) fn arguments(protocol: &Protocol, frame: &[u8]) -> Vec<String> {
    let mut document = Document::default();
    let mut values = vec![];
    if protocol.name == "bolt" {
        let mut reader = Reader::new(&frame[outline::<Bolt>(frame).head_bytes as usize..]);
        document.read_early(&mut reader).expect("the SofaRequest");
        while !reader.is_at_end() {
            values.push(document.read_early(&mut reader).expect("an argument"));
        }
    } else {
        let mut reader = Reader::new(&frame[outline::<Dubbo>(frame).head_bytes as usize..]);
        while !reader.is_at_end() {
            values.push(document.read(&mut reader).expect("an argument"));
        }
        // The attachments.
        values.pop();
    }
    values.iter().map(|value| show(&document, value)).collect()
}

/// Everything that is in a value, with the classes that it names.
pub(crate) fn show(document: &Document, value: &Value) -> String {
    let Value::Node(index) = value else { return format!("{value:?}") };
    let all =
        |values: &[Value]| values.iter().map(|value| show(document, value)).collect::<Vec<_>>().join(", ");
    match document.node(*index).expect("the node is there") {
        Node::List(class, items) => format!("{}[{}]", class.as_deref().unwrap_or(""), all(items)),
        Node::Map(class, entries) => {
            let entry =
                |(key, value): &(Value, Value)| format!("{}: {}", show(document, key), show(document, value));
            let entries: Vec<String> = entries.iter().map(entry).collect();
            format!("{}{{{}}}", class.as_deref().unwrap_or(""), entries.join(", "))
        }
        Node::Object(class, values) => format!("{}<{}>({})", class.name, class.fields.join(" "), all(values)),
    }
}
