//! The chunked body coding, counted and thrown away.

/// Where in the coding the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size { value: u64, digits: u32 },
    Extension { value: u64 },
    SizeLineFeed { value: u64 },
    Data { left: u64 },
    DataReturn,
    DataLineFeed,
    TrailerStart,
    Trailer,
    TrailerLineFeed,
    LastLineFeed,
    Done,
}

/// A reader of one chunked body, which may come in pieces cut anywhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChunkedReader {
    state: State,
    body_bytes: u64,
}

/// The body breaks the rules of the coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadChunk;

impl ChunkedReader {
    pub(crate) fn new() -> Self {
        Self { state: State::Size { value: 0, digits: 0 }, body_bytes: 0 }
    }

    /// Takes what belongs to this body off the front of `bytes` and says how many bytes that was.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<usize, BadChunk> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::Done {
            if let State::Data { left } = self.state {
                let taken = left.min((bytes.len() - at) as u64);
                self.body_bytes += taken;
                at += taken as usize;
                self.state =
                    if taken == left { State::DataReturn } else { State::Data { left: left - taken } };
            } else {
                self.state = step(self.state, bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    pub(crate) fn body_bytes(&self) -> u64 {
        self.body_bytes
    }
}

/// The state after one byte of framing.
fn step(state: State, byte: u8) -> Result<State, BadChunk> {
    Ok(match (state, byte) {
        (State::Size { value, digits: 1.. }, b'\r') => State::SizeLineFeed { value },
        (State::Size { value, digits: 1.. }, b';' | b' ') => State::Extension { value },
        (State::Size { value, digits: digits @ ..16 }, _) => {
            let digit = (byte as char).to_digit(16).ok_or(BadChunk)?;
            State::Size { value: value * 16 + u64::from(digit), digits: digits + 1 }
        }
        (State::Extension { value }, b'\r') => State::SizeLineFeed { value },
        (State::Extension { value }, _) => State::Extension { value },
        (State::SizeLineFeed { value: 0 }, b'\n') => State::TrailerStart,
        (State::SizeLineFeed { value }, b'\n') => State::Data { left: value },
        (State::DataReturn, b'\r') => State::DataLineFeed,
        (State::DataLineFeed, b'\n') => State::Size { value: 0, digits: 0 },
        (State::TrailerStart, b'\r') => State::LastLineFeed,
        (State::Trailer, b'\r') => State::TrailerLineFeed,
        (State::TrailerStart | State::Trailer, _) => State::Trailer,
        (State::TrailerLineFeed, b'\n') => State::TrailerStart,
        (State::LastLineFeed, b'\n') => State::Done,
        _ => return Err(BadChunk),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"5\r\nhello\r\nA;name=value\r\n0123456789\r\n0\r\nx-trailer: 1\r\n\r\nNEXT";

    #[test]
    fn any_cut_gives_the_same_count() {
        for cut in 0..BODY.len() {
            let mut reader = ChunkedReader::new();
            let first = reader.feed(&BODY[..cut]).expect("the first part is sound");
            let second = reader.feed(&BODY[first..]).expect("the second part is sound");
            assert!(reader.is_done(), "cut at {cut}");
            assert_eq!((reader.body_bytes(), first + second), (15, BODY.len() - 4), "cut at {cut}");
        }
    }

    #[test]
    fn refuses_broken_framing() {
        for body in [&b"\r\n"[..], b"g\r\n", b"1\r\nab\r\n", b"11111111111111111\r\n"] {
            assert_eq!(ChunkedReader::new().feed(body), Err(BadChunk), "{}", body.escape_ascii());
        }
    }
}
