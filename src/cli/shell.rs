//! `zkops cli`: the shell, with the arguments of zkCli.sh.

use super::runtime;
use crate::report::Failure;
use crate::shell::{self, Io};

/// Runs the shell to its end; the exit code is its own.
///
/// # Errors
/// When the runtime cannot be started.
pub(super) fn run(args: Vec<String>) -> Result<u8, Failure> {
    let runtime = runtime()?;
    let code = runtime.block_on(shell::run(args, Io::process()));
    // A thread that still waits for a key must not keep the program.
    runtime.shutdown_background();
    Ok(u8::try_from(code).unwrap_or(1))
}
