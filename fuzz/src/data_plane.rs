//! Sequences of actions on the data plane: the input makes every choice of the simulator, whose oracle finds.

/// What the simulator chooses by.
pub fn run(input: &[u8]) {
    sidering_sim::run_bytes(input);
}
