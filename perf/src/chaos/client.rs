//! The load: connections that each send requests with a number of their own at a steady pace, and check every answer.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::tally::{Fault, Tally};

/// A request without an answer by then has failed: the route's own limit is 5 s.
const PATIENCE: Duration = Duration::from_secs(10);

/// The connections of a load that goes on until it is stopped.
pub(crate) struct Load {
    over: Rc<Cell<bool>>,
    connections: Vec<JoinHandle<()>>,
}

impl Load {
    /// Stops after the requests that are on their way.
    pub(crate) async fn stop(self) {
        self.over.set(true);
        for connection in self.connections {
            // A task that panicked has said so.
            let _ = connection.await;
        }
    }
}

/// Starts `connections` tasks that make `rate` requests a second together.
pub(crate) fn start(address: SocketAddr, connections: u32, rate: u32, tally: &Rc<RefCell<Tally>>) -> Load {
    let over = Rc::new(Cell::new(false));
    let next_id = Rc::new(Cell::new(0u64));
    let every = Duration::from_secs(1) * connections / rate;
    let began = Instant::now();
    let start_one = |index: u32| {
        let mut client =
            Client { address, tally: Rc::clone(tally), next_id: Rc::clone(&next_id), kept: None };
        let over = Rc::clone(&over);
        // Spread over the interval, so that the requests do not come in volleys.
        let first = began + every * index / connections;
        tokio::task::spawn_local(async move {
            let mut ticks = interval_at(first, every);
            // A stall must not be made up for by a volley, and it is no request lost.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while !over.get() {
                ticks.tick().await;
                client.request().await;
            }
        })
    };
    let connections = (0..connections).map(start_one).collect();
    Load { over, connections }
}

/// Waits until something accepts connections at `address`.
pub(crate) async fn until_listening(address: SocketAddr, patience: Duration) -> anyhow::Result<()> {
    let end = Instant::now() + patience;
    while let Err(fault) = TcpStream::connect(address).await {
        if Instant::now() > end {
            return Err(fault).with_context(|| format!("nothing listens on {address}"));
        }
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

struct Client {
    address: SocketAddr,
    tally: Rc<RefCell<Tally>>,
    next_id: Rc<Cell<u64>>,
    kept: Option<SendRequest<Empty<Bytes>>>,
}

impl Client {
    async fn request(&mut self) {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        let began = Instant::now();
        let outcome = match timeout(PATIENCE, self.exchange(id)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Fault::NoAnswer),
        };
        if outcome.is_err() {
            self.kept = None;
        }
        self.tally.borrow_mut().count(outcome, began.elapsed());
    }

    async fn exchange(&mut self, id: u64) -> Result<u16, Fault> {
        let mut sender = match self.kept.take() {
            Some(sender) => sender,
            None => self.connect().await.map_err(|_| Fault::Connection)?,
        };
        sender.ready().await.map_err(|_| Fault::Connection)?;
        let request = hyper::Request::get(format!("/?id={id}"))
            .header("host", "chaos")
            .body(Empty::new())
            .map_err(|_| Fault::Connection)?;
        let answer = sender.send_request(request).await.map_err(|_| Fault::Connection)?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.map_err(|_| Fault::Cut)?.to_bytes();
        self.kept = Some(sender);
        if status != 200 {
            return Err(Fault::Status(status));
        }
        origin_of(&body, id).ok_or(Fault::Mixed)
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Empty<Bytes>>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let tally = Rc::clone(&self.tally);
        tokio::task::spawn_local(async move {
            if connection.await.is_err_and(|fault| is_surplus(&fault)) {
                tally.borrow_mut().surplus();
            }
        });
        Ok(sender)
    }
}

/// The connection failed for bytes that no request asked for, and not because it broke: a second answer to a request.
fn is_surplus(fault: &hyper::Error) -> bool {
    fault.source().is_none() && !fault.is_incomplete_message() && !fault.is_canceled()
}

/// Which origin answered, if it is the answer to request `id`.
fn origin_of(body: &[u8], id: u64) -> Option<u16> {
    let (origin, answered) = std::str::from_utf8(body).ok()?.split_once(' ')?;
    (answered.parse() == Ok(id)).then(|| origin.parse().ok())?
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn a_second_answer_is_noticed_and_a_broken_connection_is_none() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it builds");
        let answer: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n1 0";
        let counted = |bytes: Vec<u8>| {
            runtime.block_on(tokio::task::LocalSet::new().run_until(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                let tally = Rc::new(RefCell::new(Tally::of(2)));
                let mut client = Client {
                    address: listener.local_addr().expect("it is bound"),
                    tally: Rc::clone(&tally),
                    next_id: Rc::default(),
                    kept: None,
                };
                let server = async {
                    let (mut conn, _) = listener.accept().await.expect("the client comes");
                    let mut request = [0; 1024];
                    let _ = conn.read(&mut request).await;
                    conn.write_all(&bytes).await.expect("the client reads");
                };
                tokio::join!(client.request(), server);
                // The client's connection is a task of its own: it ends when it has seen what the server did.
                if let Some(mut kept) = client.kept.take() {
                    while kept.ready().await.is_ok() {
                        tokio::task::yield_now().await;
                    }
                }
                tokio::task::yield_now().await;
                (tally.borrow().answered(), tally.borrow().surplus_seen())
            }))
        };
        assert_eq!(counted([answer, answer].concat()), (1, 1));
        assert_eq!(counted(answer.to_vec()), (1, 0));
        assert_eq!(counted(answer[..40].to_vec()), (0, 0));
    }

    #[test]
    fn an_answer_to_another_request_is_none() {
        assert_eq!(origin_of(b"7 41", 41), Some(7));
        assert_eq!(origin_of(b"7 42", 41), None);
        assert_eq!(origin_of(b"7", 41), None);
    }
}
