//! Which listener a request is meant for: the one that was named, or the one that its URL leads to. It knows no route.

use super::ExplainError;
use super::question::Question;
use crate::config::nearest;
use sidering_dataplane::config::{Listener, ListenerKind};
use sidering_dataplane::io::Address;

/// The index of the listener, and why it is this one.
pub(super) fn choose(listeners: &[Listener], question: &Question) -> Result<(usize, String), ExplainError> {
    if let Some(name) = &question.listener {
        return named(listeners, name, question).map(|at| (at, "as asked for".to_owned()));
    }
    let http: Vec<usize> = (0..listeners.len()).filter(|&at| is_http(&listeners[at])).collect();
    let (Some(first), Some((port, is_named))) = (http.first(), question.port().or(Some((0, false)))) else {
        return Err(ExplainError::NoListener(
            "no listener speaks HTTP: --listener NAME, without a request, explains a connection".to_owned(),
        ));
    };
    if let [only] = http[..] {
        return Ok((only, "the only one that speaks HTTP".to_owned()));
    }
    let on_port = |at: &&usize| port_of(&listeners[**at]) == Some(port);
    if let Some(found) = http.iter().find(on_port).filter(|_| port != 0) {
        let whose = if is_named { "the URL's" } else { "the scheme's" };
        return Ok((*found, format!("port {port} is {whose}")));
    }
    Ok((*first, format!("the first of {} that speak HTTP; --listener NAME chooses another", http.len())))
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
    match (is_http(&listeners[at]), question.method.is_empty()) {
        (true, true) => Err(ExplainError::NoListener(format!(
            "`{name}` speaks HTTP: give a request, GET http://host/path"
        ))),
        (false, false) => Err(ExplainError::NoListener(format!(
            "`{name}` is a TCP listener: it knows connections, no requests"
        ))),
        _ => Ok(at),
    }
}

fn is_http(listener: &Listener) -> bool {
    matches!(listener.kind, ListenerKind::Http(_))
}

fn port_of(listener: &Listener) -> Option<u16> {
    match &listener.address {
        Address::Ip(address) => Some(address.port()),
        Address::Unix(_) => None,
    }
}
