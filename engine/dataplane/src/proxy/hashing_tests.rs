//! Hashes against what Envoy's documentation of `hash_policy` and its hash (xxHash64, seed 0) say.

use super::*;
use crate::testing::fields;
use sidering_codecs::{BodyLength, Fields, Method, Version};

/// As Envoy gives them for its hash.
const FOO: u64 = 3_728_699_739_546_630_719;
const BAR: u64 = 5_234_164_152_756_840_025;
const LYFT: u64 = 4_400_747_396_090_729_504;

const MADE: &[u8] = b"0123456789abcdef";

fn policy(source: HashSource) -> HashPolicy {
    HashPolicy { source, terminal: false }
}

fn terminal(source: HashSource) -> HashPolicy {
    HashPolicy { source, terminal: true }
}

fn header(name: &str) -> HashSource {
    HashSource::Header(FieldSource::Field(name.into()))
}

fn query(name: &str) -> HashSource {
    HashSource::Query(name.into())
}

fn cookie(name: &str, ttl_seconds: Option<u64>) -> HashSource {
    HashSource::Cookie(HashCookie { name: name.into(), ttl_seconds, path: String::new() })
}

fn combined(policies: &[HashPolicy], path: &str, lines: &[&str]) -> (Option<u64>, u16) {
    let (bytes, spans) = fields(lines);
    let head = RequestHead {
        rpc: None,
        method: Method::Get,
        version: Version::Http11,
        authority: b"lyft",
        path: path.as_bytes(),
        authority_overrides_host: false,
        fields: Fields::new(&bytes, &spans),
        body: BodyLength::None,
        upgrade: None,
        expects_continue: false,
    };
    let client = Client { address: Some([10, 1, 2, 3].into()), cookie: MADE };
    combine(policies, &head, &Edits::default(), &client)
}

#[test]
fn one_policy() {
    for (source, path, lines, expected) in [
        (header("x"), "/", &["X: foo"][..], Some(FOO)),
        (header("x"), "/", &["y: foo"], None),
        // However they are ordered.
        (header("x"), "/", &["x: foo", "x: bar"], Some(hash(b"foo", BAR))),
        (header("x"), "/", &["x: bar", "y: a", "x: foo"], Some(hash(b"foo", BAR))),
        (HashSource::Header(FieldSource::Authority), "/", &[], Some(LYFT)),
        (HashSource::Header(FieldSource::Path), "foo", &[], Some(FOO)),
        (query("k"), "/?k=foo", &[], Some(FOO)),
        (query("k"), "/?j=bar&k=foo&k=bar", &[], Some(FOO)),
        (query("k"), "/?k", &[], Some(hash(b"", 0))),
        (query("k"), "/?kk=foo", &[], None),
        (HashSource::Source, "/", &[], Some(hash(b"10.1.2.3", 0))),
        (cookie("c", None), "/", &["cookie: a=1; c=foo; c=bar"], Some(FOO)),
        (cookie("c", None), "/", &["Cookie: c=\"foo\""], Some(FOO)),
        (cookie("c", None), "/", &["cookie: a=1", "cookie: c=foo"], Some(FOO)),
        (cookie("c", None), "/", &["cookie: cc=foo; c; C=bar"], None),
        (cookie("c", None), "/", &["cookie: c="], None),
    ] {
        let found = combined(&[policy(source.clone())], path, lines);
        assert_eq!(found, (expected, 0), "{source:?} {path} {lines:?}");
    }
}

/// "The hash policies are evaluated in order, the results are combined": the old one is rotated by a bit, so that two
/// equal policies do not cancel each other out.
#[test]
fn several_policies() {
    let both = FOO.rotate_left(1) ^ BAR;
    for (policies, expected) in [
        (vec![policy(header("x")), policy(header("y"))], Some(both)),
        (vec![policy(header("y")), policy(header("x"))], Some(BAR.rotate_left(1) ^ FOO)),
        (vec![policy(header("x")), policy(header("x"))], Some(FOO.rotate_left(1) ^ FOO)),
        (vec![policy(header("none")), policy(header("x"))], Some(FOO)),
        (vec![policy(header("x")), policy(header("none"))], Some(FOO)),
        // "If a request has a hash by then, the rest is ignored."
        (vec![terminal(header("x")), policy(header("y"))], Some(FOO)),
        (vec![terminal(header("none")), policy(header("y"))], Some(BAR)),
        (vec![policy(header("x")), terminal(header("none")), policy(header("y"))], Some(FOO)),
        (vec![policy(header("none"))], None),
        (vec![], None),
    ] {
        assert_eq!(combined(&policies, "/", &["x: foo", "y: bar"]).0, expected, "{policies:?}");
    }
}

#[test]
fn missing_cookies_are_made_up_if_they_have_a_lifetime() {
    let policies = [policy(cookie("a", Some(0))), policy(cookie("b", Some(60))), policy(cookie("c", None))];
    let made = hash(MADE, 0);
    assert_eq!(combined(&policies, "/", &["cookie: b=foo"]), (Some(made.rotate_left(1) ^ FOO), 0b001));
    assert_eq!(combined(&policies, "/", &["cookie: a="]), (Some(made.rotate_left(1) ^ made), 0b011));
    // What is not asked for any more is not made up.
    let policies = [terminal(header("x")), policy(cookie("a", Some(0)))];
    assert_eq!(combined(&policies, "/", &["x: foo"]), (Some(FOO), 0));
}

#[test]
fn cookies_as_envoy_sets_them() {
    for (ttl, path, expected) in [
        (Some(3600), "/a", "c=\"0123456789abcdef\"; Max-Age=3600; Path=/a; HttpOnly"),
        (Some(0), "", "c=\"0123456789abcdef\"; HttpOnly"),
    ] {
        let cookie = HashCookie { name: "c".into(), ttl_seconds: ttl, path: path.into() };
        let mut edits = Edits::default();
        add_cookie(&cookie, &hexadecimal(0x0123_4567_89ab_cdef), &mut edits);
        assert_eq!(edits.value_of(&Fields::default(), b"set-cookie"), Some(expected.as_bytes()));
    }
    assert_eq!(&hexadecimal(0xf), b"000000000000000f");
}
