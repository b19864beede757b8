//! A name server on a loopback port, with a zone that a test changes as it likes (RFC 1035, as much as is needed).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

const SERVER_FAILURE: u8 = 2;
const NO_SUCH_NAME: u8 = 3;
const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;

/// The addresses of each name, in lower case; `None` for one that the server fails at.
type Zone = Mutex<HashMap<String, Option<Vec<IpAddr>>>>;

pub(crate) struct NameServer {
    address: SocketAddr,
    zone: Arc<Zone>,
}

impl NameServer {
    /// One that knows no name.
    pub(crate) fn start() -> NameServer {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("it is bound");
        let zone = Arc::new(Zone::default());
        let ours = Arc::clone(&zone);
        std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((length, client)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(&reply(&buffer[..length], &ours), client);
            }
        });
        NameServer { address, zone }
    }

    /// The name has these addresses from now on, in this order.
    pub(crate) fn set(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| address.parse().expect("an address")).collect();
        self.zone.lock().expect("no thread panics with it").insert(name.to_owned(), Some(addresses));
    }

    /// The server fails at the name from now on.
    pub(crate) fn fail(&self, name: &str) {
        self.zone.lock().expect("no thread panics with it").insert(name.to_owned(), None);
    }

    /// The keys of a cluster that asks this server, again and again.
    pub(crate) fn keys(&self, discovery: &str) -> String {
        format!(
            "discovery: {discovery}, dns_resolvers: [\"{}\"], dns_refresh_rate: 10ms, dns_min_refresh_rate: 10ms",
            self.address
        )
    }
}

/// The header, the question as it came, and an answer for each address of the type.
fn reply(query: &[u8], zone: &Zone) -> Vec<u8> {
    let (name, end) = question(query);
    let kind = u16::from_be_bytes([query[end], query[end + 1]]);
    let known = zone.lock().expect("no thread panics with it").get(&name).cloned();
    let (code, addresses) = match known {
        Some(Some(addresses)) => (0, addresses),
        Some(None) => (SERVER_FAILURE, vec![]),
        None => (NO_SUCH_NAME, vec![]),
    };
    let of_kind = |address: &IpAddr| if address.is_ipv4() { kind == TYPE_A } else { kind == TYPE_AAAA };
    let addresses: Vec<_> = addresses.into_iter().filter(of_kind).collect();
    let mut reply = vec![query[0], query[1], 0x81, 0x80 | code, 0, 1, 0, addresses.len() as u8, 0, 0, 0, 0];
    reply.extend_from_slice(&query[12..end + 4]);
    for address in addresses {
        let bytes = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        // A pointer to the name in the question, type, class IN, a TTL of 9 s.
        reply.extend_from_slice(&[0xc0, 12]);
        reply.extend_from_slice(&kind.to_be_bytes());
        reply.extend_from_slice(&[0, 1, 0, 0, 0, 9, 0, bytes.len() as u8]);
        reply.extend_from_slice(&bytes);
    }
    reply
}

/// The name that is asked for, and where it ends.
fn question(query: &[u8]) -> (String, usize) {
    let (mut labels, mut at) = (vec![], 12);
    while query[at] != 0 {
        let end = at + 1 + query[at] as usize;
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_ascii_lowercase());
        at = end;
    }
    (labels.join("."), at + 1)
}
