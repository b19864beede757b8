//! The `sidering` binary: the program of the library beside it, with the protocols that are always there.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    sidering::run(&[])
}
