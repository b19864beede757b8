//! The translation of errno into the data plane's words. It decides nothing else.

use rustix::io::Errno;
use sidering_dataplane::io::IoError;

const REFUSED: i32 = Errno::CONNREFUSED.raw_os_error();
const RESET: i32 = Errno::CONNRESET.raw_os_error();
const ABORTED: i32 = Errno::CONNABORTED.raw_os_error();
const PIPE: i32 = Errno::PIPE.raw_os_error();
const SHUT_DOWN: i32 = Errno::SHUTDOWN.raw_os_error();
const NOT_CONNECTED: i32 = Errno::NOTCONN.raw_os_error();
const TIMED_OUT: i32 = Errno::TIMEDOUT.raw_os_error();
const HOST_UNREACHABLE: i32 = Errno::HOSTUNREACH.raw_os_error();
const NET_UNREACHABLE: i32 = Errno::NETUNREACH.raw_os_error();
const NET_DOWN: i32 = Errno::NETDOWN.raw_os_error();
const HOST_DOWN: i32 = Errno::HOSTDOWN.raw_os_error();
const TOO_MANY_FILES: i32 = Errno::MFILE.raw_os_error();
const FILE_TABLE_FULL: i32 = Errno::NFILE.raw_os_error();
const NO_MEMORY: i32 = Errno::NOMEM.raw_os_error();
const NO_BUFFERS: i32 = Errno::NOBUFS.raw_os_error();
const NO_ADDRESS: i32 = Errno::ADDRNOTAVAIL.raw_os_error();

/// The data plane's word for an errno (positive).
#[cold]
pub fn io_error(errno: i32) -> IoError {
    match errno {
        REFUSED => IoError::Refused,
        RESET | ABORTED => IoError::Reset,
        PIPE | SHUT_DOWN | NOT_CONNECTED => IoError::BrokenPipe,
        TIMED_OUT => IoError::TimedOut,
        HOST_UNREACHABLE | NET_UNREACHABLE | NET_DOWN | HOST_DOWN => IoError::Unreachable,
        TOO_MANY_FILES | FILE_TABLE_FULL => IoError::DescriptorsExhausted,
        NO_MEMORY | NO_BUFFERS => IoError::OutOfMemory,
        NO_ADDRESS => IoError::AddressNotAvailable,
        other => IoError::Other(other),
    }
}

/// The data plane's word for a failed system call.
#[cold]
pub fn from_system(error: &std::io::Error) -> IoError {
    io_error(error.raw_os_error().unwrap_or(Errno::IO.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_data_plane_decides_by_has_a_word_and_the_rest_keeps_its_number() {
        let word = |errno: Errno| io_error(errno.raw_os_error());
        assert_eq!(word(Errno::CONNREFUSED), IoError::Refused);
        assert_eq!(word(Errno::MFILE), IoError::DescriptorsExhausted);
        assert_eq!(word(Errno::NOBUFS), IoError::OutOfMemory);
        assert_eq!(word(Errno::NOENT), IoError::Other(2));
        assert_eq!(from_system(&std::io::Error::other("no errno")), IoError::Other(5));
    }
}
