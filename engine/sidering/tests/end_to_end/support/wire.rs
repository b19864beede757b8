//! One side of a connection, byte by byte: sends what it is told, reads messages strictly, and tells how the other side ended.

use socket2::SockRef;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longer than any peer here takes for anything.
const TIMEOUT: Duration = Duration::from_secs(25);

/// How the other side ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    Reset,
}

/// A message head.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) start: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Head {
    /// The values of a field, in their order; names in any case.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The only value of a field.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let values = self.values(name);
        assert!(values.len() < 2, "{name} stands there {} times: {self:?}", values.len());
        values.first().copied()
    }

    /// The second word of a status line.
    #[track_caller]
    pub(crate) fn status(&self) -> u16 {
        let word = self.start.split(' ').nth(1).and_then(|word| word.parse().ok());
        word.unwrap_or_else(|| panic!("no status line: {}", self.start))
    }

    /// The second word of a request line.
    pub(crate) fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    pub(crate) fn is_chunked(&self) -> bool {
        self.value("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    }

    pub(crate) fn length(&self) -> Option<u64> {
        self.value("content-length").map(|value| value.parse().expect("a Content-Length is a number"))
    }
}

/// A whole message.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
}

impl Message {
    #[track_caller]
    pub(crate) fn status(&self) -> u16 {
        self.head.status()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection and what was read of it too much.
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    record: Option<Arc<Mutex<Vec<u8>>>>,
}

impl Wire {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Wire> {
        Wire::new(TcpStream::connect_timeout(&address, TIMEOUT)?)
    }

    pub(crate) fn new(stream: TcpStream) -> io::Result<Wire> {
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Wire { stream, buffer: vec![], record: None })
    }

    /// Everything that is read is also appended to `record`.
    pub(crate) fn record_to(&mut self, record: Arc<Mutex<Vec<u8>>>) {
        self.record = Some(record);
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(crate) fn try_clone(&self) -> io::Result<Wire> {
        Wire::new(self.stream.try_clone()?)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a GET without a body.
    pub(crate) fn get(&mut self, path: &str) -> io::Result<()> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes())
    }

    /// Ends the sending side.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Closes with a reset.
    pub(crate) fn reset(self) -> io::Result<()> {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))
    }

    /// Reads more; 0 is the end.
    pub(crate) fn fill(&mut self) -> io::Result<usize> {
        let mut piece = [0; 64 * 1024];
        let length = self.stream.read(&mut piece)?;
        self.buffer.extend_from_slice(&piece[..length]);
        if let Some(record) = &self.record {
            record.lock().expect("no thread panics with it").extend_from_slice(&piece[..length]);
        }
        Ok(length)
    }

    fn fill_more(&mut self) -> io::Result<()> {
        match self.fill()? {
            0 => Err(io::Error::new(ErrorKind::UnexpectedEof, "the connection ended within a message")),
            _ => Ok(()),
        }
    }

    /// A line without its CRLF, which must be there.
    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                let line = line.strip_suffix(b"\r\n").ok_or_else(|| bad("a line without CR"))?;
                return Ok(String::from_utf8_lossy(line).into_owned());
            }
            self.fill_more()?;
        }
    }

    fn fields(&mut self) -> io::Result<Vec<(String, String)>> {
        let mut fields = vec![];
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            let (name, value) = line.split_once(':').ok_or_else(|| bad("a field without colon"))?;
            fields.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// The next head, of a request or a response.
    pub(crate) fn head(&mut self) -> io::Result<Head> {
        Ok(Head { start: self.line()?, fields: self.fields()? })
    }

    /// Reads a body of `length` bytes.
    pub(crate) fn sized(&mut self, mut length: u64, mut sink: impl FnMut(&[u8])) -> io::Result<()> {
        while length > 0 {
            if self.buffer.is_empty() {
                self.fill_more()?;
            }
            let take = self.buffer.len().min(length as usize);
            sink(&self.buffer[..take]);
            self.buffer.drain(..take);
            length -= take as u64;
        }
        Ok(())
    }

    /// Reads a chunked body and tells its trailers.
    pub(crate) fn chunked(&mut self, mut sink: impl FnMut(&[u8])) -> io::Result<Vec<(String, String)>> {
        loop {
            let line = self.line()?;
            let digits = line.split(';').next().unwrap_or_default();
            let size = u64::from_str_radix(digits, 16).map_err(|_| bad("a chunk without size"))?;
            if size == 0 {
                return self.fields();
            }
            self.sized(size, &mut sink)?;
            if !self.line()?.is_empty() {
                return Err(bad("no line end behind a chunk"));
            }
        }
    }

    /// Reads the body that belongs to `head` and tells its trailers. A response without any framing lasts until the close.
    pub(crate) fn body(
        &mut self,
        head: &Head,
        mut sink: impl FnMut(&[u8]),
    ) -> io::Result<Vec<(String, String)>> {
        if head.is_chunked() {
            return self.chunked(sink);
        }
        if let Some(length) = head.length() {
            return self.sized(length, sink).map(|()| vec![]);
        }
        if head.start.starts_with("HTTP/") && !matches!(head.status(), 100..=199 | 204 | 304) {
            sink(&std::mem::take(&mut self.buffer));
            while self.fill()? > 0 {
                sink(&std::mem::take(&mut self.buffer));
            }
        }
        Ok(vec![])
    }

    /// The next message with its body, not for answers to HEAD.
    pub(crate) fn message(&mut self) -> io::Result<Message> {
        let head = self.head()?;
        let mut body = vec![];
        let trailers = self.body(&head, |bytes| body.extend_from_slice(bytes))?;
        Ok(Message { head, body, trailers })
    }

    /// The next final response with its body.
    pub(crate) fn response(&mut self) -> io::Result<Message> {
        loop {
            let message = self.message()?;
            if !(100..200).contains(&message.status()) {
                return Ok(message);
            }
        }
    }

    /// What else comes until the other side ends, and how it ends.
    pub(crate) fn rest(&mut self) -> io::Result<(Vec<u8>, End)> {
        let end = loop {
            match self.fill() {
                Ok(0) => break End::Closed,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break End::Reset,
                Err(error) => return Err(error),
            }
        };
        Ok((std::mem::take(&mut self.buffer), end))
    }

    /// The other side must end without another byte.
    #[track_caller]
    pub(crate) fn assert_ended(&mut self) -> End {
        let (rest, end) = self.rest().expect("the connection ends in time");
        assert!(rest.is_empty(), "more came: {:?}", String::from_utf8_lossy(&rest));
        end
    }

    /// What was read and not used.
    pub(crate) fn left_over(&self) -> &[u8] {
        &self.buffer
    }
}

fn bad(reason: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, reason)
}
