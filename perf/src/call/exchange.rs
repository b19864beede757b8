//! The call that a run repeats: its request, and the answer that is the only right one.

use super::{Protocol, bolt, dubbo};
use crate::origin::body_byte;

/// A body of at least this length begins with its call's id, so that no answer can be taken for another's.
const MARK_BYTES: usize = 4;

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerFault {
    /// Its status says that the call failed.
    Status,
    /// It is shorter or longer than the right one.
    Length,
    /// It holds other bytes.
    Bytes,
}

/// A request and its answer. They differ between calls in the id and in the body's first bytes only.
pub(crate) struct Exchange {
    pub(crate) protocol: Protocol,
    pub(crate) body_bytes: usize,
    request: Vec<u8>,
    answer: Vec<u8>,
    request_mark_at: usize,
    answer_mark_at: usize,
    mark_bytes: usize,
}

impl Exchange {
    pub(crate) fn new(protocol: Protocol, body_bytes: usize) -> Self {
        let body: Vec<u8> = (0..body_bytes as u64).map(body_byte).collect();
        let (request, request_mark_at) = match protocol {
            Protocol::Bolt => {
                let request = bolt::request(&body);
                let mark_at = request.len() - body.len();
                (request, mark_at)
            }
            Protocol::Dubbo => dubbo::request(&body),
        };
        let mut answer = Vec::new();
        protocol.echo(&request, &mut answer).expect("a request of our own is sound");
        // What an answer repeats is its end.
        let answer_mark_at = answer.len() - (request.len() - request_mark_at);
        let mark_bytes = if body_bytes < MARK_BYTES { 0 } else { MARK_BYTES };
        Self { protocol, body_bytes, request, answer, request_mark_at, answer_mark_at, mark_bytes }
    }

    /// The length of every right answer.
    pub(crate) fn answer_bytes(&self) -> usize {
        self.answer.len()
    }

    /// Appends the request of the call `id`.
    pub(crate) fn write_request(&self, id: u32, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(&self.request);
        let frame = &mut out[begin..];
        let id_end = self.protocol.id_place().end;
        frame[id_end - 4..id_end].copy_from_slice(&id.to_be_bytes());
        let mark = self.request_mark_at..self.request_mark_at + self.mark_bytes;
        frame[mark].copy_from_slice(&id.to_be_bytes()[..self.mark_bytes]);
    }

    /// Compares a frame with the answer of the call whose id it bears, byte by byte.
    pub(crate) fn check(&self, frame: &[u8]) -> Result<(), AnswerFault> {
        if !self.protocol.is_success(frame) {
            return Err(AnswerFault::Status);
        }
        if frame.len() != self.answer.len() {
            return Err(AnswerFault::Length);
        }
        let id = &self.protocol.id_of(frame).to_be_bytes()[size_of::<u64>() - MARK_BYTES..];
        let (ids, mark) = (self.protocol.id_place(), self.answer_mark_at);
        let behind_mark = mark + self.mark_bytes;
        let is_right = frame[..ids.start] == self.answer[..ids.start]
            && frame[ids.end..mark] == self.answer[ids.end..mark]
            && frame[mark..behind_mark] == id[..self.mark_bytes]
            && frame[behind_mark..] == self.answer[behind_mark..];
        if is_right { Ok(()) } else { Err(AnswerFault::Bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer_to(exchange: &Exchange, id: u32) -> Vec<u8> {
        let (mut request, mut answer) = (Vec::new(), Vec::new());
        exchange.write_request(id, &mut request);
        exchange.protocol.echo(&request, &mut answer).expect("a sound request");
        answer
    }

    #[test]
    fn echoes_are_right_and_those_of_other_calls_are_not() {
        for protocol in [Protocol::Bolt, Protocol::Dubbo] {
            for body_bytes in [0, 3, 4, 5, 100, 0x7fff, 0x8000, 0x8001, 65_536] {
                let exchange = Exchange::new(protocol, body_bytes);
                let answer = answer_to(&exchange, 0x0102_0304);
                assert_eq!(exchange.check(&answer), Ok(()), "{protocol:?} {body_bytes}");
                assert_eq!(protocol.id_of(&answer), 0x0102_0304);
                let mut of_another = answer;
                of_another[protocol.id_place().end - 1] = 9;
                let expected = if body_bytes < MARK_BYTES { Ok(()) } else { Err(AnswerFault::Bytes) };
                assert_eq!(exchange.check(&of_another), expected, "{protocol:?} {body_bytes}");
            }
        }
    }

    #[test]
    fn every_byte_but_the_ids_counts() {
        for protocol in [Protocol::Bolt, Protocol::Dubbo] {
            let exchange = Exchange::new(protocol, 20);
            let right = answer_to(&exchange, 7);
            for at in (0..right.len()).filter(|at| !protocol.id_place().contains(at)) {
                let mut wrong = right.clone();
                wrong[at] ^= 0x55;
                assert!(exchange.check(&wrong).is_err(), "{protocol:?} at {at}");
            }
            let longer = [&right[..], b"x"].concat();
            assert_eq!(exchange.check(&longer), Err(AnswerFault::Length));
        }
    }
}
