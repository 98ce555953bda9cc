//! The program: sets up what a static binary needs before any thread runs, hands the arguments
//! to `cli`, and exits with what it says. Nothing else happens here.
//!
//! Rust ignores SIGPIPE; `report` takes a reader that went away as no reason to stop, so that
//! `zkops deploy … | head` finishes its deployment.

mod name_service;

use std::process::ExitCode;

fn main() -> ExitCode {
    name_service::use_only_what_is_linked();
    zkops::cli::main(std::env::args_os().collect())
}
