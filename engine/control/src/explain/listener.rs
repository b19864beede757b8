//! Which listener a request is meant for: the one that was named, or the one that its URL leads to. It knows no route.

use super::ExplainError;
use super::question::Question;
use crate::config::nearest;
use sidering_codecs::registry::protocol;
use sidering_dataplane::config::{HttpListener, Listener, ListenerKind};
use sidering_dataplane::io::Address;

/// The index of the listener, and why it is this one.
pub(super) fn choose(listeners: &[Listener], question: &Question) -> Result<(usize, String), ExplainError> {
    if let Some(name) = &question.listener {
        return named(listeners, name, question).map(|at| (at, "as asked for".to_owned()));
    }
    let http: Vec<usize> = (0..listeners.len()).filter(|&at| speaks(&listeners[at], question)).collect();
    let what = question.call.as_ref().map_or("HTTP", |call| call.protocol);
    let (Some(first), Some((port, is_named))) = (http.first(), question.port().or(Some((0, false)))) else {
        return Err(ExplainError::NoListener(format!(
            "no listener speaks {what}: --listener NAME, without a request, explains a connection"
        )));
    };
    if let [only] = http[..] {
        return Ok((only, format!("the only one that speaks {what}")));
    }
    let on_port = |at: &&usize| port_of(&listeners[**at]) == Some(port);
    if let Some(found) = http.iter().find(on_port).filter(|_| port != 0) {
        let whose = if is_named { "the URL's" } else { "the scheme's" };
        return Ok((*found, format!("port {port} is {whose}")));
    }
    Ok((*first, format!("the first of {} that speak {what}; --listener NAME chooses another", http.len())))
}

fn named(listeners: &[Listener], name: &str, question: &Question) -> Result<usize, ExplainError> {
    let Some(at) = listeners.iter().position(|listener| listener.name == name) else {
        let names = listeners.iter().map(|listener| listener.name.as_str());
        let hint = match nearest(name, names.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", names.collect::<Vec<_>>().join(", ")),
        };
        return Err(ExplainError::NoListener(format!("there is no listener `{name}`: {hint}")));
    };
    let refused = |why: &str| Err(ExplainError::NoListener(format!("`{name}` {why}")));
    match (&listeners[at].kind, question.method.is_empty()) {
        (ListenerKind::Tcp { .. }, true) => Ok(at),
        (ListenerKind::Tcp { .. }, false) => refused("is a TCP listener: it knows connections, no requests"),
        (ListenerKind::Http(http), true) if http.detection.is_some() => match takes_anything(http) {
            true => Ok(at),
            false => refused("takes no connection that says nothing: give a request or a call"),
        },
        (ListenerKind::Http(_), false) if speaks(&listeners[at], question) => Ok(at),
        (ListenerKind::Http(http), _) if http.detection.is_some() => {
            let protocols = http.detection.iter().flat_map(|detection| &detection.protocols);
            let names: Vec<&str> = protocols.copied().collect();
            refused(&format!("detects {}, and not what was asked", names.join(", ")))
        }
        (ListenerKind::Http(http), _) => match is_rpc(http) {
            true => refused(&format!("speaks {0}: give a call, {0}://ADDRESS/SERVICE/METHOD", http.protocol)),
            false => refused("speaks HTTP: give a request, GET http://host/path"),
        },
    }
}

fn is_rpc(http: &HttpListener) -> bool {
    protocol(http.protocol).is_some_and(|protocol| protocol.is_rpc)
}

/// Whether it has somewhere to go for a client whose protocol is not known.
fn takes_anything(http: &HttpListener) -> bool {
    http.detection.as_ref().is_some_and(|detection| detection.fallback.is_some())
}

/// Whether the listener speaks what is asked: HTTP, or the call's protocol.
fn speaks(listener: &Listener, question: &Question) -> bool {
    let (ListenerKind::Http(http), Some(asked)) = (&listener.kind, question.protocol()) else { return false };
    match &http.detection {
        Some(detection) => detection.protocols.contains(&asked.name),
        None => http.protocol == asked.name,
    }
}

fn port_of(listener: &Listener) -> Option<u16> {
    match &listener.address {
        Address::Ip(address) => Some(address.port()),
        Address::Unix(_) => None,
    }
}
