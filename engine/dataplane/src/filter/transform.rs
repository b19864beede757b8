//! What filters make of bodies: a stream of bytes becomes another one, in pieces.

use std::fmt;

/// One body on its way through one filter.
pub trait Transform {
    /// Takes a part of the body, and appends what it becomes, but for what is held back.
    ///
    /// # Errors
    /// Details, if the body cannot go on: it is then cut off.
    fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str>;

    /// No more has come for now: appends what is held back.
    fn flush(&mut self, out: &mut Vec<u8>);

    /// The body is over: appends its end.
    ///
    /// # Errors
    /// As `push`.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), &'static str>;
}

/// What a body goes through, in order.
#[derive(Default)]
pub struct Transforms {
    stages: Vec<Box<dyn Transform>>,
    /// Between two stages.
    between: Vec<u8>,
}

impl Transforms {
    /// Another stage behind those that there are.
    pub fn add(&mut self, stage: Box<dyn Transform>) {
        self.stages.push(stage);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Without any stage from now on.
    pub fn clear(&mut self) {
        self.stages.clear();
        self.between = vec![];
    }

    /// See [`Transform::push`].
    ///
    /// # Errors
    /// As there.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        self.run(input, out, |_, _| Ok(()))
    }

    /// See [`Transform::flush`].
    ///
    /// # Errors
    /// Of a later stage that takes what an earlier one held back.
    pub fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), &'static str> {
        self.run(&[], out, |stage, out| {
            stage.flush(out);
            Ok(())
        })
    }

    /// See [`Transform::finish`]. No stage is left behind it.
    ///
    /// # Errors
    /// As there.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), &'static str> {
        let outcome = self.run(&[], out, |stage, out| stage.finish(out));
        self.clear();
        outcome
    }

    /// Leads `input` through the stages; `then` is done with each of them behind it.
    fn run(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        then: fn(&mut dyn Transform, &mut Vec<u8>) -> Result<(), &'static str>,
    ) -> Result<(), &'static str> {
        let count = self.stages.len();
        let mut from = std::mem::take(&mut self.between);
        from.clear();
        for (index, stage) in self.stages.iter_mut().enumerate() {
            let is_last = index + 1 == count;
            let mut made = if is_last { std::mem::take(out) } else { vec![] };
            let given = if index == 0 { input } else { &from };
            let outcome = if given.is_empty() { Ok(()) } else { stage.push(given, &mut made) };
            let outcome = outcome.and_then(|()| then(stage.as_mut(), &mut made));
            if is_last {
                *out = made;
            } else {
                from = made;
            }
            outcome?;
        }
        self.between = from;
        Ok(())
    }
}

impl fmt::Debug for Transforms {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} stages", self.stages.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Holds back one byte, marks flushes and the end, and breaks on `!`.
    #[derive(Default)]
    struct Marks {
        held: Vec<u8>,
    }

    impl Transform for Marks {
        fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
            for byte in input {
                out.append(&mut self.held);
                if *byte == b'!' {
                    return Err("broken");
                }
                self.held.push(*byte);
            }
            Ok(())
        }

        fn flush(&mut self, out: &mut Vec<u8>) {
            out.append(&mut self.held);
            out.push(b'|');
        }

        fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), &'static str> {
            out.append(&mut self.held);
            out.push(b'.');
            Ok(())
        }
    }

    #[test]
    fn a_body_goes_through_all_stages_in_order() {
        let mut transforms = Transforms::default();
        transforms.add(Box::new(Marks::default()));
        transforms.add(Box::new(Marks::default()));
        let mut out = vec![];
        transforms.push(b"abcd", &mut out).unwrap();
        assert_eq!(out, b"ab");
        transforms.flush(&mut out).unwrap();
        assert_eq!(out, b"abcd||");
        transforms.push(b"e", &mut out).unwrap();
        transforms.finish(&mut out).unwrap();
        assert_eq!(out, b"abcd||e..");
        assert!(transforms.is_empty());
        // Once more is nothing more.
        transforms.finish(&mut out).unwrap();
        assert_eq!(out, b"abcd||e..");
    }

    #[test]
    fn what_was_fine_before_a_break_is_there() {
        let mut transforms = Transforms::default();
        transforms.add(Box::new(Marks::default()));
        let mut out = vec![];
        assert_eq!(transforms.push(b"ab!c", &mut out), Err("broken"));
        assert_eq!(out, b"ab");
    }
}
