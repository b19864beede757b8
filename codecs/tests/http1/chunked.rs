//! Chunked decoding against a reference that is too simple to be wrong.

use proptest::prelude::*;

use super::support::{Seen, in_pieces, payload, refusal, served, server};

const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/// The payload of a chunked body that ends with the bytes, or what is wrong: by splitting whole lines off the front.
fn reference(mut rest: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut all = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").ok_or("no line")?;
        let line = &rest[..end];
        let (size, extension) = match line.iter().position(|&byte| byte == b';') {
            Some(at) => line.split_at(at),
            None => (line, &b""[..]),
        };
        if size.is_empty() || size.len() > 16 || !size.iter().all(u8::is_ascii_hexdigit) {
            return Err("size");
        }
        if extension.len() > 256 || extension.iter().any(|&byte| byte < b' ' && byte != b'\t' || byte == 0x7f)
        {
            return Err("extension");
        }
        let size = std::str::from_utf8(size).map_err(|_| "size")?;
        let size = u64::from_str_radix(size, 16).map_err(|_| "size")?;
        rest = &rest[end + 2..];
        if size == 0 {
            return if rest == b"\r\n" { Ok(all) } else { Err("end") };
        }
        let size = usize::try_from(size).map_err(|_| "cut")?;
        let with_end = size.checked_add(2).ok_or("cut")?;
        if rest.len() < with_end || &rest[size..with_end] != b"\r\n" {
            return Err("data");
        }
        all.extend_from_slice(&rest[..size]);
        rest = &rest[with_end..];
    }
}

fn agrees(body: &[u8]) {
    let seen = served(&[HEAD, body].concat());
    let ended = seen.last() == Some(&Seen::End);
    match reference(body) {
        Ok(expected) => {
            assert!(ended, "refused though valid: {seen:?}");
            assert_eq!(payload(&seen), expected);
        }
        Err(_) if ended => {
            // Behind the end the codec looks at nothing, and trailers are beyond the reference: only a body that
            // the reference takes once its tail is cut off may have ended.
            let has_end = (0..body.len()).any(|end| reference(&body[..end]).is_ok());
            let has_end = has_end || seen.iter().any(is_trailers);
            assert!(has_end, "ended though invalid: {seen:?}");
        }
        Err(_) => {}
    }
}

fn is_trailers(seen: &Seen) -> bool {
    matches!(seen, Seen::Trailers(_))
}

fn chunk() -> impl Strategy<Value = Vec<u8>> {
    (prop::collection::vec(any::<u8>(), 1..40), 0usize..4, prop::option::of("[ -~]{0,20}"), any::<bool>())
        .prop_map(|(data, zeros, extension, upper)| {
            let size = if upper { format!("{:X}", data.len()) } else { format!("{:x}", data.len()) };
            let extension = extension.map_or(String::new(), |text| format!(";{text}"));
            let line = format!("{}{size}{extension}\r\n", "0".repeat(zeros));
            [line.as_bytes(), &data, b"\r\n"].concat()
        })
}

proptest! {
    #[test]
    fn valid_bodies(chunks in prop::collection::vec(chunk(), 0..8)) {
        let body = [chunks.concat().as_slice(), b"0\r\n\r\n"].concat();
        prop_assert!(reference(&body).is_ok());
        agrees(&body);
    }

    #[test]
    fn bodies_with_one_byte_changed(
        chunks in prop::collection::vec(chunk(), 1..4),
        at in any::<prop::sample::Index>(),
        byte in prop::sample::select(b"\r\n;0aF x\0\x7f\xff".to_vec()),
    ) {
        let mut body = [chunks.concat().as_slice(), b"0\r\n\r\n"].concat();
        let at = at.index(body.len());
        body[at] = byte;
        agrees(&body);
    }

    #[test]
    fn bodies_of_likely_bytes(body in prop::collection::vec(prop::sample::select(b"\r\n\r\n;01aF x".to_vec()), 0..40)) {
        agrees(&body);
    }

    #[test]
    fn bodies_in_pieces(chunks in prop::collection::vec(chunk(), 0..4), size in 1usize..9) {
        let bytes = [HEAD, chunks.concat().as_slice(), b"0\r\n\r\n"].concat();
        prop_assert_eq!(in_pieces(&mut *server(), bytes.chunks(size)), served(&bytes));
    }
}

#[test]
fn what_follows_a_body_is_not_looked_at() {
    for body in ["0\r\n\r\nx", "0;\r\n\r\nx", "00;a\r\n\r\n\r"] {
        agrees(body.as_bytes());
    }
}

#[test]
fn the_reference_refuses_what_it_should() {
    for wrong in ["", "0", "0\r\n", "5\r\nabc\r\n", "0\r\n\r\nx", "x\r\n\r\n", "\r\n"] {
        assert!(reference(wrong.as_bytes()).is_err(), "{wrong:?}");
    }
    assert_eq!(refusal(&served(&[HEAD, b"x\r\n"].concat())), Some(400));
}
