//! What header rules and zones come to, as the peers expect it: worked out without the data plane's own code.

use crate::choices::Choices;

/// A field that clients and upstreams send and rules take away.
pub(crate) const DROPPED: &str = "x-drop";
/// A field that each level adds; and in which order.
pub(crate) const ADDED: &str = "x-added";
pub(crate) const LEVELS: [&str; 3] = ["route", "host", "listener"];
/// A field that says whose request it is.
pub(crate) const STAMP: &str = "x-stamp";
/// A field that says of an answer what it answers.
pub(crate) const ANSWERED: &str = "x-answered";
/// A field that says which place took a request.
pub(crate) const CELL: &str = "x-cell";
/// The cells and the cities that they are in: the near one, and the far one.
pub(crate) const PLACES: [&str; 4] = ["near-cell", "far-cell", "near", "far"];

/// What is switched off of the far city.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Off {
    Nothing,
    Cell,
    City,
}

impl Off {
    pub(crate) fn new(choices: &mut Choices) -> Self {
        choices.pick(&[Off::Nothing, Off::Cell, Off::City])
    }

    /// Which place takes the request with this tag to this cluster. Cells have every other cluster.
    pub(crate) fn place(self, tag: u32, cluster: usize) -> &'static str {
        let [near_cell, far_cell, near, far] = PLACES;
        let has_cell = cluster.is_multiple_of(2);
        let is_near = match (tag % 10, self) {
            (0..=3, _) => true,
            (_, Off::Nothing) => false,
            // Nobody stands by for these: they come to the city that the proxy is in.
            (4..=6, _) => return near,
            _ => true,
        };
        match (is_near, has_cell) {
            (true, true) => near_cell,
            (true, false) => near,
            (false, true) => far_cell,
            (false, false) => far,
        }
    }
}
