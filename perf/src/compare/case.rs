//! The cases: what is put on the proxies, who takes part, and the goals.

use super::configs::Setup;
use super::figures::{
    BYTES_COPIED, BYTES_PER_CONNECTION, CPU_US, ERRORS, GB_PER_CPU_SECOND, MEMORY_BYTES, P99_US, STARTUP_MS,
    USER_US,
};
use super::goal::Goal;
use super::peer::{Peer, Peer::*};
use crate::call::Protocol;

/// One comparison.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) shape: Shape,
    /// What the proxies are set up for.
    pub(crate) setup: Setup,
    /// Who takes part, in the order of the table.
    pub(crate) peers: &'static [Peer],
    /// The figure whose ratios the table shows.
    pub(crate) main_figure: &'static str,
    pub(crate) goals: &'static [Goal],
}

/// What is done to a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Http {
        connections: u32,
        body_bytes: u64,
        new_connection_per_request: bool,
    },
    Stream {
        connections: u32,
    },
    /// As many calls in flight on each connection; they are answered with the body that they bring.
    Calls {
        protocol: Protocol,
        connections: u32,
        depth: u32,
        body_bytes: u64,
    },
    IdleConnections {
        connections: u32,
    },
    IdleMemory,
    Startup {
        starts: u32,
    },
    HalfRate {
        connections: u32,
        body_bytes: u64,
    },
}

/// Clusters, and as many routes.
const MANY: u32 = 2_000;
const ROUTED: &[Peer] = &[Ours, OursAgain, Nginx, Envoy];
const EVERYONE: &[Peer] = &[Ours, OursAgain, OursEpoll, Nginx, Haproxy, Envoy, Floor];
const PROXIES: &[Peer] = &[Ours, OursEpoll, Nginx, Haproxy, Envoy];
/// Where io_uring is forbidden, a request may cost a quarter more, but not more than nginx takes.
const EPOLL_NEAR_RING: Goal = Goal::ratio_at_most(CPU_US, Ours, 1.25).of(OursEpoll);
const EPOLL_AHEAD_OF_NGINX: Goal = Goal::ratio_at_most(CPU_US, Nginx, 1.0).of(OursEpoll);
const STREAM_GOALS: &[Goal] = &[
    Goal::ratio_at_least(GB_PER_CPU_SECOND, Nginx, 1.5),
    Goal::ratio_at_least(GB_PER_CPU_SECOND, Haproxy, 1.5),
];

/// The relay sees the same load, and does nothing with it: the kernel's work is in both.
const SMALL_CALL_GOALS: &[Goal] = &[
    Goal::ratio_at_most(CPU_US, OursTcp, 1.5),
    Goal::at_most(USER_US, 3.0),
    Goal::at_most(BYTES_COPIED, 0.0),
    Goal::at_most(ERRORS, 0.0),
];
const LARGE_CALL_GOALS: &[Goal] =
    &[Goal::at_least(GB_PER_CPU_SECOND, 1.5), Goal::at_most(BYTES_COPIED, 0.0), Goal::at_most(ERRORS, 0.0)];

pub(crate) static CASES: [Case; 21] = [
    Case {
        goals: &[
            Goal::ratio_at_most(CPU_US, Nginx, 0.75),
            Goal::ratio_at_most(CPU_US, Envoy, 0.27),
            Goal::ratio_at_most(CPU_US, Floor, 1.12),
            EPOLL_NEAR_RING,
            EPOLL_AHEAD_OF_NGINX,
        ],
        ..http("http1-c64", "HTTP/1, 100-byte answers, 64 connections", 64, 100)
    },
    Case {
        goals: &[Goal::ratio_at_most(CPU_US, Nginx, 0.85)],
        ..http("http1-c1", "HTTP/1, 100-byte answers, 1 connection", 1, 100)
    },
    Case {
        goals: &[Goal::ratio_at_most(CPU_US, Nginx, 0.85), EPOLL_NEAR_RING, EPOLL_AHEAD_OF_NGINX],
        ..http("http1-c16", "HTTP/1, 100-byte answers, 16 connections", 16, 100)
    },
    Case {
        goals: &[Goal::ratio_at_most(CPU_US, Nginx, 0.95)],
        ..http("body-64k", "HTTP/1, 64 KiB answers, 16 connections", 16, 64 * 1024)
    },
    Case {
        goals: &[Goal::ratio_at_most(CPU_US, Nginx, 0.65)],
        ..http("body-1m", "HTTP/1, 1 MiB answers, 8 connections", 8, 1024 * 1024)
    },
    Case {
        shape: Shape::Http { connections: 16, body_bytes: 100, new_connection_per_request: true },
        goals: &[Goal::ratio_at_most(CPU_US, Nginx, 0.9)],
        ..http("newconn", "HTTP/1, a new connection for each request, 16 at a time", 16, 100)
    },
    stream("tcp-c1", "plain TCP stream, 1 connection", 1),
    stream("tcp-c8", "plain TCP stream, 8 connections", 8),
    Case {
        goals: SMALL_CALL_GOALS,
        ..calls(
            "bolt-c16-d32",
            "bolt, 100-byte bodies both ways, 16 connections with 32 calls in flight each; ours-tcp: our TCP listener in front of the same origin",
            Shape::Calls { protocol: Protocol::Bolt, connections: 16, depth: 32, body_bytes: 100 },
        )
    },
    Case {
        goals: LARGE_CALL_GOALS,
        main_figure: GB_PER_CPU_SECOND,
        ..calls(
            "bolt-64k",
            "bolt, 64 KiB bodies both ways (both count), 16 connections with 4 calls in flight each",
            Shape::Calls { protocol: Protocol::Bolt, connections: 16, depth: 4, body_bytes: 64 * 1024 },
        )
    },
    Case {
        goals: SMALL_CALL_GOALS,
        ..calls(
            "dubbo-c16-d32",
            "Dubbo, 100-byte bodies both ways, 16 connections with 32 calls in flight each; ours-tcp as with bolt",
            Shape::Calls { protocol: Protocol::Dubbo, connections: 16, depth: 32, body_bytes: 100 },
        )
    },
    Case {
        goals: LARGE_CALL_GOALS,
        main_figure: GB_PER_CPU_SECOND,
        ..calls(
            "dubbo-64k",
            "Dubbo, 64 KiB bodies both ways (both count), 16 connections with 4 calls in flight each",
            Shape::Calls { protocol: Protocol::Dubbo, connections: 16, depth: 4, body_bytes: 64 * 1024 },
        )
    },
    Case {
        name: "idle-10k",
        about: "own memory of each of 10,000 connections that made one request and idle",
        shape: Shape::IdleConnections { connections: 10_000 },
        setup: Setup::Plain,
        peers: PROXIES,
        main_figure: BYTES_PER_CONNECTION,
        goals: &[Goal::at_most(BYTES_PER_CONNECTION, 700.0)],
    },
    Case {
        name: "startup",
        about: "process start to first proxied answer, median of 20 starts",
        shape: Shape::Startup { starts: 20 },
        setup: Setup::Plain,
        peers: &[Ours, Nginx],
        main_figure: STARTUP_MS,
        goals: &[Goal::at_most(STARTUP_MS, 20.0)],
    },
    Case {
        name: "idle-rss",
        about: "own memory of the idle process",
        shape: Shape::IdleMemory,
        setup: Setup::Plain,
        peers: PROXIES,
        main_figure: MEMORY_BYTES,
        goals: &[Goal::at_most(MEMORY_BYTES, 10.0 * 1024.0 * 1024.0)],
    },
    Case {
        name: "p99-half",
        about: "open loop at half of nginx's requests per second at 64 connections",
        shape: Shape::HalfRate { connections: 64, body_bytes: 100 },
        setup: Setup::Plain,
        peers: &[Ours, OursAgain, Nginx],
        main_figure: P99_US,
        goals: &[Goal::ratio_at_most(P99_US, Nginx, 1.0)],
    },
    Case {
        setup: Setup::Brain,
        peers: &[Ours, OursAgain, OursEpoll, Nginx, Envoy],
        goals: &[Goal::ratio_at_most(CPU_US, Nginx, 0.80), Goal::ratio_at_most(CPU_US, Envoy, 0.25)],
        ..http(
            "brain-c64",
            "the same with 1,000 routes, header rules, weighted clusters, least request, retries",
            64,
            100,
        )
    },
    Case {
        setup: Setup::Many { count: MANY, is_last: false },
        peers: ROUTED,
        goals: &[Goal::ratio_at_most(CPU_US, Nginx, 0.80)],
        ..http("first-route", "HTTP/1, 2,000 clusters and routes, the first of them is asked for", 64, 100)
    },
    Case {
        setup: Setup::Many { count: MANY, is_last: true },
        peers: ROUTED,
        goals: &[Goal::ratio_at_most(CPU_US, Nginx, 0.80)],
        ..http("last-route", "HTTP/1, 2,000 clusters and routes, the last of them is asked for", 64, 100)
    },
    Case {
        name: "startup-2k",
        about: "process start to first proxied answer with 2,000 clusters and routes, median of 10 starts",
        shape: Shape::Startup { starts: 10 },
        setup: Setup::Many { count: MANY, is_last: true },
        peers: &[Ours, Nginx, Envoy],
        main_figure: STARTUP_MS,
        goals: &[Goal::at_most(STARTUP_MS, 100.0)],
    },
    Case {
        name: "idle-rss-2k",
        about: "own memory of the idle process with 2,000 clusters, routes and endpoints",
        shape: Shape::IdleMemory,
        setup: Setup::Many { count: MANY, is_last: true },
        peers: &[Ours, OursEpoll, Nginx, Envoy],
        main_figure: MEMORY_BYTES,
        // That of the idle process, and 1 KiB for each route and 2 KiB for each endpoint.
        goals: &[Goal::at_most(MEMORY_BYTES, 2.0 * 1024.0 * 1024.0 + MANY as f64 * 3.0 * 1024.0)],
    },
];

/// The case of that name.
pub(crate) fn find(name: &str) -> Option<&'static Case> {
    CASES.iter().find(|case| case.name == name)
}

const fn http(name: &'static str, about: &'static str, connections: u32, body_bytes: u64) -> Case {
    Case {
        name,
        about,
        shape: Shape::Http { connections, body_bytes, new_connection_per_request: false },
        setup: Setup::Plain,
        peers: EVERYONE,
        main_figure: CPU_US,
        goals: &[],
    }
}

const fn stream(name: &'static str, about: &'static str, connections: u32) -> Case {
    Case {
        name,
        about,
        shape: Shape::Stream { connections },
        setup: Setup::Stream,
        peers: &[Ours, OursAgain, OursEpoll, Nginx, Haproxy, Envoy],
        main_figure: GB_PER_CPU_SECOND,
        goals: STREAM_GOALS,
    }
}

const fn calls(name: &'static str, about: &'static str, shape: Shape) -> Case {
    let Shape::Calls { protocol, .. } = shape else { panic!("a shape of calls") };
    Case {
        name,
        about,
        shape,
        setup: Setup::Calls(protocol),
        peers: &[Ours, OursAgain, OursEpoll, OursTcp],
        main_figure: CPU_US,
        goals: &[],
    }
}

impl Shape {
    /// Downstream connections that a proxy must be able to hold.
    pub(crate) fn connections(self) -> u32 {
        match self {
            Self::Http { connections, .. }
            | Self::Stream { connections }
            | Self::Calls { connections, .. }
            | Self::IdleConnections { connections }
            | Self::HalfRate { connections, .. } => connections,
            Self::IdleMemory | Self::Startup { .. } => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_case_has_a_goal() {
        for case in &CASES {
            assert!(std::ptr::eq(find(case.name).expect("it is in the table"), case), "{}", case.name);
            assert!(!case.goals.is_empty(), "{}", case.name);
        }
    }

    #[test]
    fn whoever_is_measured_against_takes_part() {
        for case in &CASES {
            for goal in case.goals {
                assert!(case.peers.contains(&goal.of), "{}", case.name);
                assert!(goal.against.is_none_or(|peer| case.peers.contains(&peer)), "{}", case.name);
            }
        }
    }
}
