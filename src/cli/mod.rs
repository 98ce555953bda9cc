//! The command line: typed by a user → what it means → one call → what is reported. One file a
//! verb; prompts live here alone, decisions elsewhere.
//!
//! - [`opts`]: everything that can be typed
//! - [`env`]: what verbs share: where to report, and the caller of use cases
//! - [`prompt`], [`view`], [`planned`]: questions to a human; findings and health as tables; a plan that is only shown
//! - [`deploy`], [`plan`], [`check`], [`status`], [`lifecycle`], [`repair`], [`destroy`], [`ssh_setup`], [`host`],
//!   [`server`], [`shell`]

mod check;
mod deploy;
mod destroy;
mod duration;
mod env;
mod host;
mod lifecycle;
mod opts;
mod plan;
mod planned;
mod prompt;
mod repair;
mod server;
mod shell;
mod ssh_setup;
mod status;
mod view;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::operator::operate::lifecycle::Verb as Running;
use crate::report::{Exit, Failure, Report, Style};
use env::Env;
use opts::{Opts, Verb};

/// Runs one command line to its exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let opts = match Opts::try_parse_from(apache_style(args.into_iter().collect())) {
        Ok(opts) => opts,
        Err(error) => {
            // Help and version go to stdout and are no failure.
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            let _gone = error.print();
            return ExitCode::from(code as u8);
        }
    };
    let report = Report::new(Style { json: opts.global.json, verbose: opts.global.verbose > 0 });
    let code = match opts.verb {
        Verb::Server(raw) => {
            log("info");
            Ok(server::run(&raw.args))
        }
        Verb::Cli(raw) => shell::run(raw.args),
        verb => {
            log(if opts.global.verbose > 1 { "debug" } else { "error" });
            let env = Env::new(&opts.global, report.clone());
            runtime().and_then(|runtime| runtime.block_on(run(&verb, &env))).map(|exit| exit as u8)
        }
    };
    report.pause();
    code.map(ExitCode::from).unwrap_or_else(|failure| {
        report.failure(&failure);
        ExitCode::from(failure.exit as u8)
    })
}

/// `server` and `cli` take their arguments in Apache's style (`-server`, `-Dkey=value`): what
/// follows them is marked as not ours, so that clap reads none of it.
fn apache_style(mut args: Vec<OsString>) -> Vec<OsString> {
    if args.get(1).is_some_and(|verb| verb == "server" || verb == "cli") {
        args.insert(2, OsString::from("--"));
    }
    args
}

async fn run(verb: &Verb, env: &Env) -> Result<Exit, Failure> {
    match verb {
        Verb::Deploy(opts) => deploy::run(opts, env).await,
        Verb::Plan(opts) => plan::run(opts, env).await,
        Verb::Check(opts) => check::run(opts, env).await,
        Verb::Status(opts) => status::run(opts, env).await,
        Verb::Start(opts) => lifecycle::run(Running::Start, opts, env).await,
        Verb::Stop(opts) => lifecycle::run(Running::Stop, opts, env).await,
        Verb::Restart(opts) => lifecycle::run(Running::Restart, opts, env).await,
        Verb::Repair(opts) => repair::run(opts, env).await,
        Verb::Destroy(opts) => destroy::run(opts, env).await,
        Verb::SshSetup(opts) => ssh_setup::run(opts, env).await,
        Verb::Host(opts) => host::run(opts).await,
        Verb::Server(_) | Verb::Cli(_) => {
            Err(Failure::new(Exit::Failed, "a server and a shell have runtimes of their own"))
        }
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

/// The program's own log, on stderr; `RUST_LOG` overrules `level`.
fn log(level: &str) {
    let wanted = std::env::var("RUST_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let filter = wanted.or_else(|| level.parse().ok()).unwrap_or_default();
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt::layer().with_ansi(colour).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(filter).with(lines).init();
}
