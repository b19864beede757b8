//! What is changed of the header fields of requests and answers, and what values are made of. Plain data, checked by the
//! control side: no name here frames a message or says whom it is for.

/// What one level (a route, a virtual host or a listener) changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderRules {
    pub request: HeaderOperations,
    pub response: HeaderOperations,
}

/// What is changed of one head, in this order: fields go, values are made of what is left, fields are set, fields are
/// added (Envoy's `HeaderParser`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderOperations {
    /// Lower-case.
    pub remove: Vec<String>,
    /// Each stands in the place of all fields of its name; at most 64, no name twice.
    pub set: Vec<HeaderValue>,
    pub add: Vec<HeaderValue>,
}

impl HeaderOperations {
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }

    /// The values, in the order in which they are made.
    pub fn values(&self) -> impl Iterator<Item = &HeaderValue> {
        self.set.iter().chain(&self.add)
    }

    /// What the values are made of, in that order.
    pub fn operators(&self) -> impl Iterator<Item = &HeaderOperator> {
        self.values().flat_map(|value| &value.value.pieces).filter_map(|piece| match piece {
            HeaderPiece::Text(_) => None,
            HeaderPiece::Value(operator) => Some(operator),
        })
    }
}

/// A field that is set or added; left out if its value comes out empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderValue {
    /// As it goes out.
    pub name: String,
    pub value: HeaderTemplate,
}

/// A value that is put together for each message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderTemplate {
    /// As configured.
    pub source: String,
    pub pieces: Vec<HeaderPiece>,
}

/// A part of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderPiece {
    Text(String),
    Value(HeaderOperator),
}

/// An operator, as Envoy's access log and headers name it. What is not known is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderOperator {
    /// `ip:port` of the peer.
    DownstreamRemoteAddress,
    DownstreamRemoteAddressWithoutPort,
    /// The listener's address.
    DownstreamLocalAddress,
    Protocol,
    UpstreamCluster,
    /// The endpoint's address; only in answers.
    UpstreamHost,
    /// Only in answers, as the next ones.
    ResponseCode,
    ResponseCodeDetails,
    /// Short names with commas, `-` if there is none.
    ResponseFlags,
    /// A field of the request as it goes upstream, or of the path it came with.
    Request(FieldValue),
    /// A field of the answer as it goes downstream; only in answers.
    Response(FieldValue),
}

impl HeaderOperator {
    /// Whether it asks for something of the request's head.
    pub fn asks_request(&self) -> bool {
        matches!(self, HeaderOperator::Request(_))
    }

    /// Whether it asks for the peer's address, which costs a system call.
    pub fn asks_peer(&self) -> bool {
        matches!(
            self,
            HeaderOperator::DownstreamRemoteAddress | HeaderOperator::DownstreamRemoteAddressWithoutPort
        )
    }
}

/// `REQ(first?second):limit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldValue {
    pub first: FieldSource,
    pub second: Option<FieldSource>,
    /// Bytes that are taken at most.
    pub limit: Option<u32>,
}

/// Where the text of a [`FieldValue`] comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldSource {
    Method,
    /// With query.
    Path,
    Authority,
    /// The first field of this name; lower-case.
    Field(String),
}
