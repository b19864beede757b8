//! One HTTP/1 connection of the origin.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio_uring::buf::BoundedBuf;
use tokio_uring::net::TcpStream;

use super::answers::{Answers, Outgoing};
use crate::http::request::{Request, RequestReader};

const RECEIVE_BYTES: usize = 16 * 1024;

/// Answers requests until the peer closes, asks for a close, or sends something that is no request.
pub(crate) async fn serve(conn: TcpStream, answers: Rc<Answers>, delay: Duration) {
    // There is nobody to tell: the load generator sees and counts a broken connection.
    let _ = serve_requests(&conn, &answers, delay).await;
    let _ = conn.shutdown(std::net::Shutdown::Both);
}

async fn serve_requests(conn: &TcpStream, answers: &Answers, delay: Duration) -> io::Result<()> {
    let mut reader = RequestReader::new();
    let mut requests: Vec<Request> = Vec::new();
    let mut buffer = Vec::with_capacity(RECEIVE_BYTES);
    let mut last = None;
    loop {
        buffer.clear();
        // The last answer and the next receive go to the kernel together: one turn of the loop per request.
        let sending = send(conn, answers, last.take());
        let (sent, (received, returned)) = tokio::join!(sending, conn.read(buffer));
        sent?;
        buffer = returned;
        if received? == 0 {
            return Ok(());
        }
        if reader.feed(&buffer, &mut requests).is_err() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let count = requests.len();
        for (index, request) in requests.drain(..).enumerate() {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            let outgoing = answers.for_request(&request);
            if request.close {
                return send(conn, answers, Some(outgoing)).await;
            }
            if index + 1 == count {
                last = Some(outgoing);
            } else {
                send(conn, answers, Some(outgoing)).await?;
            }
        }
    }
}

async fn send(conn: &TcpStream, answers: &Answers, outgoing: Option<Outgoing>) -> io::Result<()> {
    match outgoing {
        None => Ok(()),
        Some(Outgoing::Kept(answer)) => conn.write_all(answer).await.0,
        Some(Outgoing::Composed { mut head, pattern_bytes }) => {
            let pattern = answers.pattern();
            // The beginning of the body rides behind the head, so that small answers leave in one send.
            let first = pattern_bytes.min(RECEIVE_BYTES as u64);
            head.extend_from_slice(&pattern[..first as usize]);
            conn.write_all(head).await.0?;
            let mut sent = first;
            while sent < pattern_bytes {
                let begin = (sent % pattern.len() as u64) as usize;
                let end =
                    pattern.len().min(begin + (pattern_bytes - sent).min(pattern.len() as u64) as usize);
                conn.write_all(pattern.slice(begin..end)).await.0?;
                sent += (end - begin) as u64;
            }
            Ok(())
        }
    }
}
