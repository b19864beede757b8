//! No descriptor left: accepting pauses and resumes, nothing falls over.

use crate::support::{Config, Origin, Proxy, Wire, turns, until, web};
use std::process::Command;

const DESCRIPTORS: u32 = 64;

#[test]
fn accepting_pauses_without_descriptors_and_resumes_with_them() {
    let _turn = turns::heavy();
    let origin = Origin::start(|wire, _| web::serve(wire));
    let mut proxy = Proxy::start_with(&Config::http_to(&origin), |binary| {
        // The binary raises its soft limit to the hard one: both must be low.
        let mut command = Command::new("/bin/sh");
        let script =
            format!("ulimit -S -n {DESCRIPTORS} && ulimit -H -n {DESCRIPTORS} && exec \"$0\" \"$@\"");
        command.arg("-c").arg(script).arg(binary);
        command
    });
    let admin_before = proxy.metrics();
    let paused = "sidering_listener_downstream_cx_accept_paused";
    assert_eq!(admin_before.sum_where(paused, "web"), 0.0);
    // The kernel queues those that the proxy cannot accept.
    let mut clients: Vec<Wire> = (0..200).map(|_| proxy.connect("web")).collect();
    for client in &mut clients {
        client.get("/").unwrap();
    }
    // Those that got in are served, with what descriptors there are, or are told that there are none.
    let statuses: Vec<_> =
        clients[..10].iter_mut().map(|client| client.response().unwrap().status()).collect();
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    proxy.assert_alive();
    clients.truncate(10);
    until("the proxy to serve again", || {
        let mut wire = proxy.connect("web");
        wire.get("/").ok()?;
        (wire.response().ok()?.status() == 200).then_some(())
    });
    assert!(proxy.metrics().sum_where(paused, "web") > 0.0, "accepting has paused");
    drop((clients, origin));
    proxy.assert_home();
    proxy.assert_alive();
}
