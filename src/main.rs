//! Hardens the process, calls the library, exits.

use std::process::ExitCode;

/// Freed memory is overwritten, also what libraries leave behind: the SDK and the parsers keep
/// secrets in plain strings.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    ExitCode::from(vault::main())
}
