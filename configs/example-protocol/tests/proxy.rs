//! The protocol end to end: this crate's binary between clients and servers of it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
const REQUEST: u8 = 0;
const ONE_WAY: u8 = 1;
const RESPONSE: u8 = 2;
const PING: u8 = 3;
const PONG: u8 = 4;

/// A frame without fields.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Frame {
    kind: u8,
    status: u8,
    id: u32,
    service: &'static str,
    method: &'static str,
    body: Vec<u8>,
}

fn call(kind: u8, id: u32, method: &'static str, body: &[u8]) -> Frame {
    Frame { kind, status: 0, id, service: "greeter", method, body: body.to_vec() }
}

impl Frame {
    fn bytes(&self) -> Vec<u8> {
        let mut out = vec![0xe7, b'X', self.kind, self.status];
        out.extend_from_slice(&self.id.to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&[self.service.len() as u8, self.method.len() as u8, 0, 0]);
        out.extend_from_slice(&(self.body.len() as u32).to_be_bytes());
        for part in [self.service.as_bytes(), self.method.as_bytes(), &self.body] {
            out.extend_from_slice(part);
        }
        out
    }
}

/// The next frame; of its head only the lengths are looked at.
fn read(stream: &mut TcpStream) -> io::Result<Frame> {
    let mut head = [0; 20];
    stream.read_exact(&mut head)?;
    assert_eq!(head[..2], [0xe7, b'X']);
    let mut names = vec![0; usize::from(head[12]) + usize::from(head[13])];
    stream.read_exact(&mut names)?;
    assert_eq!(head[14..16], [0, 0], "no fields were sent");
    let mut body = vec![0; u32::from_be_bytes(head[16..20].try_into().unwrap()) as usize];
    stream.read_exact(&mut body)?;
    let id = u32::from_be_bytes(head[4..8].try_into().unwrap());
    Ok(Frame { kind: head[2], status: head[3], id, service: "", method: "", body })
}

/// Answers calls with their bodies, each two in the other order; tells what came.
fn server() -> (SocketAddr, mpsc::Receiver<Frame>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut stream), tell) = (stream, tell.clone()) else { continue };
            std::thread::spawn(move || -> io::Result<()> {
                let mut held: Option<Frame> = None;
                loop {
                    let frame = read(&mut stream)?;
                    let _ = tell.send(frame.clone());
                    let answer = |frame: &Frame| Frame { kind: RESPONSE, ..frame.clone() }.bytes();
                    match (frame.kind, held.take()) {
                        (PING, before) => {
                            held = before;
                            stream.write_all(&Frame { kind: PONG, ..frame }.bytes())?;
                        }
                        (REQUEST, None) if frame.body == b"first" => held = Some(frame),
                        (REQUEST, before) => {
                            stream.write_all(&answer(&frame))?;
                            before.map_or(Ok(()), |before| stream.write_all(&answer(&before)))?;
                        }
                        (_, before) => held = before,
                    }
                }
            });
        }
    });
    (address, told)
}

struct Proxy {
    child: Child,
    listeners: Vec<SocketAddr>,
    _folder: tempfile::TempDir,
}

impl Proxy {
    /// With the example's configuration, on free ports and with these endpoints.
    fn start(endpoints: [SocketAddr; 2]) -> Proxy {
        let folder = tempfile::tempdir().unwrap();
        let example = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/example.yaml")).unwrap();
        let config = example
            .replace("127.0.0.1:12300", "127.0.0.1:0")
            .replace("127.0.0.1:12301", "127.0.0.1:0")
            .replace("127.0.0.1:15000", "127.0.0.1:0")
            .replace("127.0.0.1:12302", &endpoints[0].to_string())
            .replace("127.0.0.1:12303", &endpoints[1].to_string());
        let file = folder.path().join("example.yaml");
        std::fs::write(&file, config).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_sidering-example-protocol"))
            .args(["run", "-c"])
            .arg(&file)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, told) = mpsc::channel();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        let address_of = |name: &str| -> SocketAddr {
            let wanted = format!("listening name={name} address=");
            loop {
                let line = told.recv_timeout(PATIENCE).expect("it listens");
                if let Some((_, address)) = line.split_once(&wanted) {
                    return address.split_whitespace().next().unwrap().parse().unwrap();
                }
            }
        };
        let listeners = vec![address_of("calls"), address_of("any")];
        Proxy { child, listeners, _folder: folder }
    }

    fn connect(&self, listener: usize) -> TcpStream {
        let stream = TcpStream::connect(self.listeners[listener]).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn calls_are_routed_answered_and_told_apart() {
    let ((address, told), (other, _others)) = (server(), server());
    let proxy = Proxy::start([address, other]);
    for listener in [0, 1] {
        let mut client = proxy.connect(listener);
        // Their answers come in the other order.
        let calls = [call(REQUEST, 7, "hello", b"first"), call(REQUEST, 8, "hello", b"second")];
        client.write_all(&calls.iter().flat_map(Frame::bytes).collect::<Vec<u8>>()).unwrap();
        let answers = [read(&mut client).unwrap(), read(&mut client).unwrap()];
        let of = |id: u32| answers.iter().find(|answer| answer.id == id).map(|answer| answer.body.as_slice());
        assert_eq!((of(7), of(8)), (Some(&b"first"[..]), Some(&b"second"[..])));
        // A body that streams.
        let long = vec![b'x'; 1_000_000];
        client.write_all(&call(REQUEST, 1, "hello", &long).bytes()).unwrap();
        assert_eq!(read(&mut client).unwrap().body, long);
        // The proxy answers heartbeats itself, and nobody answers what is one-way.
        client.write_all(&call(PING, 9, "", b"").bytes()).unwrap();
        let pong = read(&mut client).unwrap();
        assert_eq!((pong.kind, pong.id), (PONG, 9));
        client.write_all(&call(ONE_WAY, 2, "hello", b"notice").bytes()).unwrap();
        let notice =
            std::iter::from_fn(|| told.recv_timeout(PATIENCE).ok()).find(|frame| frame.kind == ONE_WAY);
        assert_eq!(notice.expect("it came").body, b"notice");
    }
}

#[test]
fn errors_are_said_in_the_protocol() {
    let (other, _others) = server();
    // Nobody listens there any more.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = Proxy::start([gone, other]);
    let mut client = proxy.connect(0);
    client.write_all(&Frame { service: "nobody", ..call(REQUEST, 1, "hello", b"") }.bytes()).unwrap();
    let answer = read(&mut client).unwrap();
    assert_eq!((answer.kind, answer.status, answer.id), (RESPONSE, 1, 1), "{answer:?}");
    client.write_all(&call(REQUEST, 2, "hello", b"").bytes()).unwrap();
    let answer = read(&mut client).unwrap();
    assert_eq!((answer.status, answer.id), (3, 2), "the connection goes on: {answer:?}");
    // A frame of no kind ends it.
    client.write_all(&call(0x66, 3, "", b"").bytes()).unwrap();
    assert_eq!(client.read(&mut [0; 1]).unwrap_or_default(), 0);
}

#[test]
fn the_command_line_knows_it() {
    let run = |arguments: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_sidering-example-protocol")).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/example.yaml");
    assert_eq!(run(&["check", "-c", file]).0, Some(0));
    let (code, told) = run(&["explain", "-c", file, "example:///greeter/hello", "-H", "zone: b", "--json"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("\"cluster\": \"other\"") || told.contains("\"cluster\":\"other\""), "{told}");
}
