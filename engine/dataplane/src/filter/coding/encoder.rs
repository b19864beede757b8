//! Bodies into a coding.

use super::{Coding, Library};
use brotli::CompressorWriter;
use flate2::{Compress, Compression, FlushCompress, Status};
use std::io::Write;
use zstd::stream::raw::{CParameter, InBuffer, Operation, OutBuffer};

/// Output is made in pieces of this size.
const PIECE_BYTES: usize = 16 * 1024;
/// gzip's window, and brotli's and zstd's, as powers of two. A client must be able to hold the latter, too (RFC 9659).
const GZIP_WINDOW_BITS: u8 = 15;
const BROTLI_WINDOW_BITS: u32 = 18;
const ZSTD_WINDOW_BITS: u32 = 18;

/// A body on its way into a coding.
pub struct Encoder {
    library: Library,
    state: State,
    /// Something was taken since the last flush.
    holds: bool,
}

enum State {
    Gzip(Compress),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::raw::Encoder<'static>),
}

/// What a coder is told beside bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    None,
    Flush,
    Finish,
}

impl Encoder {
    /// `None` if there is no memory for it.
    pub fn new(library: Library) -> Option<Encoder> {
        let state = match library.coding {
            Coding::Gzip => {
                State::Gzip(Compress::new_gzip(Compression::new(library.level), GZIP_WINDOW_BITS))
            }
            Coding::Brotli => State::Brotli(brotli(library.level)),
            Coding::Zstd => {
                let mut encoder = zstd::stream::raw::Encoder::new(library.level as i32).ok()?;
                encoder.set_parameter(CParameter::WindowLog(ZSTD_WINDOW_BITS)).ok()?;
                State::Zstd(encoder)
            }
        };
        Some(Encoder { library, state, holds: false })
    }

    pub fn library(&self) -> Library {
        self.library
    }

    /// Makes it ready for another body; `false` if it cannot be used for one.
    pub fn renew(&mut self) -> bool {
        self.holds = false;
        match &mut self.state {
            State::Gzip(compress) => {
                compress.reset();
                true
            }
            State::Zstd(encoder) => encoder.reinit().is_ok(),
            // Its library cannot.
            State::Brotli(_) => false,
        }
    }

    /// Takes a part of the body; what comes of it is appended, but for what is held back.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        self.holds |= !input.is_empty();
        self.run(input, Mark::None, out);
    }

    /// Appends what is held back, so that all of the body up to here can be decoded.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.holds) {
            self.run(&[], Mark::Flush, out);
        }
    }

    /// Appends the end.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.run(&[], Mark::Finish, out);
    }

    fn run(&mut self, input: &[u8], mark: Mark, out: &mut Vec<u8>) {
        match &mut self.state {
            State::Gzip(compress) => gzip(compress, input, mark, out),
            State::Zstd(encoder) => run_zstd(encoder, input, mark, out),
            State::Brotli(writer) => {
                // Writing into memory does not fail.
                let _ = writer.write_all(input);
                match mark {
                    Mark::None => {}
                    Mark::Flush => {
                        let _ = writer.flush();
                    }
                    Mark::Finish => {
                        let ended = std::mem::replace(writer, brotli(0));
                        out.append(&mut ended.into_inner());
                        return;
                    }
                }
                out.append(writer.get_mut());
            }
        }
    }
}

fn brotli(level: u32) -> Box<CompressorWriter<Vec<u8>>> {
    Box::new(CompressorWriter::new(vec![], PIECE_BYTES, level, BROTLI_WINDOW_BITS))
}

fn gzip(compress: &mut Compress, mut input: &[u8], mark: Mark, out: &mut Vec<u8>) {
    let flush = match mark {
        Mark::None => FlushCompress::None,
        Mark::Flush => FlushCompress::Sync,
        Mark::Finish => FlushCompress::Finish,
    };
    loop {
        out.reserve(PIECE_BYTES);
        let before = compress.total_in();
        let status = compress.compress_vec(input, out, flush);
        input = &input[(compress.total_in() - before) as usize..];
        // As long as it fills what room it has, there may be more.
        let is_done = match status {
            Ok(Status::Ok) => input.is_empty() && out.len() < out.capacity() && mark != Mark::Finish,
            Ok(Status::BufError) => out.len() < out.capacity(),
            Ok(Status::StreamEnd) | Err(_) => true,
        };
        if is_done {
            return;
        }
    }
}

fn run_zstd(encoder: &mut zstd::stream::raw::Encoder<'static>, input: &[u8], mark: Mark, out: &mut Vec<u8>) {
    let mut piece = [0; PIECE_BYTES];
    let mut input = InBuffer::around(input);
    loop {
        let mut output = OutBuffer::around(&mut piece[..]);
        let has_input = input.pos() < input.src.len();
        let left = match mark {
            _ if has_input => encoder.run(&mut input, &mut output),
            Mark::None => Ok(0),
            Mark::Flush => encoder.flush(&mut output),
            Mark::Finish => encoder.finish(&mut output, true),
        };
        out.extend_from_slice(output.as_slice());
        let has_more = input.pos() < input.src.len();
        match left {
            Ok(left) if has_more || (!has_input && left > 0) => {}
            Ok(_) if has_input && mark != Mark::None => {}
            Ok(_) | Err(_) => return,
        }
    }
}
