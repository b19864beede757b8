//! Golden frames by name, and what every test asks of a layout.

use sidering_codecs::edits::Edits;
use sidering_codecs::message::{FieldSpan, Fields};
use sidering_codecs::rpc::{Call, Frame, Layout, Scan, ScanLimits};

pub(crate) const LIMITS: ScanLimits = ScanLimits { head_bytes: 64 * 1024, wants_late_fields: false };
pub(crate) const WITH_LATE_FIELDS: ScanLimits = ScanLimits { head_bytes: 64 * 1024, wants_late_fields: true };

/// The bytes of the golden frame whose title begins so.
pub(crate) fn golden(title: &str) -> Vec<u8> {
    let text = include_str!("golden_frames.txt");
    let mut lines = text.lines().skip_while(|line| !line.starts_with(title)).skip(1);
    let mut bytes = Vec::new();
    while let Some(line) = lines.next().filter(|line| line.starts_with("0000")) {
        let digits = line[8..].split('|').next().expect("a dump has a text column");
        let digits = digits.split_whitespace().map(|byte| u8::from_str_radix(byte, 16));
        bytes.extend(digits.map(|byte| byte.expect("a dump has hexadecimal bytes")));
    }
    assert!(!bytes.is_empty(), "no golden frame is called {title}");
    bytes
}

/// The outline of a frame that is whole.
pub(crate) fn outline<L: Layout>(bytes: &[u8], limits: &ScanLimits) -> Frame {
    match L::scan(bytes, limits) {
        Ok(Scan::Frame(frame)) => frame,
        other => panic!("{} does not see a frame: {other:?}", L::NAME),
    }
}

/// A call as text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) service: String,
    pub(crate) method: String,
    pub(crate) version: String,
    pub(crate) group: String,
    pub(crate) fields: Vec<(String, String)>,
}

pub(crate) fn told<L: Layout>(bytes: &[u8], limits: &ScanLimits) -> Told {
    let frame = outline::<L>(bytes, limits);
    let seen = &bytes[..frame.seen_bytes as usize];
    let (call, spans) = read::<L>(&frame, seen);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let fields =
        Fields::new(seen, &spans).iter().map(|field| (text(field.name), text(field.value))).collect();
    Told {
        service: text(call.service.of(seen)),
        method: text(call.method.of(seen)),
        version: text(call.version_of(seen)),
        group: text(call.group.of(seen)),
        fields,
    }
}

pub(crate) fn read<L: Layout>(frame: &Frame, seen: &[u8]) -> (Call, Vec<FieldSpan>) {
    let mut spans = Vec::new();
    let call = L::read(frame, seen, 100, &mut spans).expect("the head can be read");
    (call, spans)
}

/// The whole frame with another id and as `edits` change it.
pub(crate) fn rewritten<L: Layout>(bytes: &[u8], id: u64, edits: &Edits) -> Vec<u8> {
    let frame = outline::<L>(bytes, &LIMITS);
    let (head, payload) = bytes.split_at(frame.head_bytes as usize);
    let (_, spans) = read::<L>(&frame, &bytes[..frame.seen_bytes as usize]);
    let mut out = b"before".to_vec();
    L::write_head(&frame, head, &spans, id, edits, &mut out).expect("the head fits");
    out.extend_from_slice(payload);
    out.split_off(b"before".len())
}
