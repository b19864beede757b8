//! A check by HTTP/1.1: one request, whose status decides once the answer is whole.

use super::Outcome;
use crate::health::active::CheckResult;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use sidering_dataplane::config::HttpProbe;
use std::pin::pin;
use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes of an answer's head.
const HEAD_BYTES: usize = 32 * 1024;
/// Bytes of an answer's body, which are thrown away: longer answers are cut off, and count as whole.
const BODY_BYTES: usize = 1 << 20;

/// An error is one of the connection, or of the endpoint's HTTP.
pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    probe: &HttpProbe,
    cluster: &str,
) -> Result<Outcome, hyper::Error> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES);
    let (mut sender, conn) = builder.handshake(TokioIo::new(stream)).await?;
    let request = match request(probe, cluster) {
        Ok(request) => request,
        // Only a cluster's name that can be no host.
        Err(error) => return Ok(Outcome::network(format!("no request: {error}; give `host`"))),
    };
    let exchange = async move {
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        let mut body = answer.into_body();
        let mut received = 0;
        while received <= BODY_BYTES
            && let Some(frame) = body.frame().await
        {
            received += frame?.data_ref().map_or(0, Bytes::len);
        }
        Ok::<_, hyper::Error>(status)
    };
    Ok(judge(probe, drive(conn, exchange).await?))
}

fn request(probe: &HttpProbe, cluster: &str) -> hyper::http::Result<Request<Empty<Bytes>>> {
    Request::builder()
        .method(probe.method.as_str())
        .uri(probe.path.as_str())
        .header(HOST, probe.host.as_deref().unwrap_or(cluster))
        .header(USER_AGENT, "Sidering/HC")
        .header(CONNECTION, "close")
        .body(Empty::new())
}

/// Runs the connection for as long as its one exchange takes.
async fn drive<T>(
    conn: impl Future<Output = Result<(), hyper::Error>>,
    exchange: impl Future<Output = Result<T, hyper::Error>>,
) -> Result<T, hyper::Error> {
    let (mut conn, mut exchange) = (pin!(conn), pin!(exchange));
    let mut is_over = false;
    std::future::poll_fn(|context| {
        if !is_over {
            // What went wrong with it, the exchange hears, too.
            is_over = conn.as_mut().poll(context).is_ready();
        }
        exchange.as_mut().poll(context)
    })
    .await
}

fn judge(probe: &HttpProbe, status: u16) -> Outcome {
    let is_among = |ranges: &[(u16, u16)]| ranges.iter().any(|(from, to)| (*from..=*to).contains(&status));
    let result = if is_among(&probe.expected) {
        CheckResult::Success
    } else if is_among(&probe.retriable) {
        CheckResult::Retriable
    } else {
        CheckResult::Unexpected
    };
    Outcome { result, reason: format!("status {status}").into() }
}
