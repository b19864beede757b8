//! The checksum behind a frame's payload: CRC-32 as java.util.zip.CRC32 counts it, big endian, over everything in front of it.

use crc32fast::Hasher;

/// Bytes of a checksum.
pub(super) const CHECKSUM_BYTES: usize = 4;

/// A checksum being counted, and what came of the one that the sender wrote.
#[derive(Debug)]
pub(super) struct Checksum {
    hasher: Hasher,
    received: [u8; CHECKSUM_BYTES],
    received_bytes: usize,
}

impl Checksum {
    /// Of a frame that begins with `head`.
    pub(super) fn of(head: &[u8]) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(head);
        Checksum { hasher, received: [0; CHECKSUM_BYTES], received_bytes: 0 }
    }

    pub(super) fn update(&mut self, payload: &[u8]) {
        self.hasher.update(payload);
    }

    /// What has to be written.
    pub(super) fn to_bytes(&self) -> [u8; CHECKSUM_BYTES] {
        self.hasher.clone().finalize().to_be_bytes()
    }

    /// Takes more of what the sender wrote.
    pub(super) fn receive(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if let Some(place) = self.received.get_mut(self.received_bytes) {
                *place = byte;
                self.received_bytes += 1;
            }
        }
    }

    /// Whether the sender counted the same.
    pub(super) fn matches(&self) -> bool {
        self.received == self.to_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::Checksum;

    #[test]
    fn it_is_javas() {
        // The check value of CRC-32/ISO-HDLC, which java.util.zip.CRC32 is.
        let mut checksum = Checksum::of(b"1234");
        checksum.update(b"56789");
        assert_eq!(checksum.to_bytes(), [0xcb, 0xf4, 0x39, 0x26]);
        checksum.receive(&[0xcb, 0xf4, 0x39]);
        assert!(!checksum.matches());
        checksum.receive(&[0x26, 0xff]);
        assert!(checksum.matches());
    }
}
