//! A small HTTP server on the control thread, for admin and for the built-in upstream. Connections, heads, bodies and
//! idle times are bounded; what it answers is decided by whoever starts it.

use crate::log;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use sidering_dataplane::io::Address;
use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

/// A bound socket that is not served yet.
#[derive(Debug)]
pub enum Listening {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

/// An answer, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
    /// The methods that would have been right.
    pub(crate) allow: Option<&'static str>,
}

/// Bounds of a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Connections at once. Beyond it a connection is accepted and closed.
    pub(crate) connections: usize,
    /// Bytes of a request's head.
    pub(crate) head_bytes: usize,
    /// Bytes of a request's body, which is read and thrown away. 413 beyond.
    pub(crate) body_bytes: u64,
    /// Time for a request's head to come in; also how long a connection may be idle.
    pub(crate) idle: Duration,
    /// A connection is closed after this long, whatever it does.
    pub(crate) lifetime: Duration,
}

/// Decides answers.
pub(crate) trait Service {
    fn answer(&self, request: &Parts) -> Answer;

    /// A connection was refused because there were too many.
    fn refused(&self) {}
}

/// After its lifetime a connection may finish the request under way for this long.
const CLOSING: Duration = Duration::from_secs(10);
const MOST_HEADERS: usize = 64;

impl Listening {
    /// Binds an address, and takes over a unix socket's file that nobody listens on any more.
    pub fn bind(address: &Address) -> io::Result<Listening> {
        match address {
            Address::Ip(address) => std::net::TcpListener::bind(address).map(Listening::Tcp),
            Address::Unix(path) => {
                let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
                if StdUnixStream::connect(&**path).is_err_and(refused) {
                    std::fs::remove_file(&**path)?;
                }
                std::os::unix::net::UnixListener::bind(&**path).map(Listening::Unix)
            }
        }
    }

    /// Where it is bound; port 0 is resolved.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Listening::Tcp(listener) => {
                listener.local_addr().map(|address| address.to_string()).unwrap_or_default()
            }
            Listening::Unix(listener) => {
                let address = listener.local_addr().ok();
                let path = address.as_ref().and_then(std::os::unix::net::SocketAddr::as_pathname);
                path.map(|path| format!("unix:{}", path.display())).unwrap_or_default()
            }
        }
    }
}

enum Acceptor {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

/// Serves until the runtime ends.
pub(crate) fn serve<S: Service + 'static>(
    listening: Listening,
    bounds: Bounds,
    service: Rc<S>,
) -> io::Result<impl Future<Output = ()>> {
    let acceptor = match listening {
        Listening::Tcp(listener) => {
            listener.set_nonblocking(true)?;
            Acceptor::Tcp(tokio::net::TcpListener::from_std(listener)?)
        }
        Listening::Unix(listener) => {
            listener.set_nonblocking(true)?;
            Acceptor::Unix(tokio::net::UnixListener::from_std(listener)?)
        }
    };
    Ok(async move {
        let open = Rc::new(Cell::new(0));
        loop {
            let accepted = match &acceptor {
                Acceptor::Tcp(listener) => {
                    listener.accept().await.map(|(stream, _)| begin(stream, &open, bounds, &service))
                }
                Acceptor::Unix(listener) => {
                    listener.accept().await.map(|(stream, _)| begin(stream, &open, bounds, &service))
                }
            };
            if let Err(error) = accepted {
                // Out of descriptors, most likely: the backlog keeps what comes until some are free.
                log::warning(format_args!("the control thread cannot accept: {error}"));
                sleep(Duration::from_millis(100)).await;
            }
        }
    })
}

fn begin<S, T>(stream: T, open: &Rc<Cell<usize>>, bounds: Bounds, service: &Rc<S>)
where
    S: Service + 'static,
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    if open.get() >= bounds.connections {
        service.refused();
        return;
    }
    open.set(open.get() + 1);
    let (open, service) = (Rc::clone(open), Rc::clone(service));
    spawn_local(async move {
        converse(stream, bounds, service).await;
        open.set(open.get() - 1);
    });
}

async fn converse<S: Service>(stream: impl AsyncRead + AsyncWrite + Unpin, bounds: Bounds, service: Rc<S>) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(bounds.idle);
    builder.max_buf_size(bounds.head_bytes).max_headers(MOST_HEADERS);
    let respond = service_fn(|request| respond(request, bounds, &*service));
    let mut conn = pin!(builder.serve_connection(TokioIo::new(stream), respond));
    // Errors are the client's: it went away or broke the protocol, and hyper has answered what there was to answer.
    if timeout(bounds.lifetime, conn.as_mut()).await.is_err() {
        conn.as_mut().graceful_shutdown();
        let _ = timeout(CLOSING, conn).await;
    }
}

async fn respond<S: Service>(
    request: Request<Incoming>,
    bounds: Bounds,
    service: &S,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, mut body) = request.into_parts();
    let mut received = 0;
    while let Some(Ok(frame)) = body.frame().await {
        received += frame.data_ref().map_or(0, |data| data.len() as u64);
        if received > bounds.body_bytes {
            return Ok(Answer::text(413, "the body is too large\n".to_owned()).into_response());
        }
    }
    Ok(service.answer(&parts).into_response())
}

impl Answer {
    pub(crate) fn text(status: u16, body: String) -> Answer {
        Answer { status, content_type: "text/plain; charset=UTF-8", body, allow: None }
    }

    pub(crate) fn json(body: String) -> Answer {
        Answer { status: 200, content_type: "application/json", body, allow: None }
    }

    fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(self.body)));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if let Some(allow) = self.allow {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}
