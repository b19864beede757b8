//! What CORS is configured with. What a route leaves open its virtual host says, and then the listener.

use crate::config::StringMatch;

/// A CORS policy; empty and `None` say nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// Which origins may ask. `*` as an exact text allows all.
    pub allow_origin: Vec<StringMatch>,
    /// The value of Access-Control-Allow-Methods; `*` repeats what the client asks for.
    pub allow_methods: String,
    /// The value of Access-Control-Allow-Headers; `*` repeats what the client asks for.
    pub allow_headers: String,
    /// The value of Access-Control-Expose-Headers.
    pub expose_headers: String,
    /// The value of Access-Control-Max-Age.
    pub max_age: String,
    pub allow_credentials: Option<bool>,
    pub allow_private_network_access: Option<bool>,
    /// Whether preflight requests of origins that may not ask go on to the upstream.
    pub forward_not_matching_preflights: Option<bool>,
}
