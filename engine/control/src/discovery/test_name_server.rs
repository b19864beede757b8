//! A name server for tests: one thread, a zone that a test changes as it likes.

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

/// What is answered: for a name and a type either a code or addresses with a TTL in seconds.
type Zone = Arc<Mutex<HashMap<(String, RecordType), Result<Vec<(IpAddr, u32)>, ResponseCode>>>>;

/// Answers on a loopback port.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    zone: Zone,
}

impl NameServer {
    /// Names that nobody has set do not exist.
    pub(crate) fn start() -> NameServer {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let zone = Zone::default();
        let served = Arc::clone(&zone);
        std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((length, client)) = socket.recv_from(&mut buffer) {
                let reply = reply(&buffer[..length], &served);
                let _ = socket.send_to(&reply, client);
            }
        });
        NameServer { address, zone }
    }

    pub(crate) fn set(&self, name: &str, kind: RecordType, what: Result<&[(&str, u32)], ResponseCode>) {
        let parsed = |(address, ttl): &(&str, u32)| (address.parse().unwrap(), *ttl);
        let what = what.map(|records| records.iter().map(parsed).collect());
        self.zone.lock().unwrap().insert((name.to_owned(), kind), what);
    }
}

fn reply(query: &[u8], zone: &Zone) -> Vec<u8> {
    let query = Message::from_vec(query).unwrap();
    let question = query.queries[0].clone();
    let mut message = Message::response(query.metadata.id, OpCode::Query);
    message.add_query(question.clone());
    let key = (question.name().to_string().to_ascii_lowercase(), question.query_type());
    let found = zone.lock().unwrap().get(&key).cloned();
    match found.unwrap_or(Err(ResponseCode::NXDomain)) {
        Err(code) => message.metadata.response_code = code,
        Ok(records) => {
            for (address, ttl) in records {
                message.add_answer(Record::from_rdata(question.name().clone(), ttl, RData::from(address)));
            }
        }
    }
    message.to_vec().unwrap()
}
