//! Which kinds of situations runs have met, and how often: a simulator that has become tame shows here.

macro_rules! situations {
    ($($name:ident: $text:literal),* $(,)?) => {
        /// Something that runs must meet now and then.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Situation {
            $(#[doc = $text] $name),*
        }

        impl Situation {
            /// All of them, in order.
            pub const ALL: &[Situation] = &[$(Situation::$name),*];

            /// In words.
            pub fn text(self) -> &'static str {
                match self { $(Situation::$name => $text),* }
            }
        }
    };
}

situations! {
    ReceiveParked: "receives parked for want of a slot",
    ReceiveEndedUnasked: "multishot receives that ended without notice",
    CompletionsHeldBack: "completions held back to a later turn",
    LateCompletion: "completions of a connection already closed",
    IndexReused: "connection indices given out again",
    ShortSend: "sends that the kernel took a part of",
    SendBufferFull: "sends that waited for room",
    SplitRead: "messages cut into several receives",
    LongStall: "turns that came late",
    PauseTakenBack: "pauses taken back",
    PausedWhileReceiving: "pauses while a receive was armed",
    AcceptFailed: "accepts that failed for want of descriptors",
    ConnectRefused: "connects refused",
    ConnectUnreachable: "connects to unreachable hosts",
    ConnectHangs: "connects that hang",
    ConnectImpossible: "connects for which no socket or port was left",
    LinkBroken: "links that broke",
    ResetByPeer: "resets by a peer",
    SendFailed: "sends that failed",
    ClosedWithUnread: "closes that became resets for unread bytes",
    AnsweredClosed: "bytes to a closed socket, answered by a reset",
    RelayLimit: "relays that came to their limit",
    RelaySourceEnded: "relays whose source ended",
    RelaySourceFailed: "relays whose source failed",
    RelayDestinationFailed: "relays whose destination failed",
    RelayForgotten: "relays whose connection was closed under them",
    Answered: "requests answered whole by an upstream",
    AnsweredLocally: "requests answered by the proxy itself",
    AnswerCut: "answers cut visibly",
    Pipelined: "requests pipelined",
    ClientAborted: "requests whose client gave up",
    Unanswered: "requests whose connection ended before any answer",
    ClientHalfClosed: "clients that half-closed",
    ClientStopsReading: "clients that stopped to read",
    ClientDribbles: "clients that send slowly",
    ClientSilent: "clients that say nothing",
    ExpectContinue: "requests that waited for 100",
    InterimAnswer: "interim answers",
    Trailers: "answers with trailers",
    EarlyAnswer: "answers before their request was whole",
    OldVersion: "requests of HTTP/1.0",
    Malformed: "malformed requests refused",
    MalformedAnswer: "malformed answers",
    Tunnel: "tunnels that carried everything",
    TunnelCut: "tunnels cut",
    Upgraded: "connections upgraded",
    ConnectTunnel: "CONNECT tunnels",
    UpgradeDeclined: "upgrades declined",
    OriginSilent: "upstreams that never answer",
    OriginCutsAnswer: "upstreams that cut their answer",
    OriginClosesIdle: "upstreams that close idle connections",
    OriginUnasked: "upstreams that say what nobody asked for",
    OriginTires: "upstreams that close a used connection instead of answering",
    Retried: "requests sent again in a run with retries",
    Hedged: "requests sent again while the attempt before went on",
    SentAgain: "requests sent again on another connection",
    Overflow: "503 for a full queue (UO)",
    RequestsWaited: "requests that waited for a connection",
    ConnectionLimit: "clients closed for the listener's bound",
    HeadersTimeout: "408 for a slow head",
    RequestTimeout: "408 for a slow body",
    RouteTimeout: "504 for a slow upstream",
    StreamIdleTimeout: "streams idle for too long",
    ConnectTimeout: "connects that timed out",
    IdleTimeout: "idle connections closed",
    Reloaded: "configurations swapped in mid-stream",
    EndpointsChanged: "endpoints changed in mid-stream",
    ConnectionsSurvived: "connections that outlived a change of their cluster's endpoints",
    HealthChanged: "endpoints that became healthy or unhealthy in mid-stream",
    RulesApplied: "requests whose heads were changed by rules",
    CellServed: "requests that a cell's table took",
    CityServed: "requests that a city's table took",
    Ejected: "endpoints ejected for failures in a row",
    Readmitted: "ejections that came to their end",
    NextAddress: "connects to a further address of a host",
    Panic: "connects to unhealthy endpoints because too few were healthy",
    ListenerRemoved: "listeners taken away in mid-stream",
    DrainInMidRequest: "drains in mid-request",
    DrainFinished: "drains that came to their end by themselves",
    DrainCut: "drains cut by their timeout",
    Stopped: "stops in mid-request",
    BodyRelayed: "bodies relayed by the kernel",
    QueueHigh: "queues over their high mark",
    HeldFull: "clients paused for sending ahead",
    CallsAhead: "clients with several calls under way",
    ManyCalls: "clients with more than thirty calls under way",
    OutOfOrder: "answers that overtook others",
    OneWay: "calls that nobody answers",
    IdRepeated: "calls with the id of another one under way",
    StrayAnswer: "answers that nobody waits for",
    HeartbeatAnswered: "heartbeats answered by the proxy",
    HeartbeatFlood: "floods of heartbeats",
    ProxyHeartbeat: "heartbeats of the proxy",
    GoAwayHeard: "clients told that the proxy goes away",
    OriginWentAway: "upstreams that took no more calls",
    LargeFrame: "answers of more than 64 KiB",
    FrameCut: "connections that ended within a frame",
    MalformedFrame: "clients that wrote what is no frame",
}

/// How often each situation was met.
#[derive(Clone, Debug)]
pub struct Coverage {
    counts: Vec<u64>,
}

impl Default for Coverage {
    fn default() -> Self {
        Coverage { counts: vec![0; Situation::ALL.len()] }
    }
}

impl Coverage {
    /// Met once more.
    #[inline]
    pub fn meet(&mut self, situation: Situation) {
        self.counts[situation as usize] += 1;
    }

    /// Met this many times more.
    pub fn meet_times(&mut self, situation: Situation, times: u64) {
        self.counts[situation as usize] += times;
    }

    /// How often it was met.
    pub fn count(&self, situation: Situation) -> u64 {
        self.counts[situation as usize]
    }

    /// Adds what other runs have met.
    pub fn add(&mut self, other: &Coverage) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// What was never met.
    pub fn missing(&self) -> Vec<Situation> {
        Situation::ALL.iter().copied().filter(|situation| self.count(*situation) == 0).collect()
    }
}
