//! The command line: typed by a user → what it means → one call → what is reported. One file a
//! verb; prompts live here alone, decisions elsewhere.
//!
//! - [`opts`]: everything that can be typed
//! - [`env`], [`session`], [`record`]: what verbs share: settings, the ensemble, the last deployment
//! - [`prompt`], [`view`]: questions to a human; plans and health as tables and documents
//! - [`deploy`] (with plan and check), [`status`], [`lifecycle`], [`repair`], [`destroy`], [`ssh_setup`], [`host`]

mod deploy;
mod destroy;
mod env;
mod host;
mod lifecycle;
mod opts;
mod prompt;
mod record;
mod repair;
mod session;
mod ssh_setup;
mod status;
mod view;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use env::Env;
use opts::{Opts, Verb};

use crate::report::{Exit, Failure, Report, Style};

/// Runs one command line to its exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let opts = match Opts::try_parse_from(args) {
        Ok(opts) => opts,
        Err(error) => {
            // Help and version go to stdout and are no failure.
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            let _gone = error.print();
            return ExitCode::from(code as u8);
        }
    };
    log(opts.global.verbose);
    let report = Report::new(Style { json: opts.global.json, verbose: opts.global.verbose > 0 });
    let env = Env::new(opts.global, report.clone());
    let exit = runtime().and_then(|runtime| runtime.block_on(run(&opts.verb, &env)));
    report.pause();
    match exit {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(failure) => {
            report.failure(&failure);
            ExitCode::from(failure.exit as u8)
        }
    }
}

async fn run(verb: &Verb, env: &Env) -> Result<Exit, Failure> {
    match verb {
        Verb::Deploy(opts) => deploy::run(opts, env).await,
        Verb::Plan(opts) => deploy::plan(opts, env).await,
        Verb::Check(opts) => deploy::check(opts, env).await,
        Verb::Status(opts) => status::run(opts, env).await,
        Verb::Start(opts) => lifecycle::run(lifecycle::Verb::Start, opts, env).await,
        Verb::Stop(opts) => lifecycle::run(lifecycle::Verb::Stop, opts, env).await,
        Verb::Restart(opts) => lifecycle::run(lifecycle::Verb::Restart, opts, env).await,
        Verb::Repair(opts) => repair::run(opts, env).await,
        Verb::Destroy(opts) => destroy::run(opts, env).await,
        Verb::SshSetup(opts) => ssh_setup::run(opts, env).await,
        Verb::Host(opts) => host::run(opts).await,
        Verb::Version => {
            env.report.text(&format!("zkops {}\n", env!("CARGO_PKG_VERSION")));
            Ok(Exit::Done)
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|why| Failure::new(Exit::Failed, format!("cannot start the runtime: {why}")))
}

/// The program's own log, on stderr, only when asked for: `-vv` or `RUST_LOG`.
fn log(verbose: u8) {
    let default = if verbose > 1 { "debug" } else { "error" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
