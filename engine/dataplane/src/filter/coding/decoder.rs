//! Bodies out of a coding, with a bound on what they become: a few bytes may stand for very many.

use super::{Coding, CodingError};
use brotli::DecompressorWriter;
use flate2::{Decompress, FlushDecompress, Status};
use std::io::{self, Write};
use zstd::stream::raw::{DParameter, InBuffer, Operation, OutBuffer};

const PIECE_BYTES: usize = 16 * 1024;
const GZIP_WINDOW_BITS: u8 = 15;
/// What senders may ask a decoder to hold at most (RFC 9659 section 3).
const ZSTD_WINDOW_BITS: u32 = 23;

/// A body on its way out of a coding.
pub struct Decoder {
    state: State,
    /// Of all input so far, what it may become at most: this many times its size, and a little for a beginning.
    max_ratio: u64,
    taken: u64,
    made: u64,
}

enum State {
    Gzip {
        decompress: Decompress,
        ended: bool,
    },
    Brotli(Box<DecompressorWriter<Bounded>>),
    Zstd {
        decoder: zstd::stream::raw::Decoder<'static>,
        /// It is between two frames.
        ended: bool,
    },
}

/// However little came, it may become this much.
const GRACE_BYTES: u64 = 64 * 1024;

/// Takes so many bytes and no more.
struct Bounded {
    bytes: Vec<u8>,
    room: u64,
    is_over: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.room {
            self.is_over = true;
            return Err(io::Error::other("too large"));
        }
        self.room -= bytes.len() as u64;
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Decoder {
    /// `None` if there is no memory for it.
    pub fn new(coding: Coding, max_ratio: u64) -> Option<Decoder> {
        let state = match coding {
            Coding::Gzip => State::Gzip { decompress: Decompress::new_gzip(GZIP_WINDOW_BITS), ended: false },
            Coding::Brotli => {
                let sink = Bounded { bytes: vec![], room: 0, is_over: false };
                State::Brotli(Box::new(DecompressorWriter::new(sink, PIECE_BYTES)))
            }
            Coding::Zstd => {
                let mut decoder = zstd::stream::raw::Decoder::new().ok()?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_BITS)).ok()?;
                State::Zstd { decoder, ended: false }
            }
        };
        Some(Decoder { state, max_ratio, taken: 0, made: 0 })
    }

    /// Takes a part of the body, and appends what it becomes.
    ///
    /// # Errors
    /// Once it is broken or too large. What was appended before is fine.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), CodingError> {
        self.taken += input.len() as u64;
        let bound = self.taken.saturating_mul(self.max_ratio).saturating_add(GRACE_BYTES);
        let room = bound.saturating_sub(self.made);
        let before = out.len();
        let outcome = match &mut self.state {
            State::Gzip { decompress, ended } => gunzip(decompress, ended, input, room, out),
            State::Zstd { decoder, ended } => unzstd(decoder, ended, input, room, out),
            State::Brotli(writer) => {
                writer.get_mut().room = room;
                let outcome = writer.write_all(input);
                let sink = writer.get_mut();
                out.append(&mut sink.bytes);
                match outcome {
                    Ok(()) => Ok(()),
                    Err(_) if sink.is_over => Err(CodingError::TooLarge),
                    Err(_) => Err(CodingError::Broken),
                }
            }
        };
        self.made += (out.len() - before) as u64;
        outcome
    }

    /// The body is over.
    ///
    /// # Errors
    /// If the coding's end has not come.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), CodingError> {
        // No body at all is none to decode.
        if self.taken == 0 {
            return Ok(());
        }
        let is_whole = match &mut self.state {
            State::Gzip { ended, .. } | State::Zstd { ended, .. } => *ended,
            State::Brotli(writer) => {
                let is_whole = writer.close().is_ok();
                out.append(&mut writer.get_mut().bytes);
                is_whole
            }
        };
        if is_whole { Ok(()) } else { Err(CodingError::Broken) }
    }
}

fn gunzip(
    decompress: &mut Decompress,
    ended: &mut bool,
    mut input: &[u8],
    room: u64,
    out: &mut Vec<u8>,
) -> Result<(), CodingError> {
    let bound = out.len() as u64 + room;
    loop {
        if input.is_empty() && *ended {
            return Ok(());
        }
        // Another member may follow (RFC 1952 section 2.2).
        if *ended {
            *decompress = Decompress::new_gzip(GZIP_WINDOW_BITS);
            *ended = false;
        }
        out.reserve(PIECE_BYTES);
        let before = decompress.total_in();
        let status = decompress.decompress_vec(input, out, FlushDecompress::None);
        input = &input[(decompress.total_in() - before) as usize..];
        if out.len() as u64 > bound {
            out.truncate(bound as usize);
            return Err(CodingError::TooLarge);
        }
        match status {
            Ok(Status::StreamEnd) => *ended = true,
            Ok(Status::Ok | Status::BufError) if input.is_empty() && out.len() < out.capacity() => {
                return Ok(());
            }
            Ok(Status::Ok) => {}
            Ok(Status::BufError) if out.len() == out.capacity() => {}
            Ok(Status::BufError) | Err(_) => return Err(CodingError::Broken),
        }
    }
}

fn unzstd(
    decoder: &mut zstd::stream::raw::Decoder<'static>,
    ended: &mut bool,
    input: &[u8],
    room: u64,
    out: &mut Vec<u8>,
) -> Result<(), CodingError> {
    let bound = out.len() as u64 + room;
    let mut piece = [0; PIECE_BYTES];
    let mut input = InBuffer::around(input);
    loop {
        let mut output = OutBuffer::around(&mut piece[..]);
        let hint = decoder.run(&mut input, &mut output).map_err(|_| CodingError::Broken)?;
        let made = output.as_slice();
        if (out.len() + made.len()) as u64 > bound {
            out.extend_from_slice(&made[..(bound - out.len() as u64) as usize]);
            return Err(CodingError::TooLarge);
        }
        out.extend_from_slice(made);
        let was_full = made.len() == PIECE_BYTES;
        *ended = hint == 0;
        if input.pos() == input.src.len() && (*ended || !was_full) {
            return Ok(());
        }
    }
}
