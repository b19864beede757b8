//! The layouts of the protocols of framed calls on arbitrary bytes: never a panic, nothing outside of the bytes, every bound
//! kept, the same outline however many bytes have come, and a head that was written again reads as the same.

use crate::control::Control;
use sidering_codecs::Edits;
use sidering_codecs::bolt::Bolt;
use sidering_codecs::dubbo::Dubbo;
use sidering_codecs::dubbo_thrift::DubboThrift;
use sidering_codecs::hessian2::{self, Classes, Document, Reader, Value};
use sidering_codecs::message::FieldSpan;
use sidering_codecs::rpc::{Frame, FrameKind, Layout, Scan, ScanLimits};
use sidering_codecs::tars::Tars;
use sidering_codecs::thrift::Thrift;

const MAX_FIELDS: u16 = 8;
/// Limits of a head that the control bytes choose from.
const HEAD_BYTES: [u32; 4] = [64 * 1024, 256, 64, 40];

/// The protocol and the limits; a cut; then a frame.
pub fn run(input: &[u8]) {
    let mut control = Control::new(input);
    let choice = control.byte();
    let cut = usize::from(control.byte());
    let limits = ScanLimits {
        head_bytes: HEAD_BYTES[usize::from(choice >> 6)],
        wants_late_fields: choice & 0x20 != 0,
    };
    match choice & 7 {
        0 | 5 => hold::<Bolt>(control.rest(), &limits, cut),
        1 | 6 => hold::<Dubbo>(control.rest(), &limits, cut),
        2 => hold::<Tars>(control.rest(), &limits, cut),
        7 => hold_values(control.rest()),
        3 => hold::<DubboThrift>(control.rest(), &limits, cut),
        _ => hold::<Thrift>(control.rest(), &limits, cut),
    }
}

/// Values that can be read whole can be skipped, and take as many bytes then; texts and bytes survive being written again.
fn hold_values(bytes: &[u8]) {
    let (mut document, mut reader) = (Document::default(), Reader::new(bytes));
    let Ok(value) = document.read(&mut reader) else { return };
    let mut skipping = Reader::new(bytes);
    assert_eq!(skipping.skip(&mut Classes::default()), Ok(()));
    assert_eq!(skipping.position(), reader.position());
    let mut out = Vec::new();
    match &value {
        Value::Text(text) => hessian2::write_string(text, &mut out),
        Value::Bytes(bytes) => hessian2::write_bytes(bytes, &mut out),
        Value::Int(int) => hessian2::write_int(*int, &mut out),
        Value::Long(long) => hessian2::write_long(*long, &mut out),
        _ => return,
    }
    assert_eq!(Document::default().read(&mut Reader::new(&out)), Ok(value));
}

fn hold<L: Layout>(bytes: &[u8], limits: &ScanLimits, cut: usize) {
    let _ = L::detect(bytes);
    let scan = L::scan(bytes, limits);
    let early = L::scan(&bytes[..cut.min(bytes.len())], limits);
    match (scan, early) {
        (Ok(Scan::Frame(frame)), Ok(Scan::Frame(early))) => {
            assert_eq!(frame, early, "the outline depends on the cut");
        }
        (Ok(Scan::Frame(frame)), Ok(Scan::More(wanted))) => {
            assert!(
                wanted as u64 <= frame.total_bytes(),
                "more is wanted than there is: {wanted} of {frame:?}"
            );
        }
        (Ok(_), Err(error)) => panic!("fewer bytes are an error, more are none: {error}"),
        _ => {}
    }
    match scan {
        Ok(Scan::Frame(frame)) => hold_frame::<L>(&frame, bytes, limits),
        Ok(Scan::More(wanted)) => assert!(wanted > bytes.len(), "no more than what is there is wanted"),
        Err(error) => assert!((400..600).contains(&error.status)),
    }
}

fn hold_frame<L: Layout>(frame: &Frame, bytes: &[u8], limits: &ScanLimits) {
    assert!(frame.head_bytes <= frame.seen_bytes && frame.seen_bytes <= limits.head_bytes, "{frame:?}");
    assert!(frame.seen_bytes as usize <= bytes.len(), "{frame:?}");
    assert!(u64::from(frame.seen_bytes) <= frame.total_bytes(), "{frame:?}");
    let (head, seen) = (&bytes[..frame.head_bytes as usize], &bytes[..frame.seen_bytes as usize]);
    let mut spans = Vec::new();
    let mut out = Vec::new();
    if let Ok(call) = L::read(frame, seen, MAX_FIELDS, &mut spans) {
        for span in [call.service, call.method, call.version, call.group] {
            assert!((span.start + span.len) as usize <= seen.len(), "{span:?}");
        }
        assert!(spans.len() <= usize::from(MAX_FIELDS));
        for span in &spans {
            assert!(span.line_start as usize + usize::from(span.name_len) <= seen.len());
            assert!((span.value_start + span.value_len) as usize <= seen.len());
        }
        hold_rewritten::<L>(frame, head, &spans, &bytes[head.len()..]);
        let mut edits = Edits::default();
        edits.add(b"a", b"b");
        let _ = L::write_head(frame, head, &spans, 1, &edits, &mut out);
    }
    L::write_reply(frame, head, 503, b"text", &mut out);
    L::write_pong(frame, head, &mut out);
}

/// With another id the frame is the same frame.
fn hold_rewritten<L: Layout>(frame: &Frame, head: &[u8], spans: &[FieldSpan], rest: &[u8]) {
    let id = 0x1234_5678;
    let mut out = Vec::new();
    if L::write_head(frame, head, spans, id, &Edits::default(), &mut out).is_err() {
        return;
    }
    out.extend_from_slice(rest);
    let wide = ScanLimits { head_bytes: 128 * 1024, wants_late_fields: false };
    let again = match L::scan(&out, &wide) {
        Ok(Scan::Frame(again)) => again,
        // Within wider limits all of it may be looked at, of which the input has not got more.
        Ok(Scan::More(wanted)) if frame.kind == FrameKind::Ping && wanted > out.len() => return,
        other => panic!("no frame any more: {other:?}, {frame:?}"),
    };
    assert_eq!((again.kind, again.dialect, again.status), (frame.kind, frame.dialect, frame.status));
    assert_eq!(again.payload_bytes, frame.payload_bytes);
}
