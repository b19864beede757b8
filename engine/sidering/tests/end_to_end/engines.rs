//! Which engine runs where the system has room for some rings and not for all.

use crate::support::proxy::binary;
use crate::support::{Config, Origin, Proxy, web};
use serde_json::Value;
use std::process::Command;

/// A ring needs 220 KiB where rings count as locked memory: one fits, two do not.
const ROOM_FOR_ONE: u64 = 400;

/// Starts the proxy with this many workers, `engine: auto`, and so much locked memory.
fn start(origin: &Origin, workers: u32, kibibytes: u64) -> Proxy {
    let config = Config::http_to(origin).set("engine: auto").set(&format!("workers: {workers}"));
    Proxy::start_with(&config, |_| {
        let mut command = Command::new("prlimit");
        command.arg(format!("--memlock={0}:{0}", kibibytes * 1024));
        if rustix::process::geteuid().is_root() {
            // The capability makes the limit void.
            command.args(["setpriv", "--bounding-set=-ipc_lock"]);
        }
        command.arg(binary());
        command
    })
}

fn engine(proxy: &Proxy) -> (String, String) {
    let info: Value = serde_json::from_str(&proxy.admin("/server_info").1).expect("it is JSON");
    let told = |key: &str| info[key].as_str().expect("a text").to_owned();
    (told("engine"), told("engine_reason"))
}

#[test]
fn where_some_cores_get_no_ring_all_run_on_epoll() {
    let origin = Origin::start(|wire, _| web::serve(wire));
    if engine(&start(&origin, 1, 0)).0 == "uring" {
        // Rings do not count here: nothing can be in short supply.
        assert_eq!(engine(&start(&origin, 4, ROOM_FOR_ONE)), ("uring".to_owned(), "auto".to_owned()));
        return;
    }
    let proxy = start(&origin, 4, ROOM_FOR_ONE);
    let (name, reason) = engine(&proxy);
    assert_eq!(name, "epoll", "{reason}");
    assert!(reason.starts_with("auto: ") && reason.contains("cannot allocate memory"), "{reason}");
    // Each of the four has its own listening socket: the kernel spreads these connections over all of them.
    for _ in 0..40 {
        let mut wire = proxy.connect("web");
        wire.get("/").unwrap();
        assert_eq!(wire.response().unwrap().status(), 200);
    }
    drop(origin);
    proxy.assert_home();
}
