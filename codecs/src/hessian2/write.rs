//! Hessian2 values written one after the other, in the shortest of their encodings.

/// Characters of one chunk of a long string.
const CHUNK_CHARACTERS: usize = 0x7fff;
/// Bytes of one chunk of long bytes.
const CHUNK_BYTES: usize = 0x7fff;

/// Writes null.
pub fn write_null(out: &mut Vec<u8>) {
    out.push(b'N');
}

/// Writes a boolean.
pub fn write_bool(value: bool, out: &mut Vec<u8>) {
    out.push(if value { b'T' } else { b'F' });
}

/// Writes an int.
pub fn write_int(value: i32, out: &mut Vec<u8>) {
    let bytes = value.to_be_bytes();
    match value {
        -16..=47 => out.push((value + 0x90) as u8),
        -2048..=2047 => out.extend_from_slice(&[((value >> 8) + 0xc8) as u8, bytes[3]]),
        -0x4_0000..=0x3_ffff => out.extend_from_slice(&[((value >> 16) + 0xd4) as u8, bytes[2], bytes[3]]),
        _ => {
            out.push(b'I');
            out.extend_from_slice(&bytes);
        }
    }
}

/// Writes a long.
pub fn write_long(value: i64, out: &mut Vec<u8>) {
    let bytes = value.to_be_bytes();
    match value {
        -8..=15 => out.push((value + 0xe0) as u8),
        -2048..=2047 => out.extend_from_slice(&[((value >> 8) + 0xf8) as u8, bytes[7]]),
        -0x4_0000..=0x3_ffff => out.extend_from_slice(&[((value >> 16) + 0x3c) as u8, bytes[6], bytes[7]]),
        _ if i32::try_from(value).is_ok() => {
            out.push(0x59);
            out.extend_from_slice(&bytes[4..]);
        }
        _ => {
            out.push(b'L');
            out.extend_from_slice(&bytes);
        }
    }
}

/// Writes a double. The form in thousandths is not written: not every reader takes it for that.
pub fn write_double(value: f64, out: &mut Vec<u8>) {
    if value == 0.0 && value.is_sign_positive() {
        out.push(0x5b);
    } else if value == 1.0 {
        out.push(0x5c);
    } else {
        out.push(b'D');
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// Writes a string of any length. Characters beyond the basic plane are written as Java has them, in two halves.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    let mut units = text.encode_utf16().count();
    let mut halves = text.encode_utf16();
    while units > CHUNK_CHARACTERS {
        out.push(b'R');
        put_length(CHUNK_CHARACTERS, out);
        put_units(halves.by_ref().take(CHUNK_CHARACTERS), out);
        units -= CHUNK_CHARACTERS;
    }
    match units {
        0..=31 => out.push(units as u8),
        32..=1023 => out.extend_from_slice(&[0x30 + (units >> 8) as u8, units as u8]),
        _ => {
            out.push(b'S');
            put_length(units, out);
        }
    }
    put_units(halves, out);
}

/// Writes bytes of any length.
pub fn write_bytes(mut bytes: &[u8], out: &mut Vec<u8>) {
    while let Some((chunk, rest)) = bytes.split_at_checked(CHUNK_BYTES).filter(|(_, rest)| !rest.is_empty()) {
        out.push(b'A');
        put_length(chunk.len(), out);
        out.extend_from_slice(chunk);
        bytes = rest;
    }
    match bytes.len() {
        length @ 0..=15 => out.push(0x20 + length as u8),
        length @ 16..=1023 => out.extend_from_slice(&[0x34 + (length >> 8) as u8, length as u8]),
        length => {
            out.push(b'B');
            put_length(length, out);
        }
    }
    out.extend_from_slice(bytes);
}

/// Begins a list of this class, or of none, of so many values.
pub fn begin_list(class: Option<&str>, count: usize, out: &mut Vec<u8>) {
    let few = count <= 7;
    match (class, few) {
        (Some(class), true) => {
            out.push(0x70 + count as u8);
            write_string(class, out);
        }
        (Some(class), false) => {
            out.push(b'V');
            write_string(class, out);
        }
        (None, true) => out.push(0x78 + count as u8),
        (None, false) => out.push(0x58),
    }
    if !few {
        write_int(count as i32, out);
    }
}

/// Begins a map without a class; [`end_map`] ends it.
pub fn begin_map(out: &mut Vec<u8>) {
    out.push(b'H');
}

/// Ends a map.
pub fn end_map(out: &mut Vec<u8>) {
    out.push(b'Z');
}

fn put_length(length: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(length as u16).to_be_bytes());
}

/// Each unit as a character of its own, also the halves of a pair.
pub(super) fn put_units(units: impl Iterator<Item = u16>, out: &mut Vec<u8>) {
    for unit in units {
        match unit {
            0..=0x7f => out.push(unit as u8),
            0x80..=0x7ff => out.extend_from_slice(&[0xc0 | (unit >> 6) as u8, 0x80 | (unit & 0x3f) as u8]),
            _ => out.extend_from_slice(&[
                0xe0 | (unit >> 12) as u8,
                0x80 | (unit >> 6 & 0x3f) as u8,
                0x80 | (unit & 0x3f) as u8,
            ]),
        }
    }
}
