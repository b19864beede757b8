//! What happened, told in one line each: hashed always, printed when a seed is replayed.

use std::io::Write;

/// Who did it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Who {
    World,
    Kernel,
    Machine,
    Client,
    Origin,
}

/// The record of one run.
#[derive(Debug)]
pub(crate) struct Journal {
    hash: u64,
    is_printed: bool,
}

impl Journal {
    pub(crate) fn new(is_printed: bool) -> Self {
        Journal { hash: 0xcbf2_9ce4_8422_2325, is_printed }
    }

    /// Takes note of a thing: `number` says on whom or how much.
    #[inline]
    pub(crate) fn mark(&mut self, now: u64, who: Who, what: &'static str, link: u32, number: u64) {
        for word in [now, (who as u64) << 32 | what.len() as u64, u64::from(link) << 32 ^ number] {
            self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        }
        if self.is_printed {
            self.print(now, who, what, link, number);
        }
    }

    /// Says more of it, where a seed is replayed.
    #[inline]
    pub(crate) fn say(&self, text: impl FnOnce() -> String) {
        if self.is_printed {
            let _ = writeln!(std::io::stdout(), "{:>37}{}", "", text());
        }
    }

    #[cold]
    fn print(&self, now: u64, who: Who, what: &str, link: u32, number: u64) {
        let link = if link == u32::MAX { String::new() } else { format!("#{link}") };
        let ms = now as f64 / 1000.0;
        // A reader that has gone away needs no trace.
        let _ = writeln!(std::io::stdout(), "{ms:12.3} ms  {who:<8?} {link:>5}  {what} {number}");
    }

    /// The same for the same run.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }
}
