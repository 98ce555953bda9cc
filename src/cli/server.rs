//! `zkops server`: the process that deploy starts. Its arguments are those of Apache's start
//! script, so none of them is ours.

use crate::report::Exit;
use crate::server::process;

/// Runs until the server is told to stop; the exit codes of a failure are the reference's.
pub(super) fn run(args: &[String]) -> u8 {
    match process::run(args) {
        Ok(()) => Exit::Done as u8,
        Err(why) => {
            tracing::error!("{why}");
            why.exit_code()
        }
    }
}
