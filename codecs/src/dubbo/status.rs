//! Dubbo's response status (org.apache.dubbo.remoting.exchange.Response) and HTTP's, which the data plane thinks in.

const OK: u8 = 20;
const CLIENT_TIMEOUT: u8 = 30;
const SERVER_TIMEOUT: u8 = 31;
const BAD_REQUEST: u8 = 40;
const SERVICE_NOT_FOUND: u8 = 60;
const SERVICE_ERROR: u8 = 70;
const SERVER_ERROR: u8 = 80;
const THREADPOOL_EXHAUSTED: u8 = 100;

/// What the data plane makes of an answer's status, for retries and outlier detection.
pub(super) fn to_http(status: u8) -> u16 {
    match status {
        OK => 200,
        CLIENT_TIMEOUT | SERVER_TIMEOUT => 504,
        BAD_REQUEST => 400,
        SERVICE_NOT_FOUND => 404,
        THREADPOOL_EXHAUSTED => 503,
        _ => 500,
    }
}

/// What an answer of the proxy's own says to a Dubbo client.
pub(super) fn from_http(status: u16) -> u8 {
    match status {
        200..=299 => OK,
        400 | 413 | 431 => BAD_REQUEST,
        404 => SERVICE_NOT_FOUND,
        408 | 504 => SERVER_TIMEOUT,
        401 | 403 | 502 => SERVER_ERROR,
        429 | 503 => THREADPOOL_EXHAUSTED,
        _ => SERVICE_ERROR,
    }
}
