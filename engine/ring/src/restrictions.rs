//! Ties a ring to the operations that the engine uses, before it is enabled: whoever gets hold of the ring's descriptor,
//! or of this process, cannot open files or start anything else through it.

use std::io;

use io_uring::IoUring;
use io_uring::register::Restriction;

use crate::operations::{FLAGS, OPERATIONS};

/// Whether a ring is tied to the operations in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Restricted {
    /// It is: any other operation, flag or registration fails with EACCES.
    Yes,
    /// The kernel refused, with this errno. The ring works, and can do more than it needs.
    Refused(i32),
    /// It was not asked for ([`crate::RingOptions::restricts`]).
    NotAsked,
}

/// Ties `ring`, which must not be enabled yet, to the table of operations. No registration is allowed afterwards: the
/// buffer rings are registered before.
pub(crate) fn restrict(ring: &IoUring) -> Restricted {
    let operations = OPERATIONS.iter().map(|operation| Restriction::sqe_op(operation.code));
    let mut list: Vec<Restriction> = operations.collect();
    list.push(Restriction::sqe_flags_allowed(FLAGS.bits()));
    restrict_to(ring, &mut list)
}

fn restrict_to(ring: &IoUring, list: &mut [Restriction]) -> Restricted {
    match ring.submitter().register_restrictions(list) {
        Ok(()) => Restricted::Yes,
        Err(error) => Restricted::Refused(errno(&error)),
    }
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use io_uring::squeue::{Entry, Flags};
    use io_uring::{Probe, opcode, types};

    fn disabled_ring() -> IoUring {
        IoUring::builder().setup_r_disabled().build(8).unwrap()
    }

    fn result_of(ring: &mut IoUring, entry: &Entry) -> i32 {
        // SAFETY: the entries of these tests point to nothing, or to a literal.
        unsafe { ring.submission().push(entry).unwrap() };
        ring.submit_and_wait(1).unwrap();
        ring.completion().next().unwrap().result()
    }

    fn open_at() -> Entry {
        opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), c"/dev/null".as_ptr()).flags(libc::O_RDONLY).build()
    }

    #[test]
    fn what_is_not_in_the_table_is_refused() {
        let mut ring = disabled_ring();
        assert_eq!(restrict(&ring), Restricted::Yes);
        ring.submitter().register_enable_rings().unwrap();
        for entry in [opcode::Nop::new().build(), open_at()] {
            assert_eq!(result_of(&mut ring, &entry), -libc::EACCES);
        }
        // In the table, so it gets as far as its descriptor.
        let poll = opcode::PollAdd::new(types::Fd(-1), 0).build();
        assert_eq!(result_of(&mut ring, &poll), -libc::EBADF);
        assert_eq!(result_of(&mut ring, &poll.flags(Flags::ASYNC)), -libc::EACCES, "a flag nobody uses");
        let error = ring.submitter().register_probe(&mut Probe::new()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EACCES), "registrations are over");
    }

    #[test]
    fn without_restrictions_the_same_operations_are_carried_out() {
        let mut ring = disabled_ring();
        ring.submitter().register_enable_rings().unwrap();
        assert_eq!(result_of(&mut ring, &opcode::Nop::new().build()), 0);
        assert!(result_of(&mut ring, &open_at()) >= 0);
    }

    /// A register operation that no kernel knows stands for a kernel that knows no restrictions: it refuses the list, and
    /// the ring then works as if nothing had been asked.
    #[test]
    fn a_ring_whose_restrictions_are_refused_still_works() {
        let mut ring = disabled_ring();
        let refused = restrict_to(&ring, &mut [Restriction::register_op(u8::MAX)]);
        assert_eq!(refused, Restricted::Refused(libc::EINVAL));
        ring.submitter().register_enable_rings().unwrap();
        assert_eq!(result_of(&mut ring, &opcode::Nop::new().build()), 0);
    }
}
