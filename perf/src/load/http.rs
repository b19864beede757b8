//! One HTTP/1 connection under load, in a closed or an open loop.

use std::rc::Rc;
use std::time::Instant;

use tokio_uring::net::TcpStream;

use super::connect::Connector;
use super::recorder::{Failure, Recorder};
use super::schedule::Schedule;
use crate::http::answer::{Answer, AnswerReader};

/// A connection with its receive buffer and the state of its answers.
pub(crate) struct Exchanger {
    conn: TcpStream,
    buffer: Vec<u8>,
    reader: AnswerReader,
}

/// Why an exchange gave no answer.
pub(crate) enum ExchangeFault {
    /// The peer had closed an idle connection before the request reached it, which HTTP/1 allows.
    ClosedIdle,
    Failed(Failure),
}

/// Sends the next request as soon as the last one is answered.
pub(crate) async fn closed_loop(connector: Rc<Connector>, recorder: Rc<Recorder>, request: &'static [u8]) {
    let mut kept = None;
    while recorder.may_start() {
        kept = one(&connector, &recorder, request, kept, Instant::now()).await;
    }
}

/// Sends a request whenever the schedule says so; a request that had to wait for a connection has its wait counted.
pub(crate) async fn open_loop(
    connector: Rc<Connector>,
    recorder: Rc<Recorder>,
    request: &'static [u8],
    schedule: Rc<Schedule>,
) {
    let mut kept = None;
    while !recorder.is_over() {
        let intended = schedule.next().await;
        kept = one(&connector, &recorder, request, kept, intended).await;
    }
}

/// Makes one request and counts it; gives back the connection if it can carry another.
async fn one(
    connector: &Connector,
    recorder: &Recorder,
    request: &'static [u8],
    mut kept: Option<Exchanger>,
    began: Instant,
) -> Option<Exchanger> {
    loop {
        let reused = kept.is_some();
        let mut exchanger = match kept.take() {
            Some(exchanger) => exchanger,
            None => match connector.connect().await {
                Ok(conn) => Exchanger::new(conn, recorder),
                Err(_) => {
                    recorder.failed(Failure::Connect);
                    return None;
                }
            },
        };
        match exchanger.exchange(request).await {
            Ok(answer) => {
                recorder.answered(answer, began.elapsed());
                let last = answer.close || recorder.new_connection_per_request;
                return (!last).then_some(exchanger);
            }
            Err(ExchangeFault::ClosedIdle) if reused => {}
            Err(ExchangeFault::ClosedIdle) => {
                recorder.failed(Failure::Read);
                return None;
            }
            Err(ExchangeFault::Failed(failure)) => {
                recorder.failed(failure);
                return None;
            }
        }
    }
}

impl Exchanger {
    pub(crate) fn new(conn: TcpStream, recorder: &Recorder) -> Self {
        Self {
            conn,
            buffer: Vec::with_capacity(recorder.receive_bytes),
            reader: AnswerReader::new(recorder.bodiless),
        }
    }

    /// Gives up the buffer, of a connection that is only held.
    pub(crate) fn into_conn(self) -> TcpStream {
        self.conn
    }

    pub(crate) async fn exchange(&mut self, request: &'static [u8]) -> Result<Answer, ExchangeFault> {
        // Send and receive go to the kernel together: one turn of the loop per request instead of two.
        let buffer = self.empty_buffer();
        let ((sent, _), (mut received, mut buffer)) =
            tokio::join!(self.conn.write_all(request), self.conn.read(buffer));
        loop {
            let step = match received {
                Ok(0) if self.reader.is_fresh() => Err(ExchangeFault::ClosedIdle),
                Ok(0) => self.reader.end().map(Some).map_err(|fault| ExchangeFault::Failed(fault.into())),
                Ok(_) => self.reader.feed(&buffer).map_err(|fault| ExchangeFault::Failed(fault.into())),
                Err(_) if sent.is_err() && self.reader.is_fresh() => Err(ExchangeFault::ClosedIdle),
                Err(_) => Err(ExchangeFault::Failed(Failure::Read)),
            };
            self.buffer = buffer;
            if let Some(answer) = step? {
                return Ok(answer);
            }
            buffer = self.empty_buffer();
            (received, buffer) = self.conn.read(buffer).await;
        }
    }

    fn empty_buffer(&mut self) -> Vec<u8> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer
    }
}
