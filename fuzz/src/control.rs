//! The control bytes at the front of an input: they choose options, answers and cuts; what follows them is the wire's.
//! An input that ends early chooses zeros, so that every input means something.

use sidering_codecs::registry::CodecOptions;

/// What is left of an input.
#[derive(Clone, Copy, Debug)]
pub struct Control<'b> {
    rest: &'b [u8],
}

impl<'b> Control<'b> {
    /// The whole input.
    pub fn new(input: &'b [u8]) -> Self {
        Control { rest: input }
    }

    /// The next byte, or zero.
    pub fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        byte
    }

    /// The next `N` bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    /// Where the wire's bytes are cut: a count below 8, and as many lengths.
    pub fn cuts(&mut self) -> Cuts {
        let count = usize::from(self.byte() & 7);
        Cuts { lengths: (0..count).map(|_| self.byte()).collect() }
    }

    /// Everything that has not been read.
    pub fn rest(self) -> &'b [u8] {
        self.rest
    }
}

/// A way of cutting bytes into pieces: these lengths, over and over. Zero stands for 256; without a length, single bytes.
#[derive(Clone, Debug, Default)]
pub struct Cuts {
    lengths: Vec<u8>,
}

impl Cuts {
    /// Cuts into single bytes.
    pub fn single_bytes() -> Self {
        Cuts::default()
    }

    /// The pieces, in order; none is empty.
    pub fn pieces<'b>(&self, mut bytes: &'b [u8]) -> Vec<&'b [u8]> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let length = match self.lengths.get(pieces.len() % self.lengths.len().max(1)) {
                None => 1,
                Some(0) => 256,
                Some(&length) => usize::from(length),
            };
            let (piece, rest) = bytes.split_at(length.min(bytes.len()));
            pieces.push(piece);
            bytes = rest;
        }
        pieces
    }
}

/// Bounds so low that small inputs reach them.
pub const LOW: CodecOptions =
    CodecOptions { header_bytes: 256, headers: 4, uri_bytes: 32, ..CodecOptions::DEFAULT };

/// The options that the two lowest bits choose: bit 0 for low bounds, bit 1 for lenient line ends.
pub fn options(choice: u8) -> CodecOptions {
    let bounds = if choice & 1 == 0 { CodecOptions::default() } else { LOW };
    CodecOptions { lenient_line_ends: choice & 2 != 0, ..bounds }
}
