//! Bolt's response status (SOFABolt's ResponseStatus) and HTTP's, which the data plane thinks in.

pub(super) const SUCCESS: u16 = 0;
const SERVER_EXCEPTION: u16 = 2;
const UNKNOWN: u16 = 3;
const THREADPOOL_BUSY: u16 = 4;
const ERROR_COMM: u16 = 5;
const NO_PROCESSOR: u16 = 6;
const TIMEOUT: u16 = 7;
const CODEC_EXCEPTION: u16 = 9;
const CONNECTION_CLOSED: u16 = 16;

/// What the data plane makes of an answer's status, for retries and outlier detection.
pub(super) fn to_http(status: u16) -> u16 {
    match status {
        SUCCESS => 200,
        THREADPOOL_BUSY => 503,
        TIMEOUT => 504,
        ERROR_COMM | CONNECTION_CLOSED => 502,
        _ => 500,
    }
}

/// What a client of HTTP is told: beyond what the data plane goes by, that there is no such service.
pub(super) fn to_bridged(status: u16) -> u16 {
    if status == NO_PROCESSOR { 404 } else { to_http(status) }
}

/// What an answer of the proxy's own says to a bolt client.
pub(super) fn from_http(status: u16) -> u16 {
    match status {
        200..=299 => SUCCESS,
        400 | 413 | 431 => CODEC_EXCEPTION,
        401 | 403 => SERVER_EXCEPTION,
        404 => NO_PROCESSOR,
        408 | 504 => TIMEOUT,
        429 | 503 => THREADPOOL_BUSY,
        502 => CONNECTION_CLOSED,
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::{from_http, to_http};

    #[test]
    fn what_the_proxy_says_reads_back_as_what_it_meant() {
        for status in [200, 502, 503, 504] {
            assert_eq!(to_http(from_http(status)), status);
        }
        assert_eq!([from_http(404), from_http(403), from_http(500), from_http(400)], [6, 2, 3, 9]);
        assert_eq!([to_http(1), to_http(2), to_http(6), to_http(5), to_http(999)], [500, 500, 500, 502, 500]);
    }
}
