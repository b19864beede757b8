//! The resolver against a name server of the test's own, on a loopback port.

use super::*;
use crate::discovery::test_name_server::NameServer;
use hickory_resolver::proto::op::ResponseCode;

fn resolver(server: &NameServer, family: LookupFamily) -> Resolver {
    let resolver = Resolver::new(&[server.address], family).unwrap();
    Resolver { hosts_path: PathBuf::from("/nonexistent"), ..resolver }
}

fn resolve(resolver: &Resolver, name: &str) -> Result<Answer, ResolveError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().unwrap();
    runtime.block_on(resolver.resolve(name))
}

fn addresses(resolver: &Resolver, name: &str) -> Vec<String> {
    resolve(resolver, name).unwrap().addresses.iter().map(ToString::to_string).collect()
}

#[test]
fn families_are_asked_as_documented() {
    let server = NameServer::start();
    server.set("both.test.", RecordType::A, Ok(&[("192.0.2.1", 9)]));
    server.set("both.test.", RecordType::AAAA, Ok(&[("2001:db8::1", 9)]));
    server.set("four.test.", RecordType::A, Ok(&[("192.0.2.4", 9)]));
    server.set("four.test.", RecordType::AAAA, Ok(&[]));
    server.set("six.test.", RecordType::A, Ok(&[]));
    server.set("six.test.", RecordType::AAAA, Ok(&[("2001:db8::6", 9)]));
    let table: [(LookupFamily, [&[&str]; 3]); 5] = [
        (LookupFamily::Auto, [&["2001:db8::1"], &["192.0.2.4"], &["2001:db8::6"]]),
        (LookupFamily::V4Only, [&["192.0.2.1"], &["192.0.2.4"], &[]]),
        (LookupFamily::V6Only, [&["2001:db8::1"], &[], &["2001:db8::6"]]),
        (LookupFamily::V4Preferred, [&["192.0.2.1"], &["192.0.2.4"], &["2001:db8::6"]]),
        (LookupFamily::All, [&["192.0.2.1", "2001:db8::1"], &["192.0.2.4"], &["2001:db8::6"]]),
    ];
    for (family, expected) in table {
        let resolver = resolver(&server, family);
        for (name, expected) in ["both.test", "four.test", "six.test"].iter().zip(expected) {
            assert_eq!(addresses(&resolver, name), expected, "{family:?} {name}");
        }
    }
}

#[test]
fn answers_follow_the_zone_and_tell_the_shortest_ttl() {
    let server = NameServer::start();
    let resolver = resolver(&server, LookupFamily::V4Only);
    server.set("api.test.", RecordType::A, Ok(&[("192.0.2.2", 60), ("192.0.2.1", 7)]));
    let first = resolve(&resolver, "api.test").unwrap();
    assert_eq!(first.ttl_ms, Some(7000));
    assert_eq!(addresses(&resolver, "api.test"), ["192.0.2.2", "192.0.2.1"], "in the server's order");
    server.set("api.test.", RecordType::A, Ok(&[("192.0.2.3", 0)]));
    let second = resolve(&resolver, "api.test").unwrap();
    assert_eq!(
        (second.addresses, second.ttl_ms),
        (vec!["192.0.2.3".parse().unwrap()], Some(0)),
        "nothing is cached"
    );
}

#[test]
fn a_name_that_is_not_there_is_an_answer_and_a_failing_server_is_none() {
    let server = NameServer::start();
    let resolver = resolver(&server, LookupFamily::Auto);
    assert_eq!(resolve(&resolver, "gone.test").unwrap(), Answer::default());
    for (six, four) in [
        (Err(ResponseCode::ServFail), Ok(&[][..])),
        (Ok(&[][..]), Err(ResponseCode::ServFail)),
        (Err(ResponseCode::Refused), Err(ResponseCode::NXDomain)),
    ] {
        server.set("half.test.", RecordType::AAAA, six);
        server.set("half.test.", RecordType::A, four);
        let error = resolve(&resolver, "half.test").unwrap_err().to_string();
        assert!(error.contains("`half.test` cannot be resolved"), "{error}");
    }
    server.set("half.test.", RecordType::A, Ok(&[("192.0.2.1", 9)]));
    assert_eq!(addresses(&resolver, "half.test"), ["192.0.2.1"], "an address in spite of a failure counts");
}

#[test]
fn a_failure_behind_one_search_domain_is_not_forgotten_for_the_next() {
    let server = NameServer::start();
    let search = vec!["one.test.".to_owned(), "two.test".to_owned()];
    let resolver = Resolver { search, ndots: 1, ..resolver(&server, LookupFamily::V4Only) };
    server.set("api.one.test.", RecordType::A, Err(ResponseCode::ServFail));
    assert!(resolve(&resolver, "api").is_err());
    server.set("api.two.test.", RecordType::A, Ok(&[("192.0.2.2", 9)]));
    assert_eq!(addresses(&resolver, "api"), ["192.0.2.2"]);
    assert_eq!(resolve(&resolver, "api.").unwrap(), Answer::default(), "a final dot ends the search");
}

#[test]
fn candidates_are_in_the_order_of_resolv_conf() {
    let search = ["a.test".to_owned(), "b.test.".to_owned()];
    assert_eq!(candidates("api", &search, 1), ["api.a.test.", "api.b.test.", "api."]);
    assert_eq!(candidates("api.x", &search, 1), ["api.x.", "api.x.a.test.", "api.x.b.test."]);
    assert_eq!(candidates("api.x", &search, 5), ["api.x.a.test.", "api.x.b.test.", "api.x."]);
    assert_eq!(candidates("api.x.", &search, 5), ["api.x."]);
    assert_eq!(candidates("api", &[], 1), ["api."]);
}

#[test]
fn the_hosts_file_comes_first_and_is_read_anew() {
    let server = NameServer::start();
    server.set("api.test.", RecordType::A, Ok(&[("192.0.2.1", 9)]));
    let folder = tempfile::tempdir().unwrap();
    let hosts_path = folder.path().join("hosts");
    std::fs::write(&hosts_path, "192.0.2.8 api.test\n").unwrap();
    let resolver = Resolver { hosts_path: hosts_path.clone(), ..resolver(&server, LookupFamily::V4Only) };
    let answer = resolve(&resolver, "api.test").unwrap();
    assert_eq!((answer.addresses, answer.ttl_ms), (vec!["192.0.2.8".parse().unwrap()], None));
    std::fs::write(&hosts_path, "192.0.2.9 api.test\n").unwrap();
    assert_eq!(addresses(&resolver, "api.test"), ["192.0.2.9"]);
    std::fs::remove_file(&hosts_path).unwrap();
    assert_eq!(addresses(&resolver, "api.test"), ["192.0.2.1"]);
}

#[test]
fn addresses_are_bounded() {
    for (count, kept, cut_off) in [
        (MOST_ADDRESSES - 1, MOST_ADDRESSES - 1, 0),
        (MOST_ADDRESSES, MOST_ADDRESSES, 0),
        (MOST_ADDRESSES + 1, MOST_ADDRESSES, 1),
    ] {
        let addresses =
            (0..count as u32).flat_map(|number| [IpAddr::from(number.to_be_bytes()); 2]).collect();
        let answer = bounded(addresses, None);
        assert_eq!((answer.addresses.len(), answer.cut_off), (kept, cut_off));
    }
}
