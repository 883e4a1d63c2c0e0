//! Hardens the process, calls the library, exits.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: vault::os::WipingAllocator = vault::os::WipingAllocator;

fn main() -> ExitCode {
    ExitCode::from(vault::main())
}
