//! Against Envoy's documentation of RBAC.

use super::*;
use crate::config::{Cidr, HeaderMatch, HeaderTest, StringMatch, StringPattern};
use crate::filter::test_request::{Alone, Asked, compiled};

fn text(pattern: StringPattern) -> StringMatch {
    StringMatch { pattern, ignore_case: false }
}

fn path(prefix: &str) -> Condition {
    Condition::UrlPath(text(StringPattern::Prefix(prefix.into())))
}

fn header(name: &str, value: &str) -> Condition {
    let test = HeaderTest::Text(text(StringPattern::Exact(value.into())));
    Condition::Header(HeaderMatch { name: name.into(), test, invert: false })
}

fn block(address: &str, prefix_bits: u8) -> Cidr {
    Cidr { address: address.parse().unwrap(), prefix_bits }
}

fn policy(name: &str, permissions: Vec<Condition>, principals: Vec<Condition>) -> Policy {
    Policy { name: name.into(), permissions, principals }
}

fn filter(rules: Option<Rules>, shadow_rules: Option<Rules>) -> (Rc<dyn Filter>, Arc<ListenerCounters>) {
    compiled(&Config { rules, shadow_rules })
}

/// The details of the denial; `None`: let through.
fn denial(filter: &Rc<dyn Filter>, asked: &Asked) -> Option<String> {
    match Alone::new(filter).ask(asked).0 {
        Verdict::Reply(reply) => {
            assert_eq!((reply.status, reply.body), (403, "RBAC: access denied"));
            assert_eq!(reply.flags, ResponseFlags::default());
            Some(reply.details.as_str().to_owned())
        }
        verdict => {
            assert_eq!(verdict, Verdict::Continue);
            None
        }
    }
}

fn holds(condition: Condition, asked: &Asked) -> bool {
    let policies = vec![policy("p", vec![condition], vec![Condition::Any])];
    denial(&filter(Some(Rules { action: Action::Allow, policies }), None).0, asked).is_none()
}

#[test]
fn what_each_action_does_with_requests_that_a_policy_takes_and_with_others() {
    let policies = || {
        vec![
            policy("a b", vec![path("/a")], vec![Condition::Any]),
            policy("c", vec![path("/a"), path("/c")], vec![header("x-user", "root")]),
        ]
    };
    let denied = |policy: &str| Some(format!("rbac_access_denied_matched_policy[{policy}]"));
    let root = [("x-user", "root")];
    for (action, url, headers, expected) in [
        (Action::Allow, "/a", &[][..], None),
        (Action::Allow, "/c", &root, None),
        (Action::Allow, "/c", &[], denied("none")),
        (Action::Allow, "/d", &root, denied("none")),
        (Action::Deny, "/a", &root, denied("a_b")),
        (Action::Deny, "/c", &root, denied("c")),
        (Action::Deny, "/c", &[], None),
        (Action::Deny, "/d", &root, None),
        (Action::Log, "/a", &[], None),
        (Action::Log, "/d", &[], None),
    ] {
        let (filter, counters) = filter(Some(Rules { action, policies: policies() }), None);
        assert_eq!(denial(&filter, &Asked::new("GET", url, headers)), expected, "{action:?} {url}");
        let counters = &counters.filters.rbac;
        let (allowed, denied) = (counters.allowed.get(), counters.denied.get());
        assert_eq!((allowed, denied), if expected.is_none() { (1, 0) } else { (0, 1) });
        let logged = (counters.logged.get(), counters.not_logged.get());
        let is_logged = (u64::from(url == "/a"), u64::from(url != "/a"));
        assert_eq!(logged, if action == Action::Log { is_logged } else { (0, 0) });
    }
}

#[test]
fn without_rules_all_pass_and_rules_without_policies_deny_or_pass_all() {
    let empty = |action| Some(Rules { action, policies: vec![] });
    let asked = Asked::new("GET", "/", &[]);
    let (none, counters) = filter(None, None);
    assert_eq!(denial(&none, &asked), None);
    assert_eq!(counters.filters.rbac.allowed.get(), 0);
    assert!(denial(&filter(empty(Action::Allow), None).0, &asked).is_some());
    assert!(denial(&filter(empty(Action::Deny), None).0, &asked).is_none());
}

#[test]
fn shadow_rules_only_count() {
    let deny =
        Rules { action: Action::Allow, policies: vec![policy("p", vec![path("/a")], vec![Condition::Any])] };
    let (filter, counters) = filter(None, Some(deny));
    for url in ["/a", "/b", "/b"] {
        assert_eq!(denial(&filter, &Asked::new("GET", url, &[])), None);
    }
    let rbac = &counters.filters.rbac;
    let counted = [&rbac.shadow_allowed, &rbac.shadow_denied, &rbac.allowed, &rbac.denied].map(Counter::get);
    assert_eq!(counted, [1, 2, 0, 0]);
}

#[test]
fn conditions_and_or_not() {
    let (yes, no) = (|| Condition::Any, || Condition::Not(Box::new(Condition::Any)));
    let asked = Asked::new("GET", "/", &[]);
    for (condition, expected) in [
        (yes(), true),
        (no(), false),
        (Condition::Not(Box::new(no())), true),
        (Condition::All(vec![yes(), yes()]), true),
        (Condition::All(vec![yes(), no()]), false),
        (Condition::AnyOf(vec![no(), yes()]), true),
        (Condition::AnyOf(vec![no(), no()]), false),
    ] {
        assert_eq!(holds(condition.clone(), &asked), expected, "{condition:?}");
    }
}

#[test]
fn paths_are_taken_without_query_and_methods_as_they_are() {
    let exact = || Condition::UrlPath(text(StringPattern::Exact("/a".into())));
    for (url, expected) in [("/a", true), ("/a?b", true), ("/a#b", true), ("/a/", false), ("/A", false)] {
        assert_eq!(holds(exact(), &Asked::new("GET", url, &[])), expected, "{url}");
    }
    let methods = || Condition::Methods(vec!["GET".into(), "PURGE".into()]);
    for (method, expected) in [("GET", true), ("PURGE", true), ("get", false), ("POST", false)] {
        assert_eq!(holds(methods(), &Asked::new(method, "/", &[])), expected, "{method}");
    }
}

#[test]
fn addresses_of_the_connection_and_of_the_client() {
    let forwarded = [("x-forwarded-for", "10.0.0.1"), ("x-forwarded-for", "10.0.0.2, 2001:db8::7")];
    let direct = || Condition::DirectRemoteIp(block("192.0.2.0", 24));
    let remote = || Condition::RemoteIp(block("192.0.2.0", 24));
    let through = || Condition::RemoteIp(block("2001:db8::", 32));
    let mut asked = Asked::new("GET", "/", &forwarded);
    assert_eq!(
        [direct(), remote(), through()].map(|condition| holds(condition, &asked)),
        [true, false, true]
    );
    asked.believes_forwarded_for = false;
    assert_eq!(
        [direct(), remote(), through()].map(|condition| holds(condition, &asked)),
        [true, true, false]
    );
    // Nothing that can be read, and none at all.
    for headers in [&[("x-forwarded-for", "10.0.0.1, nobody")][..], &[]] {
        assert!(holds(remote(), &Asked::new("GET", "/", headers)));
    }
    // A unix socket has no address.
    asked.peer = None;
    assert_eq!([direct(), remote()].map(|condition| holds(condition, &asked)), [false, false]);
}
