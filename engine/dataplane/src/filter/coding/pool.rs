//! A core's coders: so many at work at once, and some kept for the next bodies, for making one costs hundreds of KiB.

use super::{Coding, Decoder, Encoder, Library};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Bodies that may be on their way through a coding at once, on one core. An encoder holds up to about 2 MiB, a decoder up
/// to 16 MiB if its sender wants that.
pub const MOST_CODERS: usize = 256;
/// Encoders kept.
const MOST_IDLE: usize = 16;

/// See the module.
#[derive(Default)]
pub struct CodingPool {
    busy: Cell<usize>,
    idle: RefCell<Vec<Encoder>>,
}

/// A coder that is at work, and goes back by itself.
pub struct Lent<C: Renew> {
    coder: Option<C>,
    pool: Rc<CodingPool>,
}

/// What becomes of a coder that is not needed any more.
pub trait Renew: Sized {
    /// Gives it back.
    fn put_back(self, pool: &CodingPool);
}

impl CodingPool {
    /// An encoder for a body; `None` at the bound.
    pub fn encoder(self: &Rc<Self>, library: Library) -> Option<Lent<Encoder>> {
        self.lend(|| {
            let mut idle = self.idle.borrow_mut();
            let known = idle.iter().position(|encoder| encoder.library() == library);
            match known {
                Some(at) => Some(idle.swap_remove(at)),
                None => Encoder::new(library),
            }
        })
    }

    /// A decoder for a body; `None` at the bound.
    pub fn decoder(self: &Rc<Self>, coding: Coding, max_ratio: u64) -> Option<Lent<Decoder>> {
        self.lend(|| Decoder::new(coding, max_ratio))
    }

    fn lend<C: Renew>(self: &Rc<Self>, make: impl FnOnce() -> Option<C>) -> Option<Lent<C>> {
        if self.busy.get() >= MOST_CODERS {
            return None;
        }
        let coder = make()?;
        self.busy.set(self.busy.get() + 1);
        Some(Lent { coder: Some(coder), pool: Rc::clone(self) })
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.busy.get(), self.idle.borrow().len())
    }
}

impl Renew for Encoder {
    fn put_back(mut self, pool: &CodingPool) {
        let mut idle = pool.idle.borrow_mut();
        if idle.len() < MOST_IDLE && self.renew() {
            idle.push(self);
        }
    }
}

impl Renew for Decoder {
    /// It is small unless its sender wanted it large.
    fn put_back(self, _: &CodingPool) {}
}

impl<C: Renew> Lent<C> {
    /// The coder.
    pub fn get(&mut self) -> Option<&mut C> {
        self.coder.as_mut()
    }
}

impl<C: Renew> Drop for Lent<C> {
    fn drop(&mut self) {
        self.pool.busy.set(self.pool.busy.get() - 1);
        if let Some(coder) = self.coder.take() {
            coder.put_back(&self.pool);
        }
    }
}
