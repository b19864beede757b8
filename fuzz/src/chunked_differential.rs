//! Chunked decoding in arbitrary pieces against the plain reading of the whole body.

use crate::control::{Control, Cuts, options};
use crate::plain_chunks::{self, Chunks, Outcome};
use crate::said::{Said, payload, push, said};
use sidering_codecs::registry::{CodecOptions, protocol};
use sidering_codecs::{Codec, Scratch};

const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Options, cuts; then the body and what follows it.
pub fn run(input: &[u8]) {
    let mut control = Control::new(input);
    let options = options(control.byte());
    let cuts = control.cuts();
    let body = control.rest();
    let expected = plain_chunks::read(body, usize::from(options.headers), options.header_bytes as usize);
    for cuts in [&cuts, &Cuts::single_bytes()] {
        compare(&expected, body, &decode(options, &cuts.pieces(body)));
    }
    compare(&expected, body, &decode(options, &[body]));
}

/// What was said behind the head, how many bytes were left untouched, and whether the message was whole.
struct Decoded {
    said: Vec<Said>,
    left: usize,
    ends_well: bool,
}

fn decode(options: CodecOptions, pieces: &[&[u8]]) -> Decoded {
    let mut codec = (protocol("http1").expect("registered").server)(options);
    let mut all = Vec::new();
    feed(&mut *codec, HEAD, &mut all);
    let mut left = 0;
    for piece in pieces {
        left += if left > 0 { piece.len() } else { feed(&mut *codec, piece, &mut all) };
    }
    let ends_well = codec.decode_end().is_ok();
    Decoded { said: all.split_off(1), left, ends_well }
}

/// Decodes a piece in a buffer of its own; tells how many bytes of it were left.
fn feed(codec: &mut dyn Codec, piece: &[u8], all: &mut Vec<Said>) -> usize {
    let buffer = piece.to_vec();
    let (mut input, mut scratch) = (buffer.as_slice(), Scratch::default());
    while !matches!(all.last(), Some(Said::Refused(_))) {
        match codec.decode(&mut scratch, &mut input) {
            Ok(Some(event)) => push(all, said(&event)),
            Ok(None) => return input.len(),
            Err(error) => push(all, Said::Refused(error.status)),
        }
    }
    0
}

fn compare(expected: &Chunks, body: &[u8], decoded: &Decoded) {
    let Decoded { said, left, ends_well } = decoded;
    assert_eq!(payload(said).escape_ascii().to_string(), expected.payload.escape_ascii().to_string());
    let refused = matches!(said.last(), Some(Said::Refused(400 | 431)));
    let ended = said.last() == Some(&Said::End);
    match &expected.outcome {
        Outcome::Whole { trailers, length } => {
            assert!(ended && *ends_well, "not whole: {said:?}");
            assert_eq!(body.len() - left, *length, "where the body ends");
            let told: Vec<plain_chunks::Line> = trailers_of(said);
            assert_eq!(told, *trailers);
        }
        Outcome::Cut => assert!(!ended && !refused && !ends_well, "not cut: {said:?}"),
        // A line that is not whole yet may be wrong already.
        Outcome::CutInTrailers | Outcome::WrongInTrailers => {
            assert!(!ended && (refused || !ends_well), "whole: {said:?}");
        }
        Outcome::Wrong => assert!(!ended && refused, "not refused: {said:?}"),
    }
}

fn trailers_of(said: &[Said]) -> Vec<plain_chunks::Line> {
    let sections = said.iter().filter_map(|one| match one {
        Said::Trailers(fields) => Some(fields),
        _ => None,
    });
    sections.flatten().map(|field| (field.name.0.clone(), field.value.0.clone())).collect()
}
