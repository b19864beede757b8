//! Access control (Envoy's `rbac`): policies that allow or deny requests by who asks for what.

mod condition;
mod config;

pub use config::{Action, Condition, Config, Policy, Rules};

use super::{Filter, Memory, Parts, Reply, RequestView, Settings, Verdict};
use crate::observe::access_log::ResponseFlags;
use crate::observe::counters::{Counter, ListenerCounters};
use crate::stream::Details;
use condition::Compiled;
use std::rc::Rc;
use std::sync::Arc;

/// What it counts.
#[derive(Debug, Default)]
pub struct Counters {
    pub allowed: Counter,
    pub denied: Counter,
    /// Requests that the shadow rules would have let through, or denied.
    pub shadow_allowed: Counter,
    pub shadow_denied: Counter,
    /// Requests that a policy with the action `log` took, or did not.
    pub logged: Counter,
    pub not_logged: Counter,
}

struct Rbac {
    rules: Option<Engine>,
    shadow_rules: Option<Engine>,
    wants_peer: bool,
    counters: Arc<ListenerCounters>,
}

/// Compiled rules.
struct Engine {
    action: Action,
    policies: Vec<CompiledPolicy>,
    /// The details of requests that no policy takes.
    none: Details,
}

struct CompiledPolicy {
    permissions: Vec<Compiled>,
    principals: Vec<Compiled>,
    details: Details,
}

impl Settings for Config {
    fn compile(&self, parts: &Parts<'_>) -> Rc<dyn Filter> {
        Rc::new(Rbac {
            wants_peer: self.conditions().any(condition::looks_at_addresses),
            rules: self.rules.as_ref().map(Engine::compile),
            shadow_rules: self.shadow_rules.as_ref().map(Engine::compile),
            counters: Arc::clone(parts.counters),
        })
    }

    fn looks_at_paths(&self) -> bool {
        self.conditions().any(condition::looks_at_paths)
    }

    fn looks_at_fields(&self) -> bool {
        self.conditions().any(condition::looks_at_fields)
    }
}

impl Config {
    fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let rules = [&self.rules, &self.shadow_rules].into_iter().flatten();
        let policies = rules.flat_map(|rules| &rules.policies);
        policies.flat_map(|policy| policy.permissions.iter().chain(&policy.principals))
    }
}

impl Filter for Rbac {
    fn on_request(&self, request: &mut RequestView<'_>, _: &mut Memory<'_>) -> Verdict {
        let counters = &self.counters.filters.rbac;
        if let Some(shadow) = &self.shadow_rules {
            let (is_allowed, _) = shadow.decide(request);
            (if is_allowed { &counters.shadow_allowed } else { &counters.shadow_denied }).add(1);
        }
        let Some(rules) = &self.rules else { return Verdict::Continue };
        let (is_allowed, policy) = rules.decide(request);
        if rules.action == Action::Log {
            (if policy.is_some() { &counters.logged } else { &counters.not_logged }).add(1);
        }
        if is_allowed {
            counters.allowed.add(1);
            return Verdict::Continue;
        }
        counters.denied.add(1);
        Verdict::Reply(Reply {
            status: 403,
            body: "RBAC: access denied",
            // Envoy's access log has no flag for it: the details tell.
            flags: ResponseFlags::default(),
            details: policy.map_or(&rules.none, |policy| &policy.details).clone(),
        })
    }

    fn wants_peer(&self) -> bool {
        self.wants_peer
    }
}

impl Engine {
    fn compile(rules: &Rules) -> Self {
        let policies = rules.policies.iter().map(|policy| CompiledPolicy {
            permissions: policy.permissions.iter().map(Compiled::new).collect(),
            principals: policy.principals.iter().map(Compiled::new).collect(),
            details: details(&policy.name),
        });
        Engine { action: rules.action, policies: policies.collect(), none: details("none") }
    }

    /// Whether the request may pass, and the policy that decided.
    fn decide(&self, request: &RequestView<'_>) -> (bool, Option<&CompiledPolicy>) {
        let policy = self.policies.iter().find(|policy| policy.takes(request));
        let is_allowed = match self.action {
            Action::Allow => policy.is_some(),
            Action::Deny => policy.is_none(),
            Action::Log => true,
        };
        (is_allowed, policy)
    }
}

impl CompiledPolicy {
    fn takes(&self, request: &RequestView<'_>) -> bool {
        self.permissions.iter().any(|condition| condition.holds(request))
            && self.principals.iter().any(|condition| condition.holds(request))
    }
}

/// Blanks become underscores: access logs are split at blanks.
fn details(policy: &str) -> Details {
    let blank = |character: char| character.is_whitespace() || character.is_control();
    let name = policy.replace(blank, "_");
    Details::Named(format!("rbac_access_denied_matched_policy[{name}]").into())
}

#[cfg(test)]
mod tests;
