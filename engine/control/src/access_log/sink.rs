//! The core's end of the access log: a bounded queue of bytes with one writer and one reader.

use rtrb::{Consumer, Producer, RingBuffer};
use sidering_dataplane::observe::access_log::RecordSink;

/// Bytes of records that may wait for the log thread, for each core: some thousands of requests. Beyond it records are
/// dropped and counted; a core never waits. The memory is only touched once records are written.
pub const QUEUE_BYTES: usize = 1 << 20;

/// Where a core puts its records.
#[derive(Debug)]
pub struct CoreSink {
    producer: Producer<u8>,
}

/// A queue of this many bytes: its writing and its reading end.
pub(super) fn queue(bytes: usize) -> (CoreSink, Consumer<u8>) {
    let (producer, consumer) = RingBuffer::new(bytes);
    (CoreSink { producer }, consumer)
}

impl RecordSink for CoreSink {
    fn try_write(&mut self, record: &[u8]) -> bool {
        self.producer.push_entire_slice(record).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_goes_in_whole_or_not_at_all() {
        let (mut sink, mut consumer) = queue(10);
        assert!(sink.try_write(&[1; 9]));
        assert!(!sink.try_write(&[2; 2]));
        assert!(sink.try_write(&[3; 1]));
        assert!(!sink.try_write(&[4; 1]));
        let mut read = [0; 10];
        consumer.pop_entire_slice(&mut read).unwrap();
        assert_eq!(read, [1, 1, 1, 1, 1, 1, 1, 1, 1, 3]);
        assert!(sink.try_write(&[5; 10]));
        assert!(!sink.try_write(&[6; 11]));
    }
}
