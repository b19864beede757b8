//! The data plane on an engine in memory, under histories of faults that one number decides. It touches no socket, file or
//! clock.
