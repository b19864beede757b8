//! The routes of calls that were found before, by the method that is called, as far as they are plain. It finds none itself.

use crate::config::{EnvoyHeaders, Forward, HttpOptions, Underscores};
use crate::net::listener::CoreListener;
use crate::observe::methods::{MethodPlace, NAME_BYTES};
use crate::route::Routed;
use rustc_hash::FxHasher;
use std::cell::RefCell;
use std::hash::Hasher;

/// What a call needs to know of a plain route: one that sends it to its one cluster as it is, and does nothing more to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainRoute {
    /// Its virtual host and its place therein.
    pub place: (u32, u32),
    pub line: u32,
    /// The core's key of it.
    pub cluster: u32,
    /// It asks endpoints for metadata.
    pub has_subset: bool,
    /// These are of the call; 0 is off.
    pub timeout_ms: u64,
    pub idle_timeout_ms: u64,
    pub max_duration_ms: u64,
}

/// Methods that are known at most; calls of others have their routes found each time.
const KNOWN_METHODS: usize = 1024;
/// A hash table with twice the room, so that most methods are found at once.
const PLACES: usize = 2 * KNOWN_METHODS;
/// Places that are looked at for one method, so that none takes long, whatever methods clients think of.
const PROBES: usize = 16;

/// What is known of one listener's routes, for as long as its configuration lasts.
#[derive(Debug, Default)]
pub struct KnownRoutes {
    table: RefCell<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// None before the first call.
    places: Box<[Option<Box<Known>>]>,
    len: usize,
}

/// A method whose calls have a plain route.
#[derive(Debug)]
struct Known {
    hash: u64,
    service: Box<[u8]>,
    method: Box<[u8]>,
    counted: MethodPlace,
    route: PlainRoute,
}

impl KnownRoutes {
    /// Where calls of a method are counted, and their route, if that is a plain one.
    #[inline]
    pub fn of(&self, service: &[u8], method: &[u8]) -> Option<(MethodPlace, PlainRoute)> {
        let table = self.table.borrow();
        let hash = hash_of(service, method);
        for at in places_of(hash) {
            let known = table.places.get(at)?.as_deref()?;
            if known.is(hash, service, method) {
                return Some((known.counted, known.route));
            }
        }
        None
    }

    /// A call of this method was found to have this route, and is counted there.
    pub fn note(&self, service: &[u8], method: &[u8], counted: MethodPlace, route: PlainRoute) {
        let mut table = self.table.borrow_mut();
        let is_short = service.len() <= NAME_BYTES && method.len() <= NAME_BYTES;
        if table.len == KNOWN_METHODS || !is_short {
            return;
        }
        if table.places.is_empty() {
            table.places = (0..PLACES).map(|_| None).collect();
        }
        let hash = hash_of(service, method);
        for at in places_of(hash) {
            match &table.places[at] {
                Some(known) if known.is(hash, service, method) => return,
                Some(_) => {}
                None => {
                    let (service, method) = (service.into(), method.into());
                    table.places[at] = Some(Box::new(Known { hash, service, method, counted, route }));
                    table.len += 1;
                    return;
                }
            }
        }
    }
}

impl Known {
    fn is(&self, hash: u64, service: &[u8], method: &[u8]) -> bool {
        self.hash == hash && *self.service == *service && *self.method == *method
    }
}

fn places_of(hash: u64) -> impl Iterator<Item = usize> {
    (0..PROBES).map(move |step| (hash as usize).wrapping_add(step) % PLACES)
}

#[inline]
fn hash_of(service: &[u8], method: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(service);
    hasher.write(method);
    hasher.finish()
}

/// Whether a listener with these options leaves calls as they are.
pub(super) fn leaves_calls(options: &HttpOptions) -> bool {
    !options.use_remote_address
        && !options.generate_request_id
        && options.via.is_none()
        && options.underscores == Underscores::Allow
        && !options.normalize_path
        && options.envoy_headers == EnvoyHeaders::Ignore
}

impl CoreListener {
    /// What is needed of a route that was found, if it is plain. `cluster_key` is the core's key of its cluster.
    pub fn plain_route(
        &self,
        found: Routed<'_>,
        forward: &Forward,
        cluster_key: Option<u32>,
    ) -> Option<PlainRoute> {
        let place = (found.virtual_host as u32, found.index as u32);
        let meets_filters =
            self.chain().is_some_and(|chain| !chain.filters(chain.row(Some(place))).is_empty());
        if meets_filters || !is_plain(forward) {
            return None;
        }
        Some(PlainRoute {
            place,
            line: found.route.line,
            cluster: cluster_key?,
            has_subset: !forward.subset.is_empty(),
            timeout_ms: forward.timeout_ms,
            idle_timeout_ms: forward.idle_timeout_ms.unwrap_or(self.config.limits.stream_idle_timeout_ms),
            max_duration_ms: forward.max_stream_duration_ms,
        })
    }
}

/// Whether its calls go to one cluster as they are, once, and to nobody else. What it bridges are no calls.
fn is_plain(forward: &Forward) -> bool {
    forward.weighted_clusters.is_empty()
        && forward.cluster_header.is_none()
        && forward.rewrite.is_none()
        && forward.retry.is_none()
        && forward.hash.is_empty()
        && forward.mirror.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTE: PlainRoute = PlainRoute {
        place: (0, 1),
        line: 7,
        cluster: 3,
        has_subset: false,
        timeout_ms: 15_000,
        idle_timeout_ms: 0,
        max_duration_ms: 0,
    };

    fn note(known: &KnownRoutes, service: &str, method: &str, line: u32) {
        let route = PlainRoute { line, ..ROUTE };
        known.note(service.as_bytes(), method.as_bytes(), MethodPlace::NONE, route);
    }

    fn line(known: &KnownRoutes, service: &str, method: &str) -> Option<u32> {
        known.of(service.as_bytes(), method.as_bytes()).map(|(_, route)| route.line)
    }

    #[test]
    fn a_method_is_found_by_its_own_name_alone() {
        let known = KnownRoutes::default();
        assert_eq!(line(&known, "ab", "c"), None);
        note(&known, "ab", "c", 1);
        note(&known, "a", "bc", 2);
        note(&known, "ab", "c", 3);
        assert_eq!((line(&known, "ab", "c"), line(&known, "a", "bc")), (Some(1), Some(2)));
        assert_eq!(
            (line(&known, "abc", ""), line(&known, "", "abc"), line(&known, "ab", "")),
            (None, None, None)
        );
    }

    #[test]
    fn methods_are_known_up_to_their_number_and_no_further() {
        let known = KnownRoutes::default();
        let mut noted = 0;
        for at in 0..KNOWN_METHODS + 1000 {
            let method = format!("method-{at}");
            note(&known, "service", &method, at as u32);
            noted += usize::from(line(&known, "service", &method) == Some(at as u32));
            assert_eq!(known.table.borrow().len, noted);
            assert!(noted <= KNOWN_METHODS);
        }
        // A few may have found all their places taken before.
        assert_eq!(noted, KNOWN_METHODS);
        assert_eq!(line(&known, "service", "method-0"), Some(0), "who is there stays");
    }

    #[test]
    fn names_are_kept_up_to_their_length_and_no_longer() {
        let known = KnownRoutes::default();
        for (length, is_known) in [(NAME_BYTES - 1, true), (NAME_BYTES, true), (NAME_BYTES + 1, false)] {
            let long = "x".repeat(length);
            for (service, method) in [(long.as_str(), "m"), ("s", long.as_str())] {
                note(&known, service, method, 1);
                assert_eq!(line(&known, service, method).is_some(), is_known, "{length}");
            }
        }
    }

    #[test]
    fn methods_of_one_hash_take_no_more_than_their_places() {
        let known = KnownRoutes::default();
        known.table.borrow_mut().places = (0..PLACES).map(|_| None).collect();
        let hash = hash_of(b"s", b"m");
        for at in places_of(hash) {
            let name = format!("other-{at}");
            let (service, method) = (name.as_bytes().into(), b"m"[..].into());
            let other = Known { hash, service, method, counted: MethodPlace::NONE, route: ROUTE };
            known.table.borrow_mut().places[at] = Some(Box::new(other));
        }
        note(&known, "s", "m", 1);
        assert_eq!(line(&known, "s", "m"), None);
    }
}
