//! A compiled access-log format: text with operators in it, or JSON. It turns a record into one line.

use super::escape;
use super::operator::{Context, Operator, Shown};
pub use crate::substitution::FormatError;
use crate::substitution::{self, Part};
use sidering_dataplane::config::{AccessLogFields, Snapshot};
use sidering_dataplane::observe::access_log::AccessRecord;

/// What Envoy writes if nobody tells it otherwise.
const DEFAULT_TEXT: &str = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" \
     %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% \
     %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \
     \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"";

/// The members of a line of `format: json`.
const JSON: &str = "start_time=%START_TIME% method=%REQ(:METHOD)% path=%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% \
     protocol=%PROTOCOL% response_code=%RESPONSE_CODE% response_flags=%RESPONSE_FLAGS% \
     response_code_details=%RESPONSE_CODE_DETAILS% bytes_received=%BYTES_RECEIVED% bytes_sent=%BYTES_SENT% \
     duration=%DURATION% upstream_service_time=%UPSTREAM_SERVICE_TIME% x_forwarded_for=%REQ(X-FORWARDED-FOR)% \
     user_agent=%REQ(USER-AGENT)% request_id=%REQ(X-REQUEST-ID)% authority=%REQ(:AUTHORITY)% \
     upstream_host=%UPSTREAM_HOST% upstream_cluster=%UPSTREAM_CLUSTER% \
     downstream_remote_address=%DOWNSTREAM_REMOTE_ADDRESS% downstream_local_address=%DOWNSTREAM_LOCAL_ADDRESS% \
     listener=%LISTENER_NAME% route_line=%ROUTE_LINE% rpc_service=%RPC_SERVICE% rpc_method=%RPC_METHOD% \
     rpc_version=%RPC_VERSION% rpc_group=%RPC_GROUP% rpc_status=%RPC_STATUS% rpc_timeout=%RPC_TIMEOUT%";

/// A format, ready to write lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Format {
    /// As written in the configuration.
    pub source: String,
    /// What records must carry for it.
    pub fields: AccessLogFields,
    json: bool,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Text between operators; in JSON, the key of the operator that follows.
    Literal(String),
    Value(Operator),
}

impl Format {
    /// Compiles `text`, `json`, or a string with operators.
    pub fn parse(source: &str) -> Result<Format, FormatError> {
        let mut fields = AccessLogFields::default();
        let pieces = match source {
            "text" => pieces(DEFAULT_TEXT, &mut fields)?,
            "json" => {
                let pieces = pieces(JSON, &mut fields)?;
                pieces.into_iter().map(Piece::into_json_key).collect()
            }
            source if source.contains('%') => pieces(source, &mut fields)?,
            source => {
                return Err(FormatError {
                    offset: 0,
                    width: source.chars().count(),
                    message: "a format without operators".to_owned(),
                    expected: "text, json, or a string of %...% operators".to_owned(),
                });
            }
        };
        Ok(Format { source: source.to_owned(), fields, json: source == "json", pieces })
    }

    /// Appends the record's line, with its line feed. `snapshot` is the one the record was made under, if it is still
    /// known; `origin_unix_micros` is when the process's monotonic clock began.
    pub fn write(
        &self,
        record: &AccessRecord<'_>,
        snapshot: Option<&Snapshot>,
        origin_unix_micros: u64,
        out: &mut Vec<u8>,
    ) {
        let context =
            Context { snapshot, origin_unix_micros, request_fields: self.fields.request_fields.len() };
        let mut value = vec![];
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Value(operator) => {
                    value.clear();
                    match (operator.write(record, &context, &mut value), self.json) {
                        (Shown::Nothing, true) => out.extend_from_slice(b"null"),
                        (Shown::Nothing, false) => out.push(b'-'),
                        (Shown::Number, _) => out.extend_from_slice(&value),
                        (Shown::Text, true) => escape::json(&value, out),
                        (Shown::Text, false) => escape::text(&value, out),
                    }
                }
            }
        }
        if self.json {
            out.push(b'}');
        }
        if out.last() != Some(&b'\n') {
            out.push(b'\n');
        }
    }
}

impl Piece {
    fn into_json_key(self) -> Piece {
        match self {
            Piece::Literal(text) => {
                let open = if text.starts_with(' ') { ',' } else { '{' };
                Piece::Literal(format!("{open}\"{}\":", text.trim().trim_end_matches('=')))
            }
            value => value,
        }
    }
}

fn pieces(source: &str, fields: &mut AccessLogFields) -> Result<Vec<Piece>, FormatError> {
    let parts =
        substitution::split(source, |name, argument, limit| Operator::read(name, argument, limit, fields))?;
    let pieces = parts.into_iter().map(|part| match part {
        Part::Text(text) => Piece::Literal(text),
        Part::Value(operator) => Piece::Value(operator),
    });
    Ok(pieces.collect())
}

#[cfg(test)]
mod tests;
