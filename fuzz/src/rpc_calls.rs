//! Small frames of the protocols of framed calls, made here: calls, the answers to those that a new client codec sends, and
//! frames that are neither.

/// A call with this id.
pub(crate) fn call(protocol: &str, id: u8) -> Vec<u8> {
    frame(protocol, true, u32::from(id))
}

/// The answer to the call that a new client codec sent as the `slot`th, with the id that it gives.
pub(crate) fn answer(protocol: &str, slot: u8) -> Vec<u8> {
    let slot = u32::from(slot);
    frame(protocol, false, (slot + 1) << 12 | slot)
}

fn frame(protocol: &str, is_call: bool, id: u32) -> Vec<u8> {
    match protocol {
        "bolt" => bolt(is_call, id),
        "dubbo" => dubbo(is_call, id),
        "tars" => tars(is_call, id),
        "thrift" => measured(4, thrift(is_call, id)),
        _ => dubbo_thrift(is_call, id),
    }
}

fn bolt(is_call: bool, id: u32) -> Vec<u8> {
    let fields = b"\0\0\0\x07service\0\0\0\x03a:1\0\0\0\x15sofa_head_method_name\0\0\0\x01b";
    let mut frame = vec![1, u8::from(is_call), 0, if is_call { 1 } else { 2 }, 1];
    frame.extend_from_slice(&id.to_be_bytes());
    frame.extend_from_slice(if is_call { &[1, 0, 0, 9, 0] } else { &[1, 0, 0] });
    frame.extend_from_slice(&[0, 1, 0, fields.len() as u8, 0, 0, 0, 5, b'c']);
    frame.extend_from_slice(fields);
    frame.extend_from_slice(b"hello");
    frame
}

fn dubbo(is_call: bool, id: u32) -> Vec<u8> {
    let body: &[u8] =
        if is_call { b"\x052.0.2\x03a.B\x011\x01m\x00\x91H\x05group\x01gZ" } else { b"\x91\x05hello" };
    let mut frame = if is_call { vec![0xda, 0xbb, 0xc2, 0] } else { vec![0xda, 0xbb, 2, 20] };
    frame.extend_from_slice(&u64::from(id).to_be_bytes());
    frame.extend_from_slice(&(body.len() as u32).to_be_bytes());
    frame.extend_from_slice(body);
    frame
}

fn tars(is_call: bool, id: u32) -> Vec<u8> {
    let mut packet = vec![0x10, 1, 0x2c];
    packet.extend_from_slice(if is_call { &[0x3c, 0x42] } else { &[0x32] });
    packet.extend_from_slice(&id.to_be_bytes());
    packet.extend_from_slice(if is_call {
        b"\x56\x03A.B\x66\x01m\x7d\0\0\x02hi\x81\x0b\xb8\x98\0\x01\x06\x01k\x16\x01v\xa8\x0c"
    } else {
        b"\x4c\x5c\x6d\0\0\x02hi\x78\x0c\x86\0\x98\x0c"
    });
    let mut frame = measured(4, packet);
    frame[3] += 4;
    frame
}

fn thrift(is_call: bool, id: u32) -> Vec<u8> {
    let mut message = vec![0x80, 1, 0, if is_call { 1 } else { 2 }, 0, 0, 0, 3, b'a', b':', b'b'];
    message.extend_from_slice(&id.to_be_bytes());
    message.extend_from_slice(b"\x0b\0\x01\0\0\0\x02hi\0");
    message
}

fn dubbo_thrift(is_call: bool, id: u32) -> Vec<u8> {
    let mut envelope = vec![0xda, 0xbc, 0, 0, 0, 0, 0, 24, 1, 0, 0, 0, 3, b'a', b'.', b'B'];
    envelope.extend_from_slice(&u64::from(id).to_be_bytes());
    envelope.extend(thrift(is_call, 1));
    let mut frame = measured(4, envelope);
    let length: [u8; 4] = [frame[0], frame[1], frame[2], frame[3]];
    frame[6..10].copy_from_slice(&length);
    frame
}

/// Behind its length.
fn measured(bytes: usize, content: Vec<u8>) -> Vec<u8> {
    let length = u32::to_be_bytes(content.len() as u32);
    [&length[4 - bytes..], &content].concat()
}

/// Control bytes that choose the protocol and the side, and what is sent there.
pub(crate) fn odd() -> Vec<(u8, Vec<u8>)> {
    let mut all = Vec::new();
    let ping: &[u8] = b"\x01\x01\0\0\x01\0\0\0\x07\x01\xff\xff\xff\xff\0\0\0\0\0\0\0\0";
    all.push((0, [ping, &bolt(true, 1), ping].concat()));
    all.push((
        8,
        [ping, &bolt(false, 0x1000), b"\x01\x01\0\x64\x01\0\0\0\x07\x01\xff\xff\xff\xff\0\0\0\0\0\0\0\0"]
            .concat(),
    ));
    let mut one_way = bolt(true, 1);
    one_way[1] = 2;
    all.push((0, [one_way, bolt(true, 2)].concat()));
    // The second version with a checksum, which a fuzzer does not guess.
    let mut second = bolt(true, 3);
    second.splice(..1, [2, 2]);
    second.insert(11, 1);
    second.extend_from_slice(&crc32(&second).to_be_bytes());
    all.push((0, [second.clone(), second].concat()));
    all.push((1, b"\xda\xbb\xe2\0\0\0\0\0\0\0\0\x07\0\0\0\x01N".to_vec()));
    all.push((9, b"\xda\xbb\xa2\0\0\0\0\0\0\0\0\x07\0\0\0\x02\x01R".to_vec()));
    all
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}
