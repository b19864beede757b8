//! A model upstream: one connection, requests in, answers out, in every framing, with every fault. It checks that what
//! it is sent is a whole request of one client.

use crate::client::Faults;
use crate::net::{End, Net};
use crate::rng::Rng;
use crate::wire;
use std::collections::BTreeMap;

/// How often each request was seen by any origin.
pub(crate) type Seen = BTreeMap<u32, u32>;

pub(crate) struct Origin {
    pub(crate) serial: usize,
    is_raw: bool,
    /// Where the next request begins.
    read: usize,
    /// How much there was when a request was found to be not whole.
    looked_at: usize,
    out: Vec<u8>,
    end_behind: Option<End>,
    has_answered: bool,
    is_silent: bool,
    tunnel: Option<u32>,
    ended: bool,
}

impl Origin {
    pub(crate) fn new(serial: usize, is_raw: bool) -> Self {
        Origin {
            serial,
            is_raw,
            read: 0,
            looked_at: 0,
            out: vec![],
            end_behind: None,
            has_answered: false,
            is_silent: false,
            tunnel: None,
            ended: false,
        }
    }

    /// Does one thing; `false` if there is nothing to do.
    pub(crate) fn step(&mut self, net: &mut Net, faults: Faults, seen: &mut Seen, random: &mut Rng) -> bool {
        if self.ended || net.sockets[self.serial].closed {
            return false;
        }
        if !self.out.is_empty() {
            let length = if random.chance(60) { self.out.len() } else { 1 + random.below(self.out.len()) };
            net.write(self.serial, &self.out[..length]);
            self.out.drain(..length);
            return true;
        }
        if let Some(end) = self.end_behind.take() {
            net.end(self.serial, end);
            self.ended = true;
            return true;
        }
        if self.is_silent {
            return false;
        }
        if self.is_raw {
            return self.answer_tunnel(net, faults, random);
        }
        self.answer_request(net, faults, seen, random)
    }

    fn answer_tunnel(&mut self, net: &Net, faults: Faults, random: &mut Rng) -> bool {
        let taken = &net.sockets[self.serial].taken[self.read..];
        if self.tunnel.is_some() || taken.len() < wire::TUNNEL_HEAD {
            return false;
        }
        let tag = std::str::from_utf8(&taken[3..wire::TUNNEL_HEAD]).expect("a tag").parse().expect("a tag");
        self.tunnel = Some(tag);
        self.out = wire::tunnel_down(tag);
        self.end_behind = Some(End::Fin);
        if random.rarely(faults.origin) {
            self.out.truncate(random.below(self.out.len() + 1));
            self.end_behind = if random.chance(50) { Some(End::Reset) } else { None };
        }
        true
    }

    fn answer_request(&mut self, net: &mut Net, faults: Faults, seen: &mut Seen, random: &mut Rng) -> bool {
        let socket = &net.sockets[self.serial];
        let bytes = &socket.taken[self.read..];
        let Some((head, lines)) = wire::head(bytes) else {
            if bytes.is_empty() && self.has_answered && random.rarely(faults.stale) {
                // A reset would destroy what is not taken of the last answer.
                let may_reset = net.is_taken(self.serial) && random.chance(50);
                self.end_behind = Some(if may_reset { End::Reset } else { End::Fin });
                return true;
            }
            return false;
        };
        if socket.taken.len() == self.looked_at {
            return false;
        }
        self.looked_at = socket.taken.len();
        let mut words = lines[0].split(' ');
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let tag: u32 = path.trim_start_matches('/').parse().expect("a path that is a tag");
        let is_early = random.rarely(faults.origin);
        let body = match wire::field(&lines, "content-length") {
            Some(length) => wire::sized_body(&bytes[head..], length.parse().expect("a length")),
            None if wire::field(&lines, "transfer-encoding").is_some() => wire::chunked_body(&bytes[head..]),
            None => wire::sized_body(&bytes[head..], 0),
        };
        let expected = wire::request_body(tag);
        assert!(expected.starts_with(&body.bytes), "wrong bytes in the body of {tag}");
        if !body.is_whole && !is_early {
            return false;
        }
        assert!(
            !body.is_whole || method != "post" || body.bytes.len() == expected.len(),
            "a short body: {tag}"
        );
        let length = head + body.length;
        let times = seen.entry(tag).or_default();
        *times += 1;
        assert!(*times == 1 || method != "post", "{tag} was sent twice");
        let agrees = wire::field(&lines, "upgrade").is_some() && wire::agrees(tag);
        assert!(agrees || bytes.len() == length || is_early, "bytes behind the request {tag}");
        self.read += length;
        self.has_answered = true;
        if agrees {
            let upgraded = format!(
                "HTTP/1.1 101 x\r\nx-tag: {tag}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
            );
            self.out = [upgraded.as_bytes(), &wire::tunnel_down(tag)].concat();
            self.tunnel = Some(tag);
            self.is_raw = true;
            self.end_behind = Some(End::Fin);
        } else {
            self.write_answer(tag, method == "head", random);
        }
        if !body.is_whole {
            self.end_behind = Some(End::Fin);
        }
        if random.rarely(faults.origin) {
            self.fail(random);
        }
        true
    }

    fn write_answer(&mut self, tag: u32, is_head: bool, random: &mut Rng) {
        let body = wire::answer_body(tag);
        let interim = if random.chance(10) { "HTTP/1.1 100 Continue\r\n\r\n" } else { "" };
        let (fields, body) = match random.below(10) {
            0..5 => (format!("content-length: {}\r\n", body.len()), body),
            5..9 => ("transfer-encoding: chunked\r\n".into(), wire::chunked(&body, 1 + random.below(9000))),
            _ => {
                self.end_behind = Some(End::Fin);
                ("connection: close\r\n".into(), body)
            }
        };
        self.out = format!("{interim}HTTP/1.1 200 OK\r\nx-tag: {tag}\r\n{fields}\r\n").into_bytes();
        if !is_head {
            self.out.extend(body);
        }
    }

    /// The answer at hand goes wrong.
    fn fail(&mut self, random: &mut Rng) {
        match random.below(5) {
            0 => {
                self.out.clear();
                self.is_silent = true;
                self.end_behind = None;
            }
            1 if !self.is_raw && self.end_behind.is_none() => {
                // Not a second answer: one that comes when the next request is out is the answer to that.
                self.out.extend(b"junk\r\n\r\n");
            }
            choice => {
                // Without a frame of its own an orderly end is the end of the answer.
                let is_framed = self.end_behind.is_none();
                self.out.truncate(random.below(self.out.len() + 1));
                self.end_behind = Some(if choice == 2 && is_framed { End::Fin } else { End::Reset });
            }
        }
    }

    /// At the end of a run: the tunnel carried the client's bytes.
    pub(crate) fn check_rest(&self, net: &Net, must_be_whole: bool) {
        if let Some(tag) = self.tunnel {
            let expected = wire::tunnel_up(tag);
            let taken = &net.sockets[self.serial].taken[self.read..];
            assert!(expected.starts_with(taken), "a tunnel to {} carried wrong bytes", self.serial);
            assert!(
                !must_be_whole || taken.len() == expected.len(),
                "a tunnel to {} was cut: {tag} {} of {}",
                self.serial,
                taken.len(),
                expected.len()
            );
        }
    }
}
