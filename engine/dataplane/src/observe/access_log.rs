//! Access-log records: what a core tells of one request, as bytes it hands over without formatting them. Writing them
//! out as text or JSON is the log thread's work.

/// Takes whole records off a core's hands. Must neither block nor allocate without bound.
pub trait RecordSink {
    /// Takes one encoded record; `false` if there is no room, in which case the record is dropped and counted.
    fn try_write(&mut self, record: &[u8]) -> bool;
}

/// Response flags, as Envoy's access log names them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ResponseFlags(pub u32);

impl ResponseFlags {
    pub const NONE: Self = Self(0);
    pub const NO_HEALTHY_UPSTREAM: Self = Self(1);
    pub const UPSTREAM_CONNECTION_FAILURE: Self = Self(1 << 1);
    pub const UPSTREAM_OVERFLOW: Self = Self(1 << 2);
    pub const NO_ROUTE: Self = Self(1 << 3);
    pub const UPSTREAM_REQUEST_TIMEOUT: Self = Self(1 << 4);
    pub const UPSTREAM_REMOTE_RESET: Self = Self(1 << 5);
    pub const UPSTREAM_CONNECTION_TERMINATION: Self = Self(1 << 6);
    pub const DOWNSTREAM_CONNECTION_TERMINATION: Self = Self(1 << 7);
    pub const DOWNSTREAM_PROTOCOL_ERROR: Self = Self(1 << 8);
    pub const UPSTREAM_PROTOCOL_ERROR: Self = Self(1 << 9);
    pub const STREAM_IDLE_TIMEOUT: Self = Self(1 << 10);
    pub const LOCAL_RESET: Self = Self(1 << 11);
    pub const OVERLOAD: Self = Self(1 << 12);
    pub const UPSTREAM_RETRY_LIMIT_EXCEEDED: Self = Self(1 << 13);
    pub const DELAY_INJECTED: Self = Self(1 << 14);
    pub const FAULT_INJECTED: Self = Self(1 << 15);
    pub const RATE_LIMITED: Self = Self(1 << 16);
    pub const NO_CLUSTER_FOUND: Self = Self(1 << 17);

    const NAMES: [&'static str; 18] = [
        "UH", "UF", "UO", "NR", "UT", "UR", "UC", "DC", "DPE", "UPE", "SI", "LR", "OM", "URX", "DI", "FI",
        "RL", "NC",
    ];

    /// Both sets together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the two sets have anything in common.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The short names of the flags set, in a fixed order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().enumerate().filter(move |(bit, _)| self.0 & (1 << bit) != 0).map(|(_, name)| *name)
    }
}

/// One finished request (or TCP connection: empty method, path and protocol, status 0).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AccessRecord<'a> {
    /// When the request's first byte arrived, on the process's monotonic clock.
    pub start_micros: u64,
    pub duration_micros: u64,
    /// From the request's head sent upstream to the response's head; `u64::MAX` if there was none.
    pub upstream_micros: u64,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    pub status: u16,
    pub flags: ResponseFlags,
    /// Index of the listener, the virtual host's route line, the cluster (`u32::MAX`: none) in snapshot `version`.
    pub snapshot_version: u64,
    pub listener: u32,
    pub route_line: u32,
    pub cluster: u32,
    pub method: &'a [u8],
    pub path: &'a [u8],
    pub protocol: &'a [u8],
    pub authority: &'a [u8],
    /// Of a call.
    pub service: &'a [u8],
    pub version: &'a [u8],
    pub group: &'a [u8],
    /// The status of its answer in its protocol's terms, and how long its caller waits, if it says so.
    pub rpc_status: Option<i32>,
    pub rpc_timeout_ms: Option<u32>,
    /// `ip:port` as text, or empty.
    pub downstream_peer: &'a [u8],
    /// The endpoint that the request went to last, as text, or empty. No index: endpoints come and go with no snapshot.
    pub upstream_host: &'a [u8],
    /// What went wrong, in words (`%RESPONSE_CODE_DETAILS%`), or `via_upstream`, `direct_response`.
    pub details: &'a [u8],
    /// The values of `AccessLogFields::request_fields` and then `response_fields`, each as u32 length and bytes;
    /// length `u32::MAX` for a field that was not there.
    pub captured: &'a [u8],
}

impl<'a> AccessRecord<'a> {
    /// Appends the record: a u32 length of what follows, the numbers, then the strings, little endian.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        for number in [
            self.start_micros,
            self.duration_micros,
            self.upstream_micros,
            self.received_bytes,
            self.sent_bytes,
            self.snapshot_version,
            self.rpc_status.map_or(u64::MAX, |status| u64::from(status.cast_unsigned())),
            self.rpc_timeout_ms.map_or(u64::MAX, u64::from),
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let status = u32::from(self.status);
        for number in [status, self.flags.0, self.listener, self.route_line, self.cluster] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for text in self.texts() {
            out.extend_from_slice(&(text.len() as u32).to_le_bytes());
            out.extend_from_slice(text);
        }
        let length = (out.len() - start - 4) as u32;
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }

    /// Reads the first record of `bytes` and tells what is left; `None` if it is not there whole.
    pub fn decode(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (length, rest) = take_u32(bytes)?;
        let (mut body, rest) = rest.split_at_checked(length as usize)?;
        let mut wide = || {
            let (number, left) = body.split_first_chunk::<8>()?;
            body = left;
            Some(u64::from_le_bytes(*number))
        };
        let numbers = [wide()?, wide()?, wide()?, wide()?, wide()?, wide()?, wide()?, wide()?];
        let mut narrow = || {
            let (number, left) = take_u32(body)?;
            body = left;
            Some(number)
        };
        let small = [narrow()?, narrow()?, narrow()?, narrow()?, narrow()?];
        let mut text = || {
            let (length, left) = take_u32(body)?;
            let (text, left) = left.split_at_checked(length as usize)?;
            body = left;
            Some(text)
        };
        let record = AccessRecord {
            start_micros: numbers[0],
            duration_micros: numbers[1],
            upstream_micros: numbers[2],
            received_bytes: numbers[3],
            sent_bytes: numbers[4],
            snapshot_version: numbers[5],
            rpc_status: u32::try_from(numbers[6]).ok().map(u32::cast_signed),
            rpc_timeout_ms: u32::try_from(numbers[7]).ok(),
            status: small[0] as u16,
            flags: ResponseFlags(small[1]),
            listener: small[2],
            route_line: small[3],
            cluster: small[4],
            method: text()?,
            path: text()?,
            protocol: text()?,
            authority: text()?,
            service: text()?,
            version: text()?,
            group: text()?,
            downstream_peer: text()?,
            upstream_host: text()?,
            details: text()?,
            captured: text()?,
        };
        Some((record, rest))
    }

    /// The values in `captured`, in order.
    pub fn captured_values(&self) -> impl Iterator<Item = Option<&'a [u8]>> {
        let mut rest = self.captured;
        std::iter::from_fn(move || {
            let (value, left) = take_captured(rest)?;
            rest = left;
            Some(value)
        })
    }

    fn texts(&self) -> [&'a [u8]; 11] {
        [
            self.method,
            self.path,
            self.protocol,
            self.authority,
            self.service,
            self.version,
            self.group,
            self.downstream_peer,
            self.upstream_host,
            self.details,
            self.captured,
        ]
    }
}

/// Appends one value to what will be [`AccessRecord::captured`].
pub fn capture(value: Option<&[u8]>, out: &mut Vec<u8>) {
    match value {
        None => out.extend_from_slice(&u32::MAX.to_le_bytes()),
        Some(value) => {
            out.extend_from_slice(&(value.len() as u32).to_le_bytes());
            out.extend_from_slice(value);
        }
    }
}

/// The first value of what [`capture`] wrote, and what follows it.
pub fn take_captured(captured: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (length, rest) = take_u32(captured)?;
    if length == u32::MAX {
        return Some((None, rest));
    }
    let (value, rest) = rest.split_at_checked(length as usize)?;
    Some((Some(value), rest))
}

fn take_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_written() {
        let mut captured = vec![];
        capture(Some(b"curl"), &mut captured);
        capture(None, &mut captured);
        let flags =
            ResponseFlags::UPSTREAM_CONNECTION_FAILURE.with(ResponseFlags::UPSTREAM_RETRY_LIMIT_EXCEEDED);
        let record = AccessRecord {
            status: 503,
            flags,
            path: b"/a",
            service: b"com.a.Facade",
            rpc_status: Some(-1),
            rpc_timeout_ms: Some(u32::MAX),
            captured: &captured,
            ..Default::default()
        };
        let mut bytes = vec![];
        record.encode(&mut bytes);
        record.encode(&mut bytes);
        let (read, rest) = AccessRecord::decode(&bytes).unwrap();
        assert_eq!(read, record);
        assert_eq!(AccessRecord::decode(rest).unwrap().0, record);
        assert_eq!(read.captured_values().collect::<Vec<_>>(), [Some(&b"curl"[..]), None]);
        assert_eq!(flags.names().collect::<Vec<_>>(), ["UF", "URX"]);
        for cut in 0..rest.len() {
            assert!(AccessRecord::decode(&rest[..cut]).is_none());
        }
    }
}
