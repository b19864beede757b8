//! What one codec decodes, the other side's codec encodes, and a plain reading and a second codec must find the same
//! message in it: one message, never two, and never a whole one of what came broken.

use crate::control::{Control, Cuts, options};
use crate::forwarded_requests;
use crate::forwarded_responses::{self, Asked, Downstream};
use crate::said::{Said, push, said};
use sidering_codecs::registry::CodecOptions;
use sidering_codecs::{Codec, Edits, Scratch};

/// Bounds for the second codec: what is forwarded may be a little longer than what came.
pub(crate) const WIDE: CodecOptions =
    CodecOptions { header_bytes: 1 << 20, headers: 256, uri_bytes: 1 << 19, ..CodecOptions::DEFAULT };

/// Options and way of forwarding, an index to remove, cuts; then what a client, or an upstream, sends.
pub fn run(input: &[u8]) {
    let mut control = Control::new(input);
    let (choice, way) = (control.byte(), Way(control.byte()));
    let cuts = control.cuts();
    let bytes = control.rest();
    if choice & 4 == 0 {
        forwarded_requests::check(bytes, options(choice), way, &cuts);
    } else {
        let kind = [Asked::Get, Asked::Head, Asked::Connect, Asked::Upgrade][usize::from(choice >> 3 & 3)];
        let version = match choice >> 5 & 3 {
            0 | 2 => Downstream::Http11,
            1 => Downstream::Http10,
            _ => Downstream::Http10KeepAlive,
        };
        forwarded_responses::check(bytes, options(choice), (kind, version), way, &cuts);
    }
}

/// How heads are changed while they are forwarded.
#[derive(Clone, Copy, Debug)]
pub struct Way(u8);

impl Way {
    /// Whether an Upgrade passes.
    pub(crate) fn keeps_upgrade(self) -> bool {
        self.0 & 1 != 0
    }

    /// The field that is removed.
    pub(crate) fn removed(self) -> Option<usize> {
        (self.0 & 2 != 0).then_some(usize::from(self.0 >> 3 & 7))
    }

    /// The field that is added.
    pub(crate) fn added(self) -> Option<(&'static str, &'static str)> {
        (self.0 & 4 != 0).then_some(("x-added", "yes"))
    }

    /// The same as edits.
    pub(crate) fn edits(self) -> Edits {
        let mut edits = Edits::default();
        if self.keeps_upgrade() {
            edits.keep_upgrade();
        }
        if let Some(index) = self.removed() {
            edits.remove(index);
        }
        if let Some((name, value)) = self.added() {
            edits.add(name.as_bytes(), value.as_bytes());
        }
        edits
    }
}

/// Everything a codec says of bytes in these pieces.
pub(crate) fn read_back(codec: &mut dyn Codec, bytes: &[u8], cuts: &Cuts) -> Vec<Said> {
    let mut all = Vec::new();
    let mut left = Vec::new();
    for piece in cuts.pieces(bytes) {
        let buffer = [left.as_slice(), piece].concat();
        let (mut input, mut scratch) = (buffer.as_slice(), Scratch::default());
        loop {
            match codec.decode(&mut scratch, &mut input) {
                Ok(Some(event)) => push(&mut all, said(&event)),
                Ok(None) => break,
                Err(error) => panic!("refused with {}: {}", error.reason, bytes.escape_ascii()),
            }
        }
        left = input.to_vec();
    }
    assert!(left.is_empty(), "bytes behind the message: {}", left.escape_ascii());
    all
}

/// Writes payload with its framing. All of it must be granted: its length is what was announced.
pub(crate) fn send_data(
    codec: &mut dyn Codec,
    stream: sidering_codecs::StreamId,
    data: &[u8],
    out: &mut Vec<u8>,
) {
    let grant = codec.encode_data(stream, data, out);
    assert_eq!(grant.allowed, data.len(), "payload is not granted");
    out.extend_from_slice(data);
    out.extend_from_slice(grant.suffix);
}
