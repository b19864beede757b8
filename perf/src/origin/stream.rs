//! One connection of the plain TCP origins.

use tokio_uring::net::TcpStream;

/// Bytes moved by one operation. Four times as many were no faster here, and spread the figures further.
pub(crate) const STREAM_BYTES: usize = 64 * 1024;

/// What a source sends, over and over.
pub(crate) static STREAM_BLOCK: [u8; STREAM_BYTES] = [b's'; STREAM_BYTES];

/// Sends back what comes, until the peer closes or breaks the connection.
pub(crate) async fn echo(conn: TcpStream) {
    let mut buffer = Vec::with_capacity(STREAM_BYTES);
    loop {
        buffer.clear();
        let (received, returned) = conn.read(buffer).await;
        let (Ok(1..), returned) = (received, returned) else { return };
        let (sent, returned) = conn.write_all(returned).await;
        if sent.is_err() {
            return;
        }
        buffer = returned;
    }
}

/// Takes what comes, until the peer closes or breaks the connection.
pub(crate) async fn sink(conn: TcpStream) {
    let mut buffer = Vec::with_capacity(STREAM_BYTES);
    loop {
        buffer.clear();
        let (received, returned) = conn.read(buffer).await;
        if !matches!(received, Ok(1..)) {
            return;
        }
        buffer = returned;
    }
}

/// Sends until the peer breaks the connection.
pub(crate) async fn source(conn: TcpStream) {
    while conn.write_all(&STREAM_BLOCK[..]).await.0.is_ok() {}
}
