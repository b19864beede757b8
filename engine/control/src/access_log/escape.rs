//! Writes what strangers sent so that it can't be taken for more than it is. It allocates nothing but its output.

/// Text between quotes in a line: quotes, backslashes and all but printable ASCII become `\xNN`, so that a value can
/// neither end its field nor its line, nor talk to a terminal.
pub(super) fn text(value: &[u8], out: &mut Vec<u8>) {
    for byte in value {
        match byte {
            b'"' | b'\\' | 0..=0x1f | 0x7f..=0xff => {
                out.extend_from_slice(b"\\x");
                out.extend_from_slice(&hex(*byte));
            }
            _ => out.push(*byte),
        }
    }
}

/// A JSON string, quotes included. Bytes that aren't UTF-8 become U+FFFD.
pub(crate) fn json(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for piece in value.utf8_chunks() {
        for character in piece.valid().chars() {
            match character {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                // Controls of both sets, and what JavaScript and terminals take for the end of a line.
                '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
                    let code = character as u32;
                    out.extend_from_slice(b"\\u");
                    out.extend_from_slice(&hex((code >> 8) as u8));
                    out.extend_from_slice(&hex(code as u8));
                }
                _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !piece.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
}

fn hex(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_in_its_field_and_line() {
        let mut out = vec![];
        text(b"a\"b\\\n\r\x1b[0m\xff d", &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "a\\x22b\\x5c\\x0a\\x0d\\x1b[0m\\xff d");
    }

    #[test]
    fn json_is_json_whatever_comes() {
        for value in [&b"a\"b\\\n\x00\x7f"[..], "é\u{85}\u{2028}\u{1f980}".as_bytes(), b"\xff\xc3", b""] {
            let mut out = vec![];
            json(value, &mut out);
            assert!(!out.iter().any(u8::is_ascii_control), "{out:?}");
            let read: String = serde_json::from_slice(&out).unwrap();
            assert_eq!(read, String::from_utf8_lossy(value));
        }
    }
}
