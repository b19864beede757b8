//! Routes that a path alone does not tell apart, by what else they ask for exactly: a method, a header, a query
//! parameter, a segment of the path, a field of an RPC. A lookup goes only where the request's own values lead, so that
//! ten thousand routes on one prefix cost what ten do. It decides nothing: whoever is found is still asked.

use super::condition;
use super::request::RequestView;
use crate::config::{HeaderMatch, HeaderTest, PathMatch, RouteMatch, StringMatch};
use rustc_hash::FxBuildHasher;
use std::collections::HashMap;

/// So many are asked one after the other.
const FEW: usize = 6;
/// Values of one kind are looked up within those of another this deep.
const DEPTH: usize = 4;
/// Kinds of values that are looked up side by side.
const SELECTORS: usize = 4;

/// Some of a virtual host's routes.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// The least number of all in here.
    first: u32,
    /// Ascending.
    plain: Box<[u32]>,
    selectors: Option<Box<[Selector]>>,
}

#[derive(Debug)]
struct Selector {
    key: Key,
    groups: HashMap<Box<[u8]>, Group, FxBuildHasher>,
}

/// What a route may ask for exactly.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Key {
    Method,
    Header(Box<str>),
    Query(Box<str>),
    Segment(u8),
    Service,
    RpcMethod,
}

/// A route's number and what it asks for.
pub(super) type Member<'r> = (u32, &'r RouteMatch);

impl Group {
    /// Of routes in ascending order.
    pub(super) fn build(members: &[Member<'_>]) -> Group {
        Group::within(members, &mut vec![])
    }

    fn within(members: &[Member<'_>], used: &mut Vec<Key>) -> Group {
        let first = members.first().map_or(u32::MAX, |(number, _)| *number);
        let mut left = members.to_vec();
        let mut selectors = vec![];
        while left.len() > FEW && used.len() < DEPTH && selectors.len() < SELECTORS {
            let Some(key) = best_key(&left, used) else { break };
            let (chosen, others): (Vec<Member<'_>>, _) =
                left.into_iter().partition(|(_, matcher)| !values(matcher, &key).is_empty());
            left = others;
            used.push(key.clone());
            selectors.push(Selector::build(key, &chosen, used));
            used.pop();
        }
        let selectors = (!selectors.is_empty()).then(|| selectors.into());
        Group { first, plain: left.iter().map(|(number, _)| *number).collect(), selectors }
    }

    /// Lowers `best` to the first route in here that `takes` the request and stands before it.
    pub(super) fn search(&self, view: &RequestView<'_>, takes: &impl Fn(u32) -> bool, best: &mut u32) {
        if self.first >= *best {
            return;
        }
        if let Some(found) =
            self.plain.iter().take_while(|number| **number < *best).find(|number| takes(**number))
        {
            *best = *found;
        }
        for selector in self.selectors.iter().flatten() {
            selector.visit(view, |group| group.search(view, takes, best));
        }
    }
}

impl Selector {
    fn build(key: Key, members: &[Member<'_>], used: &mut Vec<Key>) -> Selector {
        let mut by_value: HashMap<Box<[u8]>, Vec<Member<'_>>, FxBuildHasher> = HashMap::default();
        for member in members {
            for value in values(member.1, &key) {
                let list = by_value.entry(value.into()).or_default();
                // A method that is written twice.
                if list.last().is_none_or(|(number, _)| *number != member.0) {
                    list.push(*member);
                }
            }
        }
        let mut groups: HashMap<_, _, _> =
            by_value.into_iter().map(|(value, members)| (value, Group::within(&members, used))).collect();
        groups.shrink_to_fit();
        Selector { key, groups }
    }

    /// Shows the groups that the request's own values lead to: more than one only where a header is repeated.
    fn visit(&self, view: &RequestView<'_>, mut show: impl FnMut(&Group)) {
        let value = match &self.key {
            Key::Header(name) => {
                let values = || condition::values(view, name.as_bytes());
                for (number, value) in values().enumerate() {
                    // The same value once more would cost as much again.
                    let is_new = number == 0 || values().take(number).all(|earlier| earlier != value);
                    if let Some(group) = self.groups.get(value).filter(|_| is_new) {
                        show(group);
                    }
                }
                return;
            }
            Key::Method => Some(view.method),
            Key::Query(name) => view.query(name.as_bytes()),
            Key::Segment(number) => view.segment(*number),
            Key::Service => view.rpc.map(|rpc| rpc.service),
            Key::RpcMethod => view.rpc.map(|rpc| rpc.method),
        };
        if let Some(group) = value.and_then(|value| self.groups.get(value)) {
            show(group);
        }
    }
}

/// The unused key with the most different values: the one that leaves the fewest routes together.
fn best_key(members: &[Member<'_>], used: &[Key]) -> Option<Key> {
    let mut seen: HashMap<Key, Vec<&[u8]>> = HashMap::new();
    for (_, matcher) in members {
        for key in keys(matcher).filter(|key| !used.contains(key)) {
            let values = values(matcher, &key);
            seen.entry(key).or_default().extend(values);
        }
    }
    let different = |mut values: Vec<_>| {
        values.sort_unstable();
        values.dedup();
        values.len()
    };
    let counted = seen.into_iter().map(|(key, values)| (different(values), key));
    // One value for all tells nothing apart.
    counted.filter(|(count, _)| *count > 1).max().map(|(_, key)| key)
}

fn keys(matcher: &RouteMatch) -> impl Iterator<Item = Key> {
    let template = match &matcher.path {
        PathMatch::Template(template) => Some(template),
        _ => None,
    };
    let segments =
        template.into_iter().flat_map(|template| template.segments()).map(|(number, _)| Key::Segment(number));
    let conditions = matcher.conditions.as_deref().into_iter().flat_map(|conditions| {
        let method = (!conditions.methods.is_empty()).then_some(Key::Method);
        let headers = conditions.headers.iter().filter(|header| only_value(header).is_some());
        let headers = headers.map(|header| Key::Header(header.name.as_str().into()));
        let query = conditions.query.iter().filter(|query| only(query.value.as_ref()).is_some());
        let query = query.map(|query| Key::Query(query.name.as_str().into()));
        let rpc = conditions.rpc.as_deref();
        let service = rpc.and_then(|rpc| only(rpc.service.as_ref())).map(|_| Key::Service);
        let rpc_method = rpc.and_then(|rpc| only(rpc.method.as_ref())).map(|_| Key::RpcMethod);
        method.into_iter().chain(headers).chain(query).chain(service).chain(rpc_method)
    });
    segments.chain(conditions)
}

fn only(rule: Option<&StringMatch>) -> Option<&[u8]> {
    rule.and_then(StringMatch::only).map(str::as_bytes)
}

fn only_value(header: &HeaderMatch) -> Option<&[u8]> {
    match &header.test {
        HeaderTest::Text(text) if !header.invert => only(Some(text)),
        _ => None,
    }
}

/// The values of which a request must have one for the route to take it; none if the route does not ask for `key`.
fn values<'r>(matcher: &'r RouteMatch, key: &Key) -> Vec<&'r [u8]> {
    let conditions = matcher.conditions.as_deref();
    let one = match key {
        Key::Method => {
            return conditions
                .into_iter()
                .flat_map(|conditions| &conditions.methods)
                .map(String::as_bytes)
                .collect();
        }
        Key::Header(name) => conditions.and_then(|conditions| {
            conditions.headers.iter().filter(|header| *header.name == **name).find_map(only_value)
        }),
        Key::Query(name) => conditions.and_then(|conditions| {
            let mut asked = conditions.query.iter().filter(|query| *query.name == **name);
            asked.find_map(|query| only(query.value.as_ref()))
        }),
        Key::Segment(number) => match &matcher.path {
            PathMatch::Template(template) => {
                template.segments().find(|(at, _)| at == number).map(|(_, text)| text)
            }
            _ => None,
        },
        Key::Service => conditions.and_then(|conditions| only(conditions.rpc.as_deref()?.service.as_ref())),
        Key::RpcMethod => conditions.and_then(|conditions| only(conditions.rpc.as_deref()?.method.as_ref())),
    };
    one.into_iter().collect()
}
