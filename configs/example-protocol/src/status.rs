//! Statuses of the protocol, and HTTP's that stand for them inside of the proxy: what routes retry on, outlier detection counts and
//! metrics tell.

/// The call was carried out.
pub const OK: u8 = 0;
/// The server has no such service or method.
pub const NOT_FOUND: u8 = 1;
/// It took too long.
pub const TIMEOUT: u8 = 2;
/// There is nobody to take it now.
pub const UNAVAILABLE: u8 = 3;
/// The caller sends too much.
pub const OVERLOADED: u8 = 4;
/// The frame could not be read, or means nothing.
pub const BAD_REQUEST: u8 = 5;
/// The caller may not.
pub const DENIED: u8 = 6;
/// The service failed.
pub const FAILED: u8 = 7;

/// What a status of the protocol is in HTTP's vocabulary.
#[must_use]
pub fn to_http(status: u8) -> u16 {
    match status {
        OK => 200,
        NOT_FOUND => 404,
        TIMEOUT => 504,
        UNAVAILABLE => 503,
        OVERLOADED => 429,
        BAD_REQUEST => 400,
        DENIED => 403,
        _ => 500,
    }
}

/// How the proxy's own errors are said.
#[must_use]
pub fn from_http(status: u16) -> u8 {
    match status {
        200..=299 => OK,
        404 => NOT_FOUND,
        408 | 504 => TIMEOUT,
        502 | 503 => UNAVAILABLE,
        429 => OVERLOADED,
        401 | 403 => DENIED,
        400..=499 => BAD_REQUEST,
        _ => FAILED,
    }
}
