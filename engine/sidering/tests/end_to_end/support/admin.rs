//! The admin interface as its users see it: answers over HTTP, and metrics in Prometheus's text format.

use super::wire::Wire;
use std::net::SocketAddr;

/// Status and body of an answer.
pub(crate) fn get_admin(address: SocketAddr, path: &str) -> (u16, String) {
    let mut wire = Wire::connect(address).expect("the admin interface accepts");
    let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
    wire.send(request.as_bytes()).expect("it takes a request");
    let answer = wire.response().expect("it answers");
    (answer.status(), String::from_utf8(answer.body).expect("its answers are text"))
}

/// One reading of all metrics.
pub(crate) struct Metrics {
    /// Name, labels as text, value.
    series: Vec<(String, String, f64)>,
}

impl Metrics {
    /// Reads Prometheus's text format; a line that is none of it is a failure.
    pub(crate) fn parse(text: &str) -> Metrics {
        let series = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(read_line);
        Metrics { series: series.collect() }
    }

    /// The sum over all series of a metric. One that is not there at all is a failure: a gauge nobody exports
    /// would always look like home.
    #[track_caller]
    pub(crate) fn sum(&self, name: &str) -> f64 {
        self.sum_where(name, "")
    }

    /// The sum over the series whose labels contain `label`.
    #[track_caller]
    pub(crate) fn sum_where(&self, name: &str, label: &str) -> f64 {
        let mut values = self.series.iter().filter(|(known, ..)| known == name).peekable();
        assert!(values.peek().is_some(), "there is no metric {name}; there are: {}", self.names());
        values.filter(|(_, labels, _)| labels.contains(label)).map(|(.., value)| value).sum()
    }

    fn names(&self) -> String {
        let mut names: Vec<_> = self.series.iter().map(|(name, ..)| name.as_str()).collect();
        names.dedup();
        names.join(" ")
    }
}

fn read_line(line: &str) -> (String, String, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
    let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}').unwrap_or_else(|| panic!("open: {line}"))),
        None => (series, ""),
    };
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
    assert!(!name.is_empty() && name.bytes().all(legal), "no metric name: {line}");
    (name.to_owned(), labels.to_owned(), value)
}
