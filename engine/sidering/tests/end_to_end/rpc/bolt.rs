//! Bolt as the tests' peers speak it: raw frames, written and read strictly by what wire-formats.md says, with none of the
//! project's own code.

use crate::support::Wire;
use std::io;

pub(super) const REQUEST: u8 = 1;
pub(super) const ONE_WAY: u8 = 2;
const RESPONSE: u8 = 0;
const HEARTBEAT: u16 = 0;
const GO_AWAY: u16 = 100;
const COMMAND_REQUEST: u16 = 1;
const COMMAND_RESPONSE: u16 = 2;

/// Statuses (SOFABolt's ResponseStatus).
pub(super) const SUCCESS: u16 = 0;
pub(super) const THREADPOOL_BUSY: u16 = 4;
pub(super) const NO_PROCESSOR: u16 = 6;
pub(super) const TIMEOUT: u16 = 7;

/// One frame of version 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) command: u16,
    pub(super) id: u32,
    pub(super) codec: u8,
    /// Of requests.
    pub(super) timeout_ms: i32,
    /// Of answers.
    pub(super) status: u16,
    pub(super) class: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) content: Vec<u8>,
}

/// A call of `service`'s `method`.
pub(super) fn call(id: u32, service: &str, method: &str, content: &[u8]) -> Frame {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Frame {
        kind: REQUEST,
        command: COMMAND_REQUEST,
        id,
        codec: 1,
        timeout_ms: 3000,
        class: "com.alipay.sofa.rpc.core.request.SofaRequest".to_owned(),
        headers: vec![header("service", service), header("sofa_head_method_name", method)],
        content: content.to_vec(),
        ..Frame::default()
    }
}

/// A heartbeat.
pub(super) fn heartbeat(id: u32) -> Frame {
    Frame { kind: REQUEST, command: HEARTBEAT, id, codec: 1, timeout_ms: -1, ..Frame::default() }
}

/// The announcement that a connection takes no more calls.
pub(super) fn go_away() -> Frame {
    Frame { command: GO_AWAY, ..heartbeat(0) }
}

impl Frame {
    /// With another header.
    pub(super) fn with(mut self, name: &str, value: &str) -> Frame {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// An answer to it.
    pub(super) fn answer(&self, status: u16, content: &[u8]) -> Frame {
        Frame {
            kind: RESPONSE,
            command: COMMAND_RESPONSE,
            id: self.id,
            codec: self.codec,
            status,
            class: "com.alipay.sofa.rpc.core.response.SofaResponse".to_owned(),
            content: content.to_vec(),
            ..Frame::default()
        }
    }

    /// Whether it is a heartbeat.
    pub(super) fn is_ping(&self) -> bool {
        (self.kind, self.command) == (REQUEST, HEARTBEAT)
    }

    /// The answer to it as a heartbeat.
    pub(super) fn pong(&self) -> Frame {
        Frame { command: HEARTBEAT, class: String::new(), ..self.answer(SUCCESS, b"") }
    }

    /// Whether it announces the end of its connection.
    pub(super) fn is_go_away(&self) -> bool {
        (self.kind, self.command) == (REQUEST, GO_AWAY)
    }

    /// Whether it is the answer to a heartbeat.
    pub(super) fn is_pong(&self) -> bool {
        (self.kind, self.command) == (RESPONSE, HEARTBEAT)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut out = self.head(self.content.len());
        out.extend_from_slice(&self.content);
        out
    }

    /// Everything in front of a content of this length.
    pub(super) fn head(&self, content_bytes: usize) -> Vec<u8> {
        let mut block = vec![];
        for text in self.headers.iter().flat_map(|(name, value)| [name, value]) {
            block.extend_from_slice(&(text.len() as u32).to_be_bytes());
            block.extend_from_slice(text.as_bytes());
        }
        let mut out = vec![1, self.kind];
        out.extend_from_slice(&self.command.to_be_bytes());
        out.push(1);
        out.extend_from_slice(&self.id.to_be_bytes());
        out.push(self.codec);
        match self.kind {
            RESPONSE => out.extend_from_slice(&self.status.to_be_bytes()),
            _ => out.extend_from_slice(&self.timeout_ms.to_be_bytes()),
        }
        out.extend_from_slice(&(self.class.len() as u16).to_be_bytes());
        out.extend_from_slice(&(block.len() as u16).to_be_bytes());
        out.extend_from_slice(&(content_bytes as u32).to_be_bytes());
        out.extend_from_slice(self.class.as_bytes());
        out.extend_from_slice(&block);
        out
    }
}

/// Reads the next frame.
pub(super) fn read(wire: &mut Wire) -> io::Result<Frame> {
    let (mut frame, content_bytes) = read_head(wire)?;
    frame.content = take(wire, content_bytes)?;
    Ok(frame)
}

/// Reads the next frame up to its content, and tells how long that is.
pub(super) fn read_head(wire: &mut Wire) -> io::Result<(Frame, usize)> {
    let fixed = take(wire, 10)?;
    assert_eq!((fixed[0], fixed[4]), (1, 1), "no bolt frame: {fixed:x?}");
    let mut frame = Frame {
        kind: fixed[1],
        command: u16::from_be_bytes([fixed[2], fixed[3]]),
        id: number(&fixed[5..9]),
        codec: fixed[9],
        ..Frame::default()
    };
    match frame.kind {
        RESPONSE => frame.status = number(&take(wire, 2)?) as u16,
        REQUEST | ONE_WAY => frame.timeout_ms = number(&take(wire, 4)?) as i32,
        kind => panic!("no kind of bolt frame: {kind}"),
    }
    let lengths = take(wire, 8)?;
    let (class, block) = (number(&lengths[..2]) as usize, number(&lengths[2..4]) as usize);
    frame.class = text(take(wire, class)?);
    let block = take(wire, block)?;
    let mut rest = block.as_slice();
    let mut next = || {
        let (length, behind) = rest.split_first_chunk::<4>().expect("a length");
        let (found, behind) = behind.split_at(u32::from_be_bytes(*length) as usize);
        rest = behind;
        (text(found.to_vec()), behind.is_empty())
    };
    let mut is_last = block.is_empty();
    while !is_last {
        let (name, _) = next();
        let (value, ends) = next();
        frame.headers.push((name, value));
        is_last = ends;
    }
    Ok((frame, number(&lengths[4..]) as usize))
}

/// Answers every call with its own content, and hands heartbeats back.
pub(super) fn echo(wire: &mut Wire) -> io::Result<()> {
    loop {
        let frame = read(wire)?;
        match (frame.kind, frame.command) {
            (REQUEST, COMMAND_REQUEST) => wire.send(&frame.answer(SUCCESS, &frame.content).bytes())?,
            (REQUEST, HEARTBEAT) => wire.send(&frame.pong().bytes())?,
            _ => {}
        }
    }
}

pub(super) fn take(wire: &mut Wire, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![];
    wire.sized(length as u64, |piece| bytes.extend_from_slice(piece))?;
    Ok(bytes)
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("texts are UTF-8")
}
