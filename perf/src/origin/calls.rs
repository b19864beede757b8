//! One connection of the origin that answers bolt and Dubbo calls with what they brought.

use std::io;

use tokio_uring::net::TcpStream;

use crate::call::{FrameBuffer, NoFrame, Outbox, Protocol};

/// Answers calls until the peer closes, or sends something that is none.
pub(crate) async fn serve(conn: TcpStream) {
    let outbox = Outbox::default();
    // There is nobody to tell: the load generator sees and counts a broken connection.
    let _ = tokio::join!(answer(&conn, &outbox), outbox.send(&conn));
    let _ = conn.shutdown(std::net::Shutdown::Both);
}

async fn answer(conn: &TcpStream, outbox: &Outbox) -> io::Result<()> {
    let answered = answer_calls(conn, outbox).await;
    outbox.close();
    answered
}

async fn answer_calls(conn: &TcpStream, outbox: &Outbox) -> io::Result<()> {
    let mut buffer = FrameBuffer::new();
    while buffer.receive(conn).await? > 0 {
        let first = buffer.first_byte().ok_or(NoFrame)?;
        let protocol = Protocol::of_first_byte(first).ok_or(NoFrame)?;
        outbox.add(|out| buffer.take_frames(protocol, |request| protocol.echo(request, out)))?;
        outbox.room().await;
    }
    Ok(())
}
