//! Sidering with one protocol more. Its command line is `sidering`'s.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    sidering::run(sidering_example_protocol::PROTOCOLS)
}
