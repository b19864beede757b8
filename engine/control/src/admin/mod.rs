//! The admin interface: what a request asks, and which page or act answers it. How pages are written is theirs, how
//! requests come in is the server's.

mod act;
mod dump;
mod dump_action;
mod dump_balancing;
mod dump_bridge;
mod dump_chain;
mod dump_compression;
mod dump_concurrency;
mod dump_discovery;

mod dump_filters;
mod dump_headers;
mod dump_health;
mod dump_match;
mod dump_matcher;
mod dump_rate_limit;
mod page;

pub(crate) use dump::lb_name;

use crate::control::{Control, Next};
use crate::cores::{Event, Signal};
use crate::http_server::{Answer, Bounds, Listening, Service};
use crate::run::watch_drain;
use hyper::http::request::Parts;
use hyper::{Method, header};
use std::cell::RefCell;
use std::fmt::Write;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::mpsc::Sender;

const BOUNDS: Bounds = Bounds {
    connections: 64,
    head_bytes: 16 * 1024,
    body_bytes: 64 * 1024,
    idle: Duration::from_secs(60),
    lifetime: Duration::from_secs(600),
};

/// What an act asks of the loop, beside its answer.
pub(crate) enum Wish {
    Nothing,
    Next(Next),
    Quit,
}

enum Handler {
    /// Changes nothing; GET and HEAD.
    Page(fn(&Control, &Query<'_>) -> Answer),
    /// Changes something; POST.
    Act(fn(&mut Control, &Query<'_>) -> (Answer, Wish)),
}

/// A path, what answers it, and what `/help` says.
struct Endpoint {
    path: &'static str,
    handler: Handler,
    help: &'static str,
}

static ENDPOINTS: &[Endpoint] = &[
    Endpoint { path: "/", handler: Handler::Page(help), help: "this page" },
    Endpoint {
        path: "/clusters",
        handler: Handler::Page(page::clusters),
        help: "clusters and their endpoints",
    },
    Endpoint {
        path: "/config_dump",
        handler: Handler::Page(page::config_dump),
        help: "the configuration in use",
    },
    Endpoint {
        path: "/drain_listeners",
        handler: Handler::Act(act::drain_listeners),
        help: "stop accepting and finish what is in flight; the process stays until SIGTERM (POST)",
    },
    Endpoint { path: "/help", handler: Handler::Page(help), help: "this page" },
    Endpoint {
        path: "/listeners",
        handler: Handler::Page(page::listeners),
        help: "listeners, their addresses and protocols",
    },
    Endpoint {
        path: "/live",
        handler: Handler::Page(page::live),
        help: "200 while the control thread answers",
    },
    Endpoint {
        path: "/logging",
        handler: Handler::Act(act::logging),
        help: "show the log level, or change it with ?level=off|error|warning|info|debug (POST)",
    },
    Endpoint { path: "/quitquitquit", handler: Handler::Act(act::quit), help: "stop at once (POST)" },
    Endpoint {
        path: "/ready",
        handler: Handler::Page(page::ready),
        help: "200 while new work is taken, else 503",
    },
    Endpoint {
        path: "/reload",
        handler: Handler::Act(act::reload),
        help: "read the file again, like SIGHUP (POST)",
    },
    Endpoint { path: "/reopen_logs", handler: Handler::Act(act::reopen_logs), help: "like SIGUSR1 (POST)" },
    Endpoint {
        path: "/server_info",
        handler: Handler::Page(page::server_info),
        help: "version, state, engine",
    },
    Endpoint {
        path: "/stats",
        handler: Handler::Page(page::stats),
        help: "metrics, `name: value`; ?filter=TEXT, ?usedonly, ?format=prometheus",
    },
    Endpoint {
        path: "/stats/prometheus",
        handler: Handler::Page(page::prometheus),
        help: "metrics for Prometheus",
    },
    Endpoint {
        path: "/zones",
        handler: Handler::Act(act::zones),
        help: "switch a zone or city off or on until the next reload: ?map=NAME&zone=NAME (or city=NAME)&disabled=true|false (POST)",
    },
];

/// Serves admin until the runtime ends.
pub(crate) fn serve(
    listening: Listening,
    control: Rc<RefCell<Control>>,
    events: Sender<Event>,
) -> io::Result<impl Future<Output = ()>> {
    crate::http_server::serve(listening, BOUNDS, Rc::new(Admin { control, events }))
}

struct Admin {
    control: Rc<RefCell<Control>>,
    events: Sender<Event>,
}

impl Service for Admin {
    fn answer(&self, request: &Parts) -> Answer {
        let from_a_page = request.headers.contains_key(header::ORIGIN);
        let (answer, wish) = answer(&mut self.control.borrow_mut(), request, from_a_page);
        match wish {
            Wish::Next(Next::WatchDrain(after)) => watch_drain(after, self.events.clone()),
            Wish::Quit => {
                let _ = self.events.try_send(Event::Signal(Signal::Interrupt));
            }
            Wish::Nothing | Wish::Next(_) => {}
        }
        answer
    }

    fn refused(&self) {
        self.control.borrow_mut().admin_connections_refused += 1;
    }
}

/// `from_a_page`: a browser says that a web page sent it; such a one may look, but not touch.
fn answer(control: &mut Control, request: &Parts, from_a_page: bool) -> (Answer, Wish) {
    let path = request.uri.path();
    let query = Query(request.uri.query().unwrap_or(""));
    let Some(endpoint) = ENDPOINTS.iter().find(|endpoint| endpoint.path == path) else {
        return (Answer::text(404, format!("nothing at {path}\n\n{}", help_text())), Wish::Nothing);
    };
    match endpoint.handler {
        Handler::Page(page) if matches!(request.method, Method::GET | Method::HEAD) => {
            (page(control, &query), Wish::Nothing)
        }
        Handler::Page(_) => (wrong_method(path, "GET, HEAD"), Wish::Nothing),
        Handler::Act(_) if request.method != Method::POST => (wrong_method(path, "POST"), Wish::Nothing),
        Handler::Act(_) if from_a_page => {
            (Answer::text(403, "not from a web page: send it with curl -X POST\n".to_owned()), Wish::Nothing)
        }
        Handler::Act(act) => act(control, &query),
    }
}

fn wrong_method(path: &str, allow: &'static str) -> Answer {
    Answer { allow: Some(allow), ..Answer::text(405, format!("{path} takes {allow}\n")) }
}

fn help(_: &Control, _: &Query<'_>) -> Answer {
    Answer::text(200, help_text())
}

fn help_text() -> String {
    let mut text = "admin commands are:\n".to_owned();
    for endpoint in ENDPOINTS {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {}: {}", endpoint.path, endpoint.help);
    }
    text
}

/// The part of a target behind the question mark.
pub(crate) struct Query<'q>(&'q str);

impl<'q> Query<'q> {
    /// The value of a parameter, empty if it is given without one. Not percent-decoded: no value here needs it.
    fn get(&self, name: &str) -> Option<&'q str> {
        let mut parameters = self.0.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        parameters.find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests;
