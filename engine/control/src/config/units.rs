//! The written forms of durations, sizes, addresses and domains. Pure functions of one text; where the text stands is
//! known elsewhere.

use sidering_dataplane::io::Address;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// What a duration looks like, for messages.
pub(super) const DURATION: &str = "a duration such as 250ms, 1s, 5m, 1h";
/// What a size looks like.
pub(super) const SIZE: &str = "a size such as 16KiB, 1MiB, or a number of bytes";
/// What an address looks like.
pub(super) const ADDRESS: &str = "ip:port, [v6]:port or unix:/path";

/// What a name with a port looks like.
pub(super) const HOST_PORT: &str = "host:port, ip:port or [v6]:port";

/// Bytes in a path of a unix socket, by the kernel's `sockaddr_un` less its final zero.
const UNIX_PATH_BYTES: usize = 107;

/// Milliseconds of `250ms`, `1s`, `5m`, `1h`; `0` needs no unit.
pub(super) fn duration_ms(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text)?;
    let factor = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "" if number == 0 => 1,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// Bytes of `16KiB`, `1MiB`, `123`.
pub(super) fn size_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text)?;
    let factor = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// A duration in the largest unit that tells it whole.
pub(crate) fn show_ms(ms: u64) -> String {
    match ms {
        0 => "0s".to_owned(),
        ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

/// A size in the largest unit that tells it whole.
pub(crate) fn show_bytes(bytes: u64) -> String {
    match bytes {
        0 => "0".to_owned(),
        bytes if bytes % (1 << 20) == 0 => format!("{}MiB", bytes >> 20),
        bytes if bytes % (1 << 10) == 0 => format!("{}KiB", bytes >> 10),
        bytes => bytes.to_string(),
    }
}

/// An address as the configuration writes it.
pub(crate) fn show_address(address: &Address) -> String {
    address.to_string()
}

/// Reads an address; an error says what was expected.
pub fn address(text: &str) -> Result<Address, &'static str> {
    if let Some(path) = text.strip_prefix("unix:") {
        return match path.len() {
            0 => Err("unix: and a path"),
            1..=UNIX_PATH_BYTES if path.contains('\0') => Err("a path without a zero byte"),
            1..=UNIX_PATH_BYTES => Ok(Address::Unix(Arc::new(PathBuf::from(path)))),
            _ => Err("a path of at most 107 bytes, which is all the kernel takes"),
        };
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(Address::Ip(address));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(ADDRESS);
    };
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a port number from 0 to 65535 after the last colon");
    }
    if port.parse::<u16>().is_err() {
        return Err("a port from 0 to 65535");
    }
    if host.contains(':') {
        return Err("an IPv6 address in brackets: [v6]:port");
    }
    if host.chars().any(|character| character.is_ascii_alphabetic()) {
        return Err("an IP address, not a host name, such as 127.0.0.1:10000");
    }
    Err(ADDRESS)
}

/// Reads a host name with a port (RFC 1123, and underscores, which many names have); an error says what was expected.
pub(super) fn host_port(text: &str) -> Result<(String, u16), &'static str> {
    if text.starts_with("unix:") {
        return Err("a host name: a unix socket has no name to resolve");
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok((address.ip().to_string(), address.port()));
    }
    let Some((host, port)) = text.rsplit_once(':') else { return Err(HOST_PORT) };
    let Ok(port) = port.parse::<u16>() else {
        return Err("a port number from 1 to 65535 after the last colon");
    };
    if host.contains(':') {
        return Err("an IPv6 address in brackets: [v6]:port");
    }
    let whole = host.strip_suffix('.').unwrap_or(host);
    if whole.is_empty() || whole.len() > 253 {
        return Err("a host name of 1 to 253 bytes");
    }
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(is_legal) && !label.starts_with('-')
    };
    if !whole.split('.').all(is_label) {
        return Err("a host name of letters, digits, - and _, in parts of 1 to 63 bytes between dots");
    }
    if whole.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err("a host name, or an IPv4 address of four numbers up to 255");
    }
    Ok((host.to_owned(), port))
}

/// Reads a domain pattern of a virtual host, in lower case; an error says what was expected.
pub(super) fn domain(text: &str) -> Result<String, &'static str> {
    let stars = text.matches('*').count();
    let placed = text == "*" || text.starts_with("*.") || text.ends_with(".*");
    if text.is_empty() {
        Err("a domain, or \"*\" for all")
    } else if stars > 1 || (stars == 1 && !placed) || text == "*." || text == ".*" {
        Err("a domain, *.suffix, prefix.* or \"*\"")
    } else if text.contains(|character: char| character.is_whitespace() || character.is_control()) {
        Err("a domain without spaces")
    } else if text.contains(['/', '?', '#', '@']) {
        Err("a domain only: no scheme, no path")
    } else {
        Ok(text.to_ascii_lowercase())
    }
}

/// Whether it may stand as a name in a head (RFC 9110 section 5.6.2).
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes() {
        let read = ["250ms", "1s", "5m", "1h", "0", "0s"].map(duration_ms);
        assert_eq!(read, [Some(250), Some(1000), Some(300_000), Some(3_600_000), Some(0), Some(0)]);
        for bad in ["", "5", "s", "1.5s", "-1s", "1 s", "1S", "99999999999999999999s", "9999999999999999999h"]
        {
            assert_eq!(duration_ms(bad), None, "{bad}");
        }
        assert_eq!(
            ["123", "16KiB", "1MiB", "1GiB"].map(size_bytes),
            [Some(123), Some(16384), Some(1 << 20), Some(1 << 30)]
        );
        for bad in ["", "1KB", "1k", "KiB", "-1", "1.5MiB", "99999999999999999GiB"] {
            assert_eq!(size_bytes(bad), None, "{bad}");
        }
        assert_eq!(
            [0, 250, 1000, 90_000, 300_000, 3_600_000].map(show_ms),
            ["0s", "250ms", "1s", "90s", "5m", "1h"]
        );
        assert_eq!([0, 100, 65536, 1 << 20].map(show_bytes), ["0", "100", "64KiB", "1MiB"]);
    }

    #[test]
    fn addresses() {
        for good in ["127.0.0.1:80", "[::1]:0", "unix:/run/a.sock"] {
            assert_eq!(show_address(&address(good).unwrap()), good);
        }
        for (bad, word) in [
            ("localhost:80", "not a host name"),
            ("::1:80", "brackets"),
            ("127.0.0.1", "ip:port"),
            ("127.0.0.1:65536", "65535"),
            ("127.0.0.1:http", "port number"),
            ("unix:", "path"),
            ("", "ip:port"),
        ] {
            assert!(address(bad).unwrap_err().contains(word), "{bad}");
        }
        assert!(address(&format!("unix:/{}", "a".repeat(106))).is_ok());
        assert!(address(&format!("unix:/{}", "a".repeat(107))).is_err());
    }

    #[test]
    fn hosts_with_ports() {
        for (good, host, port) in [
            ("api.internal:8080", "api.internal", 8080),
            ("api:1", "api", 1),
            ("_grpc.api-1.svc.:65535", "_grpc.api-1.svc.", 65535),
            ("127.0.0.1:80", "127.0.0.1", 80),
            ("[::1]:80", "::1", 80),
        ] {
            assert_eq!(host_port(good), Ok((host.to_owned(), port)));
        }
        for (bad, word) in [
            ("unix:/run/a", "unix"),
            ("api", "host:port"),
            ("api:", "port number"),
            ("api:65536", "port number"),
            ("::1:80", "brackets"),
            (":80", "1 to 253"),
            (".:80", "1 to 253"),
            ("a..b:80", "parts"),
            ("-a:80", "parts"),
            ("a b:80", "parts"),
            ("é:80", "parts"),
            ("256.0.0.1:80", "255"),
        ] {
            assert!(host_port(bad).unwrap_err().contains(word), "{bad}");
        }
        let labels =
            |bytes: usize| format!("{}:1", format!("{}.", "a".repeat(63)).repeat(4)[..bytes].to_owned());
        assert_eq!([252, 253, 254].map(|bytes| host_port(&labels(bytes)).is_ok()), [true, true, false]);
        assert!(host_port(&format!("{}:1", "a".repeat(63))).is_ok());
        assert!(host_port(&format!("{}:1", "a".repeat(64))).is_err());
    }

    #[test]
    fn domains() {
        for good in ["*", "*.example.com", "api.*", "api.example.com", "localhost:8080"] {
            assert_eq!(domain(good).unwrap(), good);
        }
        assert_eq!(domain("API.Example.com").unwrap(), "api.example.com");
        for bad in ["", "**", "*a.com", "a*b", "*.a.*", "http://a", "a b", "*.", ".*"] {
            assert!(domain(bad).is_err(), "{bad}");
        }
    }
}
