//! Fields with which a request sets its own retries and timeouts (Envoy's router filter). They are only looked at on
//! listeners that say so, and never forwarded from there.

use crate::config::{EnvoyHeaders, RetryOn, RetryPolicy};
use crate::io::Io;
use crate::stream::{Retry, Stream, StreamKey};
use crate::worker::Worker;
use sidering_codecs::{FieldName, RequestHead};

/// What all of their names begin with.
const PREFIX: &[u8] = b"x-envoy-";

impl<I: Io> Worker<I> {
    /// Obeys or strips the fields, as the listener says; its retries and timeouts are the route's until then.
    pub(crate) fn apply_overrides(&mut self, key: StreamKey, mode: EnvoyHeaders, head: &RequestHead<'_>) {
        if mode == EnvoyHeaders::Ignore {
            return;
        }
        let Some(stream) = self.streams.get_mut(key) else { return };
        let mut max_retries = None;
        for (index, field) in head.fields.iter().enumerate() {
            if field.known != FieldName::Other || !starts_with(field.name, PREFIX) {
                continue;
            }
            let Some(setting) = setting(&field.name[PREFIX.len()..]) else { continue };
            self.edits.remove(index);
            if mode == EnvoyHeaders::Obey {
                match setting {
                    Setting::MaxRetries => max_retries = number(field.value),
                    setting => obey(stream, setting, field.value),
                }
            }
        }
        if let Some(max_retries) = max_retries {
            stream.retry.remaining = u32::try_from(max_retries).unwrap_or(u32::MAX);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setting {
    RetryOn,
    MaxRetries,
    StatusCodes,
    Timeout,
    PerTryTimeout,
    Hedge,
}

fn setting(name: &[u8]) -> Option<Setting> {
    [
        (&b"retry-on"[..], Setting::RetryOn),
        (b"retry-grpc-on", Setting::RetryOn),
        (b"max-retries", Setting::MaxRetries),
        (b"retriable-status-codes", Setting::StatusCodes),
        (b"upstream-rq-timeout-ms", Setting::Timeout),
        (b"upstream-rq-per-try-timeout-ms", Setting::PerTryTimeout),
        (b"hedge-on-per-try-timeout", Setting::Hedge),
    ]
    .into_iter()
    .find(|(known, _)| name.eq_ignore_ascii_case(known))
    .map(|(_, setting)| setting)
}

/// What cannot be read is passed over, as Envoy does.
fn obey(stream: &mut Stream, setting: Setting, value: &[u8]) {
    match setting {
        Setting::RetryOn => {
            let conditions = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
            let on = conditions.filter_map(RetryOn::named).fold(RetryOn::default(), RetryOn::with);
            if stream.retry.on.is_empty() && !on.is_empty() {
                let before = std::mem::take(&mut stream.retry);
                stream.retry = Retry {
                    per_try_timeout_ms: before.per_try_timeout_ms,
                    hedges: before.hedges,
                    status_codes: before.status_codes,
                    ..Retry::by_policy(&RetryPolicy::default())
                };
            }
            stream.retry.on = stream.retry.on.with(on);
        }
        Setting::StatusCodes => {
            let codes = value.split(|&byte| byte == b',').filter_map(|code| number(code.trim_ascii()));
            let codes = codes.filter_map(|code| u16::try_from(code).ok());
            for (place, code) in stream.retry.status_codes.iter_mut().zip(codes) {
                *place = code;
            }
        }
        Setting::Timeout => {
            stream.route_timeout_ms = number(value).unwrap_or(stream.route_timeout_ms);
        }
        Setting::PerTryTimeout => {
            stream.retry.per_try_timeout_ms = number(value).unwrap_or(stream.retry.per_try_timeout_ms);
        }
        Setting::Hedge => match value {
            b"true" => stream.retry.hedges = true,
            b"false" => stream.retry.hedges = false,
            _ => {}
        },
        Setting::MaxRetries => {}
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

fn starts_with(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}
