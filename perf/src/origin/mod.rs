//! Origin servers for measurements: cheap, deterministic, and able to notice nothing but what they are asked for.

mod answers;
mod calls;
mod http;
mod stream;

use std::io::Write;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use tokio_uring::net::{TcpListener, TcpStream};

use self::answers::Answers;

pub(crate) use self::answers::body_byte;
pub(crate) use self::stream::{STREAM_BLOCK, STREAM_BYTES};

/// Connections that may wait to be accepted: a burst of ten thousand must not run into SYN retries.
const ACCEPT_BACKLOG: i32 = 16_384;

#[derive(Args)]
pub(crate) struct OriginOptions {
    /// Address to listen on; with port 0 a free one is taken and printed.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Waits this long before each HTTP answer.
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// Serves a plain TCP stream instead of HTTP.
    #[arg(long, value_enum)]
    tcp: Option<StreamMode>,
    /// Answers bolt and Dubbo calls with what they brought.
    #[arg(long, conflicts_with_all = ["tcp", "delay_ms"])]
    calls: bool,
}

/// What a plain TCP origin does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StreamMode {
    /// Sends back what it receives.
    Echo,
    /// Receives and throws away.
    Sink,
    /// Sends for as long as the peer takes it.
    Source,
}

/// Serves until the process is ended.
pub(crate) fn run(options: &OriginOptions) -> anyhow::Result<()> {
    let listener = listen(options.listen)?;
    let address = listener.local_addr()?;
    writeln!(std::io::stdout(), "listening on {address}")?;
    let delay = Duration::from_millis(options.delay_ms);
    let service = match options.tcp {
        _ if options.calls => Service::Calls,
        Some(mode) => Service::Stream(mode),
        None => Service::Http { delay },
    };
    crate::runtime::block_on(serve(listener, service))
}

/// What is done with every connection.
#[derive(Clone, Copy)]
enum Service {
    Http { delay: Duration },
    Stream(StreamMode),
    Calls,
}

async fn serve(listener: std::net::TcpListener, service: Service) -> anyhow::Result<()> {
    let listener = TcpListener::from_std(listener);
    let answers = Rc::new(Answers::new());
    loop {
        match listener.accept().await {
            Ok((conn, _)) => begin(conn, service, &answers),
            // Out of descriptors, or a connection that died in the queue: the next may do better.
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

fn begin(conn: TcpStream, service: Service, answers: &Rc<Answers>) {
    // A connection that is already gone cannot take the option; its first receive will say so.
    let _ = conn.set_nodelay(true);
    match service {
        Service::Http { delay } => drop(tokio_uring::spawn(http::serve(conn, Rc::clone(answers), delay))),
        Service::Calls => drop(tokio_uring::spawn(calls::serve(conn))),
        Service::Stream(StreamMode::Echo) => drop(tokio_uring::spawn(stream::echo(conn))),
        Service::Stream(StreamMode::Sink) => drop(tokio_uring::spawn(stream::sink(conn))),
        Service::Stream(StreamMode::Source) => drop(tokio_uring::spawn(stream::source(conn))),
    }
}

fn listen(address: SocketAddr) -> anyhow::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket
        .bind(&address.into())
        .with_context(|| format!("origin: cannot listen on {address}; choose a free one, or port 0"))?;
    socket.listen(ACCEPT_BACKLOG)?;
    Ok(socket.into())
}
