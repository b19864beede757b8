//! When a request that failed is sent again: Envoy's retry policy (envoy.config.route.v3.RetryPolicy). Plain data.

/// What makes an attempt worth another one, a set. The names are Envoy's `retry_on` and `x-envoy-retry-grpc-on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetryOn(pub u32);

impl RetryOn {
    /// Any 5xx answer, or none at all.
    pub const SERVER_ERROR: Self = Self(1);
    /// 502, 503, 504, or no answer at all.
    pub const GATEWAY_ERROR: Self = Self(1 << 1);
    /// The connection ended without an answer, or none came in time.
    pub const RESET: Self = Self(1 << 2);
    /// As [`RESET`](Self::RESET), while nothing of the request was sent.
    pub const RESET_BEFORE_REQUEST: Self = Self(1 << 3);
    /// No connection could be established.
    pub const CONNECT_FAILURE: Self = Self(1 << 4);
    /// The upstream refused the stream unseen (HTTP/2's REFUSED_STREAM; HTTP/1 has no such thing).
    pub const REFUSED_STREAM: Self = Self(1 << 5);
    /// 409.
    pub const RETRIABLE_4XX: Self = Self(1 << 6);
    /// One of [`RetryPolicy::status_codes`].
    pub const RETRIABLE_STATUS_CODES: Self = Self(1 << 7);
    /// One of [`RetryPolicy::headers`] is in the answer.
    pub const RETRIABLE_HEADERS: Self = Self(1 << 8);
    /// `x-envoy-ratelimited` is in the answer, which otherwise forbids a retry.
    pub const ENVOY_RATELIMITED: Self = Self(1 << 9);
    pub const GRPC_CANCELLED: Self = Self(1 << 10);
    pub const GRPC_DEADLINE_EXCEEDED: Self = Self(1 << 11);
    pub const GRPC_INTERNAL: Self = Self(1 << 12);
    pub const GRPC_RESOURCE_EXHAUSTED: Self = Self(1 << 13);
    pub const GRPC_UNAVAILABLE: Self = Self(1 << 14);

    /// What only HTTP has, calls of gRPC among it.
    pub const OF_HTTP: Self = Self(
        Self::REFUSED_STREAM.0
            | Self::ENVOY_RATELIMITED.0
            | Self::GRPC_CANCELLED.0
            | Self::GRPC_DEADLINE_EXCEEDED.0
            | Self::GRPC_INTERNAL.0
            | Self::GRPC_RESOURCE_EXHAUSTED.0
            | Self::GRPC_UNAVAILABLE.0,
    );

    /// Every condition by its name.
    pub const NAMES: [(&'static str, Self); 15] = [
        ("5xx", Self::SERVER_ERROR),
        ("gateway-error", Self::GATEWAY_ERROR),
        ("reset", Self::RESET),
        ("reset-before-request", Self::RESET_BEFORE_REQUEST),
        ("connect-failure", Self::CONNECT_FAILURE),
        ("refused-stream", Self::REFUSED_STREAM),
        ("retriable-4xx", Self::RETRIABLE_4XX),
        ("retriable-status-codes", Self::RETRIABLE_STATUS_CODES),
        ("retriable-headers", Self::RETRIABLE_HEADERS),
        ("envoy-ratelimited", Self::ENVOY_RATELIMITED),
        ("cancelled", Self::GRPC_CANCELLED),
        ("deadline-exceeded", Self::GRPC_DEADLINE_EXCEEDED),
        ("internal", Self::GRPC_INTERNAL),
        ("resource-exhausted", Self::GRPC_RESOURCE_EXHAUSTED),
        ("unavailable", Self::GRPC_UNAVAILABLE),
    ];

    /// The condition of this name.
    pub fn named(name: &[u8]) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, condition)| *condition)
    }

    /// The names of what is in the set, in a fixed order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(_, condition)| self.has(*condition)).map(|(name, _)| name)
    }

    /// Both sets together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the two sets have anything in common.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether nothing is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// How a route's requests are sent again.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    pub on: RetryOn,
    /// Retries at most, besides the first attempt (Envoy's `num_retries`).
    pub attempts: u32,
    /// From the attempt's connection, or the request's end if that is later, to the head of its answer; 0 is off.
    pub per_try_timeout_ms: u64,
    /// An attempt that is not answered within that time goes on beside the next one, and the first answer is taken
    /// (Envoy's `hedge_on_per_try_timeout`).
    pub hedge_on_per_try_timeout: bool,
    pub back_off: BackOff,
    /// For [`RetryOn::RETRIABLE_STATUS_CODES`].
    pub status_codes: Vec<u16>,
    /// For [`RetryOn::RETRIABLE_HEADERS`]: lower-case names of fields that must only be there.
    pub headers: Vec<String>,
}

/// How long a retry waits: at random below (2^n - 1) times `base_ms` for the n-th, at most `max_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackOff {
    /// Never 0.
    pub base_ms: u64,
    /// At least `base_ms`.
    pub max_ms: u64,
}

impl Default for BackOff {
    fn default() -> Self {
        BackOff { base_ms: 25, max_ms: 250 }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            on: RetryOn::default(),
            attempts: 1,
            per_try_timeout_ms: 0,
            hedge_on_per_try_timeout: false,
            back_off: BackOff::default(),
            status_codes: vec![],
            headers: vec![],
        }
    }
}
