//! Bodies of any size whose every byte is known by its place, so that a byte that is wrong, missing, doubled or moved shows.

use std::io::{self, Write};
use std::sync::OnceLock;

/// A prime, so that the pattern lines up with no buffer.
const PERIOD: usize = 65_521;
const PIECE: usize = 64 * 1024;

/// The pattern twice and a bit, so that a piece can be lent from any place in it.
fn table() -> &'static [u8] {
    static TABLE: OnceLock<Vec<u8>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut state = 0x9E37_79B9_7F4A_7C15u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        let period: Vec<u8> = (0..PERIOD).map(|_| next()).collect();
        period.iter().copied().cycle().take(PERIOD + PIECE).collect()
    })
}

/// At most 64 KiB of the pattern from `offset` on.
pub(crate) fn piece(offset: u64, length: u64) -> &'static [u8] {
    let start = (offset % PERIOD as u64) as usize;
    &table()[start..start + length.min(PIECE as u64) as usize]
}

/// The first `length` bytes.
pub(crate) fn bytes(length: u64) -> Vec<u8> {
    let mut all = Vec::with_capacity(length as usize);
    write(&mut all, length).expect("a vector takes everything");
    all
}

/// Writes the first `length` bytes.
pub(crate) fn write(out: &mut impl Write, length: u64) -> io::Result<()> {
    let mut at = 0;
    while at < length {
        let piece = piece(at, length - at);
        out.write_all(piece)?;
        at += piece.len() as u64;
    }
    Ok(())
}

/// Compares what comes with the pattern.
#[derive(Default, Debug)]
pub(crate) struct Checker {
    at: u64,
    first_difference: Option<u64>,
}

impl Checker {
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let expected = piece(self.at, bytes.len() as u64);
            let (now, rest) = bytes.split_at(expected.len());
            if self.first_difference.is_none() && now != expected {
                let within = now.iter().zip(expected).position(|(got, wanted)| got != wanted);
                self.first_difference = Some(self.at + within.unwrap_or(0) as u64);
            }
            self.at += now.len() as u64;
            bytes = rest;
        }
    }

    /// Whether exactly the first `length` bytes came; an error says what else.
    pub(crate) fn verdict(&self, length: u64) -> Result<(), String> {
        match self.first_difference {
            Some(at) => Err(format!("differs at byte {at} of {length}")),
            None if self.at != length => Err(format!("{} bytes instead of {length}", self.at)),
            None => Ok(()),
        }
    }
}
