//! System calls that read memory by address, or that the ring's loop needs bare, each with a safe face where there can
//! be one. No state.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Sends what the peer takes at once of one run of bytes.
///
/// # Safety
/// The bytes must be readable for the length of the call.
#[inline]
pub(crate) unsafe fn send(
    socket: BorrowedFd<'_>,
    address: *const u8,
    bytes: u32,
    more: bool,
) -> io::Result<usize> {
    // SAFETY: the caller vouches for the bytes.
    let sent =
        unsafe { libc::send(socket.as_raw_fd(), address.cast(), bytes as usize, SEND_NOW | more_flag(more)) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Sends what the peer takes at once of what a message header names.
///
/// # Safety
/// The header, its vectors and all bytes must be readable for the length of the call.
#[inline]
pub(crate) unsafe fn send_many(
    socket: BorrowedFd<'_>,
    message: *const libc::msghdr,
    more: bool,
) -> io::Result<usize> {
    // SAFETY: the caller vouches for header, vectors and bytes.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), message, SEND_NOW | more_flag(more)) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Never wait, whatever O_NONBLOCK says, and no SIGPIPE.
const SEND_NOW: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// MSG_MORE, if the end of the stream follows at once and shall ride in the last segment.
#[inline]
pub(crate) fn more_flag(more: bool) -> libc::c_int {
    if more { libc::MSG_MORE } else { 0 }
}

/// Turns O_NONBLOCK on or off in one call.
pub(crate) fn set_nonblocking(socket: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
    let mut value = libc::c_int::from(nonblocking);
    // SAFETY: FIONBIO reads one int, which lives across the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::FIONBIO, &raw mut value) })
}

/// Whether a read, or an accept, has something to take now.
pub(crate) fn is_readable(socket: BorrowedFd<'_>) -> bool {
    let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry is passed, and it lives across the call.
    let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
    ready == 1 && poll.revents & libc::POLLIN != 0
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
