//! Heads for unit tests.

use sidering_codecs::{FieldName, FieldSpan};

/// Lines of fields, with what tells them apart.
pub(crate) fn fields(lines: &[&str]) -> (Vec<u8>, Vec<FieldSpan>) {
    let (mut bytes, mut spans) = (vec![], vec![]);
    for line in lines {
        let start = bytes.len() as u32;
        let colon = line.find(": ").unwrap() as u32;
        bytes.extend_from_slice(format!("{line}\r\n").as_bytes());
        spans.push(FieldSpan {
            line_start: start,
            value_start: start + colon + 2,
            value_len: line.len() as u32 - colon - 2,
            line_end: bytes.len() as u32,
            name_len: colon as u16,
            name: FieldName::Other,
            hop_by_hop: line.starts_with("hop"),
        });
    }
    (bytes, spans)
}
