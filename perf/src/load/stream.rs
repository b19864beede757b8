//! One plain TCP connection under load: bytes one way, as fast as they go.

use std::rc::Rc;

use tokio_uring::net::TcpStream;

use super::Flow;
use super::connect::Connector;
use super::recorder::{Failure, Recorder};
use crate::origin::{STREAM_BLOCK, STREAM_BYTES};

/// Moves bytes until the run is over; a connection that breaks is counted and replaced.
pub(crate) async fn run(connector: Rc<Connector>, recorder: Rc<Recorder>, flow: Flow) {
    while !recorder.is_over() {
        let Ok(conn) = connector.connect().await else {
            recorder.failed(Failure::Connect);
            continue;
        };
        match flow {
            Flow::Send => send(&conn, &recorder).await,
            Flow::Receive => receive(&conn, &recorder).await,
        }
    }
}

async fn send(conn: &TcpStream, recorder: &Recorder) {
    while !recorder.is_over() {
        match conn.write(&STREAM_BLOCK[..]).submit().await {
            (Ok(bytes @ 1..), _) => recorder.moved(bytes),
            _ => return recorder.failed(Failure::Read),
        }
    }
}

async fn receive(conn: &TcpStream, recorder: &Recorder) {
    let mut buffer = Vec::with_capacity(STREAM_BYTES);
    while !recorder.is_over() {
        buffer.clear();
        let (received, returned) = conn.read(buffer).await;
        match received {
            Ok(bytes @ 1..) => recorder.moved(bytes),
            _ => return recorder.failed(Failure::Read),
        }
        buffer = returned;
    }
}
