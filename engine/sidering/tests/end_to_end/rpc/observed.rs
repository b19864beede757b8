//! What is told of calls: metrics by service and method, and the access log.

use super::bolt::{self, Frame, call};
use super::others::{dubbo_origin, golden, read_dubbo};
use crate::support::access_log::records;
use crate::support::{Config, Origin, Proxy, until};

const SERVICE: &str = "com.alipay.test.TestService:1.0";

/// Of a method, or of all others.
fn counted(proxy: &Proxy, name: &str, service: &str, method: &str) -> f64 {
    let labels = format!("service=\"{service}\",method=\"{method}\"");
    proxy.metrics().sum_where(name, &labels)
}

#[test]
fn calls_are_counted_by_service_and_method_over_all_cores() {
    let origin = Origin::start(|wire, _| {
        loop {
            let frame = bolt::read(wire)?;
            let is_fine = frame.header("sofa_head_method_name") != Some("fails");
            let status = if is_fine { bolt::SUCCESS } else { bolt::THREADPOOL_BUSY };
            wire.send(&frame.answer(status, b"").bytes())?;
        }
    });
    let hosts = format!(
        "{{ domains: [\"{SERVICE}\"], routes: [{{ match: {{}}, cluster: api }}] }}, \
         {{ domains: [\"com.many.*\"], routes: [{{ match: {{}}, cluster: api }}] }}"
    );
    let config = Config::new().set("workers: 2").set("rpc_metrics: { max_methods: 3 }");
    let config = config.rpc_hosts("calls", "bolt", "", &hosts).cluster("api", &origin, "");
    let proxy = Proxy::start(&config);
    // On a connection each, so that both cores take part.
    let ask = |service: &str, method: &str| {
        let mut wire = proxy.connect("calls");
        wire.send(&call(1, service, method, b"").bytes()).unwrap();
        bolt::read(&mut wire).unwrap().status
    };
    // What no route takes could be anything: it takes no place.
    for at in 0..20 {
        assert_eq!(ask(&format!("com.random.Service{at}"), "x"), bolt::NO_PROCESSOR);
    }
    for _ in 0..20 {
        ask(SERVICE, "hello");
        ask(SERVICE, "fails");
    }
    // One place is left.
    for at in 0..5 {
        ask("com.many.Service", &format!("method{at}"));
    }
    let total = "sidering_rpc_downstream_rq_total";
    assert_eq!(counted(&proxy, total, SERVICE, "hello"), 20.0);
    assert_eq!(counted(&proxy, total, SERVICE, "fails"), 20.0);
    assert_eq!(counted(&proxy, total, "com.many.Service", "method0"), 1.0);
    assert_eq!(counted(&proxy, total, "other", "other"), 24.0);
    assert_eq!(counted(&proxy, "sidering_rpc_downstream_rq_time_count", SERVICE, "hello"), 20.0);
    let of_class = |class: u32, method: &str| {
        let labels = format!(
            "response_code_class=\"{class}\",protocol=\"bolt\",service=\"{SERVICE}\",method=\"{method}\""
        );
        proxy.metrics().sum_where("sidering_rpc_downstream_rq_xx", &labels)
    };
    assert_eq!([of_class(2, "hello"), of_class(5, "hello")], [20.0, 0.0]);
    assert_eq!([of_class(2, "fails"), of_class(5, "fails")], [0.0, 20.0]);
    let plain = proxy.admin("/stats").1;
    assert!(plain.contains(&format!("rpc.bolt.{SERVICE}.hello.downstream_rq_total: 20\n")), "{plain}");
}

#[test]
fn the_access_log_tells_what_was_called_and_how_it_ended() {
    let origin = Origin::start(|wire, _| bolt::echo(wire));
    let routes = "{ match: { method: hello }, cluster: api }";
    let proxy = Proxy::start(&Config::new().rpc("calls", "bolt", "", routes).cluster("api", &origin, ""));
    let mut wire = proxy.connect("calls");
    for (id, method) in [(1, "hello"), (2, "unknown")] {
        wire.send(&Frame { timeout_ms: 1234, ..call(id, SERVICE, method, b"") }.bytes()).unwrap();
        bolt::read(&mut wire).unwrap();
    }
    let lines = until("both lines", || Some(records(&proxy)).filter(|lines| lines.len() == 2));
    for (line, method, status) in
        [(&lines[0], "hello", bolt::SUCCESS), (&lines[1], "unknown", bolt::NO_PROCESSOR)]
    {
        assert_eq!(line["rpc_service"], SERVICE, "{line}");
        assert_eq!(line["rpc_method"], method);
        assert_eq!(line["rpc_status"], u64::from(status));
        assert_eq!((&line["protocol"], &line["rpc_timeout"]), (&"bolt".into(), &1234.into()));
    }
}

#[test]
fn groups_are_logged_where_they_stand_behind_the_arguments() {
    let origin = dubbo_origin();
    let proxy = Proxy::start(&super::calls_to("dubbo", &origin));
    let mut wire = proxy.connect("calls");
    wire.send(&golden("dubbo request")).unwrap();
    read_dubbo(&mut wire).unwrap();
    let line = until("its line", || records(&proxy).pop());
    assert_eq!((&line["protocol"], &line["rpc_status"]), (&"dubbo".into(), &20.into()), "{line}");
    for key in ["rpc_service", "rpc_method", "rpc_version"] {
        assert!(line[key].is_string(), "{key}: {line}");
    }
}
