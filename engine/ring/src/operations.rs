//! The one table of what the engine asks of a ring: operations and their flags. The restrictions of the ring, the probe
//! and `sidering doctor` are made from it, so that nothing can be used that is not listed, asked for and allowed.

use io_uring::opcode;
use io_uring::squeue::Flags;

/// An operation that the engine submits.
#[derive(Clone, Copy, Debug)]
pub struct UsedOperation {
    /// The kernel's name, without IORING_OP_.
    pub name: &'static str,
    /// The kernel's number.
    pub code: u8,
    /// The first kernel release that has it.
    pub since: &'static str,
    /// What the engine does with it.
    pub purpose: &'static str,
}

/// Every operation the engine submits. One that is missing here is refused by the kernel with EACCES.
pub const OPERATIONS: [UsedOperation; 9] = [
    used("POLL_ADD", opcode::PollAdd::CODE, "5.1", "messages for a core, relays"),
    used("SENDMSG", opcode::SendMsg::CODE, "5.3", "sends of several pieces"),
    used("TIMEOUT", opcode::Timeout::CODE, "5.4", "the next deadline"),
    used("TIMEOUT_REMOVE", opcode::TimeoutUpdate::CODE, "5.5", "a deadline that moves forward"),
    used("ACCEPT", opcode::Accept::CODE, "5.5", "new connections"),
    used("ASYNC_CANCEL", opcode::AsyncCancel::CODE, "5.5", "pauses and closes"),
    used("CONNECT", opcode::Connect::CODE, "5.5", "connections to upstreams"),
    used("SEND", opcode::Send::CODE, "5.6", "sends of one piece"),
    used("RECV", opcode::Recv::CODE, "5.6", "everything that arrives"),
];

/// The flags of submissions that the engine sets: buffers of a group for receives, no completion for a cancellation that
/// found its target.
pub(crate) const FLAGS: Flags = Flags::BUFFER_SELECT.union(Flags::SKIP_SUCCESS);

const fn used(name: &'static str, code: u8, since: &'static str, purpose: &'static str) -> UsedOperation {
    UsedOperation { name, code, since, purpose }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The kernel refuses what is used and not listed; this finds what is listed and not used.
    #[test]
    fn nothing_is_listed_that_is_not_submitted() {
        let source = include_str!("kernel.rs");
        let mut submitted = BTreeSet::new();
        for rest in source.split("opcode::").skip(1) {
            submitted.insert(match rest.split("::").next().unwrap_or_default() {
                "PollAdd" => "POLL_ADD",
                "SendMsg" => "SENDMSG",
                "Timeout" => "TIMEOUT",
                "TimeoutUpdate" => "TIMEOUT_REMOVE",
                "AcceptMulti" => "ACCEPT",
                "AsyncCancel" | "AsyncCancel2" => "ASYNC_CANCEL",
                "Connect" => "CONNECT",
                "Send" => "SEND",
                "RecvMulti" => "RECV",
                other => panic!("kernel.rs submits {other}: list it in OPERATIONS and name it here"),
            });
        }
        assert_eq!(submitted, OPERATIONS.map(|operation| operation.name).into_iter().collect());
    }

    #[test]
    fn no_operation_is_listed_twice() {
        let codes: BTreeSet<u8> = OPERATIONS.iter().map(|operation| operation.code).collect();
        assert_eq!(codes.len(), OPERATIONS.len());
    }
}
