//! Peers that break the rules, of every protocol of calls, on either side: whoever breaks them gets a clear error or is cut off, what it
//! costs is bounded, and everybody else on the same worker is served all the while.

mod floods;
mod lengths;
mod nested;
mod silence;
mod stage;
mod strays;
