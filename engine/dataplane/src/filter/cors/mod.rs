//! Cross-origin resource sharing (Envoy's `cors`): answers preflight requests, and tells browsers of other answers which
//! origins may read them. <https://fetch.spec.whatwg.org/#http-cors-protocol>

mod config;

pub use config::Config;

use super::{Filter, Memory, Parts, Reply, RequestView, ResponseView, Settings, Verdict};
use crate::observe::access_log::ResponseFlags;
use crate::observe::counters::{Counter, ListenerCounters};
use std::rc::Rc;
use std::sync::Arc;

/// What it counts.
#[derive(Debug, Default)]
pub struct Counters {
    pub origin_valid: Counter,
    pub origin_invalid: Counter,
}

struct Cors {
    config: Config,
    says_nothing: bool,
    counters: Arc<ListenerCounters>,
}

impl Settings for Config {
    fn compile(&self, parts: &Parts<'_>) -> Rc<dyn Filter> {
        let says_nothing = *self == Config::default();
        let counters = Arc::clone(parts.counters);
        Rc::new(Cors { config: self.clone(), says_nothing, counters })
    }

    fn over(&self, general: &Self) -> Self {
        let text =
            |special: &String, general: &String| (if special.is_empty() { general } else { special }).clone();
        let origins = if self.allow_origin.is_empty() { &general.allow_origin } else { &self.allow_origin };
        Config {
            allow_origin: origins.clone(),
            allow_methods: text(&self.allow_methods, &general.allow_methods),
            allow_headers: text(&self.allow_headers, &general.allow_headers),
            expose_headers: text(&self.expose_headers, &general.expose_headers),
            max_age: text(&self.max_age, &general.max_age),
            allow_credentials: self.allow_credentials.or(general.allow_credentials),
            allow_private_network_access: self
                .allow_private_network_access
                .or(general.allow_private_network_access),
            forward_not_matching_preflights: self
                .forward_not_matching_preflights
                .or(general.forward_not_matching_preflights),
        }
    }
}

impl Filter for Cors {
    fn concerns_calls(&self) -> bool {
        false
    }

    fn on_request(&self, request: &mut RequestView<'_>, memory: &mut Memory<'_>) -> Verdict {
        // Answers that the proxy gives itself are Envoy's filter no matter, and neither is a place without a policy.
        if !request.is_forwarded || self.says_nothing {
            return Verdict::Continue;
        }
        let Some(origin) = request.first_value(b"origin").filter(|origin| !origin.is_empty()) else {
            return Verdict::Continue;
        };
        let is_allowed =
            self.config.allow_origin.iter().any(|allowed| allowed.takes(b"*") || allowed.takes(origin));
        let counters = &self.counters.filters.cors;
        if is_allowed {
            counters.origin_valid.add(1);
            memory.keep_text(origin);
        } else {
            counters.origin_invalid.add(1);
        }
        let asks = request.first_value(b"access-control-request-method");
        let is_preflight = request.method() == b"OPTIONS" && asks.is_some_and(|method| !method.is_empty());
        let forwards = !is_allowed && self.config.forward_not_matching_preflights.unwrap_or(true);
        if !is_preflight || forwards {
            return Verdict::Continue;
        }
        self.preflight(request, is_allowed)
    }

    /// The origin's answer, or the one to a preflight request, with what concerns the origin.
    fn on_response(&self, response: &mut ResponseView<'_>, memory: &mut Memory<'_>) {
        let origin = memory.text();
        if origin.is_empty() {
            return;
        }
        response.set("access-control-allow-origin", origin);
        if self.config.allow_credentials == Some(true) {
            response.set("access-control-allow-credentials", b"true");
        }
        if !self.config.expose_headers.is_empty() {
            response.set("access-control-expose-headers", self.config.expose_headers.as_bytes());
        }
    }
}

impl Cors {
    fn preflight(&self, request: &mut RequestView<'_>, is_allowed: bool) -> Verdict {
        let config = &self.config;
        // Else `on_response` sets it.
        if !is_allowed && config.allow_credentials == Some(true) {
            request.add_line("access-control-allow-credentials", b"true");
        }
        let asked = [
            ("access-control-allow-methods", &config.allow_methods, "access-control-request-method"),
            ("access-control-allow-headers", &config.allow_headers, "access-control-request-headers"),
        ];
        for (name, value, asked) in asked {
            match value.as_str() {
                "" => {}
                "*" => repeat(request, name, asked),
                value => request.add_line(name, value.as_bytes()),
            }
        }
        if !config.max_age.is_empty() {
            request.add_line("access-control-max-age", config.max_age.as_bytes());
        }
        let asks_for_network = request.first_value(b"access-control-request-private-network");
        if config.allow_private_network_access == Some(true) && asks_for_network == Some(b"true") {
            request.add_line("access-control-allow-private-network", b"true");
        }
        let (flags, details) = (ResponseFlags::default(), "cors_response".into());
        Verdict::Reply(Reply { status: 200, body: "", flags, details })
    }
}

/// Allows what was asked for.
fn repeat(request: &mut RequestView<'_>, name: &str, asked: &str) {
    let mut lines = std::mem::take(&mut request.lines);
    for part in [name.as_bytes(), b": ", request.first_value(asked.as_bytes()).unwrap_or_default(), b"\r\n"] {
        lines.extend_from_slice(part);
    }
    request.lines = lines;
}

#[cfg(test)]
mod tests;
