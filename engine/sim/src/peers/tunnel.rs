//! One end of a tunnel: bytes out, bytes in and compared, and an end in each direction.

use super::exchange::Fate;
use crate::bytes::{Purpose, pattern};
use crate::engine::link::End;
use crate::ledger::Outcome;
use crate::stage::Stage;

/// A tunnel's first bytes name it, so that an upstream that sees nothing else knows whose bytes it has.
pub(crate) const NAME_BYTES: usize = 11;

/// The first bytes of a tunnel.
pub(crate) fn name(tag: u32) -> Vec<u8> {
    format!("TAG{tag:08}").into_bytes()
}

/// Reads the name back.
pub(crate) fn tag_of(name: &[u8]) -> u32 {
    let tag = std::str::from_utf8(&name[3..NAME_BYTES]).ok().and_then(|tag| tag.parse().ok());
    tag.unwrap_or_else(|| panic!("a tunnel begins with {:?}", String::from_utf8_lossy(name)))
}

/// Some read slowly, but not so slowly that it takes for ever.
fn sips(stage: &mut Stage<'_>, expected: usize) -> Option<(usize, u64)> {
    let choices = stage.choices();
    choices.chance(25).then(|| (choices.between(200, 8000).max(expected / 30), choices.below(20_000) as u64))
}

/// How it went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// Everything came, and then an orderly end.
    Whole,
    Cut,
}

/// One end.
#[derive(Debug)]
pub(crate) struct Tunnel {
    tag: u32,
    /// What is sent, how much of it, how much is left to send before the end.
    sends: Purpose,
    length: usize,
    sent: usize,
    expects: Purpose,
    expected: usize,
    received: usize,
    /// Bytes in front of the pattern, and whether they are still to come.
    prefix: Vec<u8>,
    awaits_name: bool,
    /// It ends its side only when it has everything, or has seen the other's end.
    waits: bool,
    waits_for_end: bool,
    /// It reads this many bytes at a time, and then rests this long; and when it may read again.
    sips: Option<(usize, u64)>,
    reads_at: u64,
    resets: bool,
    has_ended: bool,
}

impl Tunnel {
    /// The client's end.
    pub(crate) fn client(tag: u32, stage: &mut Stage<'_>) -> Self {
        let exchange = &stage.ledger.get(tag).exchange;
        let (length, expected) = (exchange.body, exchange.answer);
        let waits = stage.choices().chance(40);
        Tunnel {
            tag,
            sends: Purpose::TunnelUp,
            length,
            sent: 0,
            expects: Purpose::TunnelDown,
            expected,
            received: 0,
            prefix: name(tag),
            awaits_name: false,
            waits,
            waits_for_end: tag.is_multiple_of(2) && stage.choices().chance(30),
            sips: sips(stage, expected),
            reads_at: 0,
            resets: false,
            has_ended: false,
        }
    }

    /// The name was written before there was a tunnel.
    pub(crate) fn skip_name(&mut self) {
        self.prefix.clear();
    }

    /// The upstream's end; the name was read.
    pub(crate) fn origin(tag: u32, stage: &mut Stage<'_>) -> Self {
        let exchange = &stage.ledger.get(tag).exchange;
        let (mut length, expected, fate) = (exchange.answer, exchange.body, exchange.fate);
        let resets = matches!(fate, Fate::CutByReset(_));
        if let Fate::CutByReset(share) = fate {
            length = length * usize::from(share) / 100;
        }
        let waits = stage.choices().chance(40);
        Tunnel {
            tag,
            sends: Purpose::TunnelDown,
            length,
            sent: 0,
            expects: Purpose::TunnelUp,
            expected,
            received: 0,
            prefix: vec![],
            awaits_name: false,
            waits,
            waits_for_end: !tag.is_multiple_of(2) && stage.choices().chance(30),
            sips: sips(stage, expected),
            reads_at: 0,
            resets,
            has_ended: false,
        }
    }

    /// The upstream speaks first: the name was not read yet.
    pub(crate) fn greeting(tag: u32, stage: &mut Stage<'_>) -> Self {
        Tunnel { awaits_name: true, ..Self::origin(tag, stage) }
    }

    /// The link carries bytes from now on.
    fn take_over(stage: &mut Stage<'_>, link: u32) {
        stage.engine.links[link as usize].is_tunnel = true;
    }

    /// Moves what can be moved. Tells when its both directions have ended.
    pub(crate) fn step(&mut self, stage: &mut Stage<'_>, link: u32) -> Option<Ended> {
        Self::take_over(stage, link);
        self.receive(stage, link);
        match stage.end(link) {
            Some(End::Reset(_)) => return Some(Ended::Cut),
            Some(End::Fin) if self.received == 0 && stage.ledger.get(self.tag).sights.is_empty() => {
                // It was never served: its listener was full, or taken away.
                return Some(Ended::Cut);
            }
            // Its client has given up before it knew of the tunnel.
            Some(End::Fin) if self.awaits_name => {
                let outcome = stage.ledger.get(self.tag).outcome;
                let is_served = matches!(outcome, Some(Outcome::Answered(_)));
                assert!(!is_served, "tunnel {} was cut in front of its name, and looks whole", self.tag);
                return Some(Ended::Cut);
            }
            Some(End::Fin) => {
                let (received, expected) = (self.received, self.expected);
                assert_eq!(received, expected, "tunnel {} was cut, and looks whole", self.tag);
            }
            None => {}
        }
        self.send(stage, link);
        if self.has_ended && self.resets {
            return Some(Ended::Cut);
        }
        let all_ended = self.has_ended && stage.end(link).is_some();
        all_ended.then_some(Ended::Whole)
    }

    fn receive(&mut self, stage: &mut Stage<'_>, link: u32) {
        let now = stage.now();
        if self.reads_at > now {
            return stage.wake_in(link, self.reads_at - now);
        }
        if self.awaits_name && !self.read_name(stage, link) {
            return;
        }
        let most = self.sips.map_or(usize::MAX, |(bytes, _)| bytes);
        let incoming = stage.incoming(link);
        let incoming = &incoming[..incoming.len().min(most)];
        let length = incoming.len();
        let room = self.expected - self.received;
        assert!(length <= room, "tunnel {} carries {} bytes too many", self.tag, length - room.min(length));
        let expected = pattern(self.tag, self.expects, self.received, length);
        assert!(incoming == expected, "tunnel {} carries wrong bytes at {}", self.tag, self.received);
        self.received += length;
        stage.consume(link, length);
        if let Some((_, micros)) = self.sips
            && length > 0
        {
            self.reads_at = now + micros;
            stage.wake_in(link, micros);
        }
    }

    /// Whether the name is there.
    fn read_name(&mut self, stage: &mut Stage<'_>, link: u32) -> bool {
        let incoming = stage.incoming(link);
        if incoming.len() >= NAME_BYTES {
            assert_eq!(tag_of(incoming), self.tag, "the tunnel of request {} is another's", self.tag);
            stage.consume(link, NAME_BYTES);
            self.awaits_name = false;
        } else if stage.engine.links[link as usize].down_end.is_some() {
            // It will never be whole.
            stage.consume(link, incoming.len());
        }
        !self.awaits_name
    }

    fn may_end(&self, stage: &Stage<'_>, link: u32) -> bool {
        let has_all = self.received == self.expected && !self.awaits_name;
        (has_all || !self.waits) && (stage.end(link).is_some() || !self.waits_for_end)
    }

    fn send(&mut self, stage: &mut Stage<'_>, link: u32) {
        if self.has_ended {
            return;
        }
        if !self.prefix.is_empty() {
            let prefix = std::mem::take(&mut self.prefix);
            let written = stage.write(link, &prefix);
            self.prefix = prefix[written..].to_vec();
            if !self.prefix.is_empty() {
                return;
            }
        }
        while self.sent < self.length {
            let piece = pattern(self.tag, self.sends, self.sent, (self.length - self.sent).min(65_536));
            let written = stage.write(link, piece);
            self.sent += written;
            if written < piece.len() {
                return;
            }
        }
        if self.resets {
            self.has_ended = true;
            stage.reset(link);
        } else if self.may_end(stage, link) {
            self.has_ended = true;
            stage.fin(link);
        }
    }
}
