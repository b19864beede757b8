//! Sockets, opened and told apart: listening ones, which the control thread hands to cores as descriptors, and those
//! that a core connects. Nothing is sent or received here.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use sidering_dataplane::io::{Address, ConnectOptions};
use socket2::{Domain, SockAddr, SockRef, Socket, TcpKeepalive, Type};

/// Why an address cannot be listened on, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another process listens there.
    #[error(
        "cannot listen on {address}: another process does; stop it (`ss -ltnp` shows it) or choose another port"
    )]
    InUse {
        /// As configured.
        address: String,
    },
    /// A low port, or a directory that may not be written.
    #[error("cannot listen on {address}: permission denied; ports below 1024 need CAP_NET_BIND_SERVICE")]
    Denied {
        /// As configured.
        address: String,
    },
    /// The address is of no interface of this host.
    #[error("cannot listen on {address}: this host has no such address; use 0.0.0.0 or [::] for all of them")]
    NotLocal {
        /// As configured.
        address: String,
    },
    /// A unix socket's path is taken by a living listener.
    #[error("cannot listen on {address}: a process listens on this socket; stop it or choose another path")]
    UnixInUse {
        /// As configured.
        address: String,
    },
    /// A unix socket's path is taken by something else.
    #[error("cannot listen on {address}: the file exists and is no socket; remove it or choose another path")]
    NotASocket {
        /// As configured.
        address: String,
    },
    /// Anything else the system says.
    #[error("cannot listen on {address}: {source}")]
    System {
        /// As configured.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
}

/// Opens a socket bound to `address` and listening with a queue of `backlog` (which the system cuts to
/// net.core.somaxconn).
///
/// TCP sockets get SO_REUSEADDR, TCP_NODELAY (which accepted sockets inherit), and SO_REUSEPORT if `reuseport`, so that
/// every core can have one of its own on the same address. A unix socket's file is removed first if nobody listens on it
/// any more; `reuseport` means nothing to it: clone the descriptor for each core.
///
/// # Errors
/// [`ListenError`], naming the address and what to do.
pub fn open_listener(address: &Address, backlog: u32, reuseport: bool) -> Result<OwnedFd, ListenError> {
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    match address {
        Address::Ip(address) => {
            open_tcp(*address, backlog, reuseport).map_err(|error| explain(address.to_string(), error))
        }
        Address::Unix(path) => open_unix(path, backlog),
    }
}

fn open_tcp(address: SocketAddr, backlog: i32, reuseport: bool) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(reuseport)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

fn open_unix(path: &Path, backlog: i32) -> Result<OwnedFd, ListenError> {
    let address = path.display().to_string();
    remove_stale(path, &address)?;
    let open = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        socket.listen(backlog)?;
        Ok(socket.into())
    };
    open().map_err(|error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => ListenError::UnixInUse { address },
        _ => explain(address, error),
    })
}

/// Removes the file of a socket that nobody listens on: a trial connection is refused.
fn remove_stale(path: &Path, address: &str) -> Result<(), ListenError> {
    let Ok(file) = fs::symlink_metadata(path) else { return Ok(()) };
    if !file.file_type().is_socket() {
        return Err(ListenError::NotASocket { address: address.to_owned() });
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| explain(address.to_owned(), error))
        }
        _ => Err(ListenError::UnixInUse { address: address.to_owned() }),
    }
}

fn explain(address: String, source: io::Error) -> ListenError {
    match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse { address },
        io::ErrorKind::PermissionDenied => ListenError::Denied { address },
        io::ErrorKind::AddrNotAvailable => ListenError::NotLocal { address },
        _ => ListenError::System { address, source },
    }
}

/// A socket for an address, and the address as the system wants it: closed on exec, without Nagle's delay, with the options,
/// not yet connected.
///
/// # Errors
/// The system's, and a unix socket's path that is too long.
pub fn open_outgoing(
    address: &Address,
    options: &ConnectOptions,
    nonblocking: bool,
) -> io::Result<(Socket, SockAddr)> {
    let kind = if nonblocking { Type::STREAM.nonblocking() } else { Type::STREAM };
    match address {
        Address::Ip(address) => {
            let socket = Socket::new(Domain::for_address(*address), kind, None)?;
            socket.set_tcp_nodelay(true)?;
            watch_for_death(&socket, options)?;
            Ok((socket, SockAddr::from(*address)))
        }
        Address::Unix(path) => {
            let socket = Socket::new(Domain::UNIX, kind, None)?;
            Ok((socket, SockAddr::unix(path.as_path())?))
        }
    }
}

/// One system call for each number that is not the system's own.
fn watch_for_death(socket: &Socket, options: &ConnectOptions) -> io::Result<()> {
    if let Some(keepalive) = options.keepalive {
        let seconds = |seconds: u16| Duration::from_secs(seconds.into());
        let probes = TcpKeepalive::new()
            .with_time(seconds(keepalive.idle_seconds))
            .with_interval(seconds(keepalive.interval_seconds))
            .with_retries(keepalive.probes.into());
        socket.set_tcp_keepalive(&probes)?;
    }
    if options.user_timeout_ms > 0 {
        socket.set_tcp_user_timeout(Some(Duration::from_millis(options.user_timeout_ms.into())))?;
    }
    Ok(())
}

/// Whether nothing has come in that was not received, no end and no error either.
#[must_use]
pub fn is_quiet(socket: &OwnedFd) -> bool {
    recv(socket, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT).map(|_| ()) == Err(Errno::AGAIN)
}

/// Where a socket is bound, with the port the system chose if 0 was asked for. `None` for unix sockets and on error.
pub fn local_address(socket: &OwnedFd) -> Option<SocketAddr> {
    SockRef::from(socket).local_addr().ok()?.as_socket()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidering_dataplane::io::Keepalive;
    use std::path::PathBuf;
    use std::sync::Arc;

    fn any_port() -> Address {
        Address::Ip(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    #[test]
    fn a_socket_is_quiet_until_something_has_come() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let ours = OwnedFd::from(ours);
        assert!(is_quiet(&ours));
        std::io::Write::write_all(&mut theirs, b"x").unwrap();
        assert!(!is_quiet(&ours), "a byte");
        assert_eq!(recv(&ours, &mut [0; 8], RecvFlags::DONTWAIT).unwrap().1, 1);
        assert!(is_quiet(&ours), "nothing was taken by asking");
        drop(theirs);
        assert!(!is_quiet(&ours), "its end");
    }

    #[test]
    fn two_sockets_share_a_port_only_if_both_want_to() {
        let first = open_listener(&any_port(), 16, true).unwrap();
        let address = local_address(&first).unwrap();
        open_listener(&Address::Ip(address), 16, true).unwrap();
        let error = open_listener(&Address::Ip(address), 16, false).unwrap_err();
        assert!(matches!(error, ListenError::InUse { .. }));
        assert!(error.to_string().contains(&address.to_string()));
    }

    #[test]
    fn a_unix_socket_is_taken_over_only_from_the_dead() {
        let directory = std::env::temp_dir().join(format!("sidering-socket-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path: PathBuf = directory.join("listen.sock");
        let address = Address::Unix(Arc::new(path.clone()));
        let living = open_listener(&address, 16, false).unwrap();
        assert!(matches!(open_listener(&address, 16, false), Err(ListenError::UnixInUse { .. })));
        drop(living);
        drop(open_listener(&address, 16, false).unwrap());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "not a socket").unwrap();
        assert!(matches!(open_listener(&address, 16, false), Err(ListenError::NotASocket { .. })));
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn outgoing_sockets_have_the_options() {
        let connected = |options: &ConnectOptions| open_outgoing(&any_port(), options, false).unwrap().0;
        let plain = connected(&ConnectOptions::default());
        assert!(!plain.keepalive().unwrap());
        assert_eq!(plain.tcp_user_timeout().unwrap(), None);
        let keepalive = |idle_seconds, interval_seconds, probes| {
            let keepalive = Some(Keepalive { idle_seconds, interval_seconds, probes });
            connected(&ConnectOptions { keepalive, user_timeout_ms: 2500 })
        };
        // The bounds of what the system takes, too.
        for (idle, interval, probes) in [(30, 5, 3), (1, 1, 1), (32_767, 32_767, 127)] {
            let socket = keepalive(idle, interval, probes);
            assert!(socket.keepalive().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(idle.into()));
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(interval.into()));
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), u32::from(probes));
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_millis(2500)));
        }
        let unix = Address::Unix(Arc::new(PathBuf::from("/nowhere")));
        let options = ConnectOptions { user_timeout_ms: 1, ..ConnectOptions::default() };
        open_outgoing(&unix, &options, false).unwrap();
    }
}
