//! The command line: typed by a user → what it means → one call → what is reported. One file a
//! verb; prompts live here alone, decisions elsewhere.
//!
//! - [`opts`]: everything that can be typed
//! - [`env`]: what verbs share: where to report, and the caller of use cases
//! - [`examples`]: the lines that each verb's help shows
//! - [`prompt`], [`view`], [`planned`]: questions to a human; findings and health as tables; a plan that is only shown
//! - [`alerts`]: health for monitoring: a plugin's line, Prometheus's text
//! - [`init`], [`deploy`], [`plan`], [`check`], [`status`], [`logs`], [`lifecycle`], [`repair`], [`destroy`], [`ssh_setup`],
//!   [`host`], [`server`], [`shell`], [`completions`], [`man`]
//! - [`txnlog`], [`snapshot`]: the verbs about a server's files; [`opts_files`]: what can be typed to them; [`moment`]:
//!   times of a day; [`lost`]: paths that lead to no such file; [`lines`]: what they print, many lines at a time
//! - [`signals`]: what ^C, TERM and HUP do to a run

mod alerts;
mod check;
mod completions;
mod deploy;
mod destroy;
mod duration;
mod env;
mod examples;
mod host;
mod init;
mod lifecycle;
mod lines;
mod logs;
mod lost;
mod man;
mod moment;
mod opts;
mod opts_files;
mod plan;
mod planned;
mod prompt;
mod repair;
mod server;
mod shell;
mod signals;
mod snapshot;
mod ssh_setup;
mod status;
mod txnlog;
mod view;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::operator::operate::advice::Advice;
use crate::operator::operate::lifecycle::Verb as Running;
use crate::operator::operate::schema;
use crate::report::{Exit, Failure, Report, Style};
use env::Env;
use opts::{Opts, Verb};

/// Runs one command line to its exit code. It is not generic, so that all of it is built here and not with `main.rs`.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let args = apache_style(args);
    let opts = match Opts::try_parse_from(help_style(&args)) {
        Ok(opts) => opts,
        Err(error) => return ExitCode::from(untyped(&args, &error)),
    };
    let report = Report::new(Style { json: opts.global.json, verbose: opts.global.verbose > 0 });
    let code = match opts.verb {
        Verb::Server(raw) => {
            log("info");
            Ok(server::run(&raw.args))
        }
        Verb::Cli(raw) => shell::run(raw.args),
        // What only reads files needs no runtime, and ends at once by a signal.
        Verb::Txnlog(asked) => {
            log("error");
            txnlog::run(&asked, &Env::new(&opts.global, &[], report.clone())).map(|exit| exit as u8)
        }
        Verb::Snapshot(asked) => {
            log("error");
            snapshot::run(&asked, &Env::new(&opts.global, &[], report.clone())).map(|exit| exit as u8)
        }
        verb => {
            log(if opts.global.verbose > 1 { "debug" } else { "error" });
            let env = Env::new(&opts.global, verb.without(), report.clone());
            runtime().and_then(|runtime| {
                let work = async {
                    match &verb {
                        Verb::Status(opts) if opts.nagios => Ok(status::plugin(opts, &env).await),
                        verb => run(verb, &env).await.map(|exit| exit as u8),
                    }
                };
                let done = runtime.block_on(signals::heard(&env, &verb, work));
                let done = done.map_err(|why| Advice::about(&env.caller, &verb.source()).failure(why));
                // A question that nobody answers any more must not keep the program.
                runtime.shutdown_background();
                done
            })
        }
    };
    report.pause();
    let code = code.unwrap_or_else(|failure| {
        report.failure(&failure);
        failure.exit as u8
    });
    ExitCode::from(report.ending(code))
}

/// `server` and `cli` take their arguments in Apache's style (`-server`, `-Dkey=value`): what
/// follows them is marked as not ours, so that clap reads none of it but a cry for help.
fn apache_style(mut args: Vec<OsString>) -> Vec<OsString> {
    if args.get(1).is_some_and(|verb| verb == "server" || verb == "cli") {
        match args.get_mut(2) {
            Some(word) if word == "--help" => {}
            Some(word) if word == "-h" => *word = OsString::from("--help"),
            _ => args.insert(2, OsString::from("--")),
        }
    }
    args
}

/// `help` takes the names of verbs and no option, the one for machines no more than others: who wants it is asked of the
/// words as they were typed.
fn help_style(args: &[OsString]) -> Vec<OsString> {
    let helps = args.iter().skip(1).find(|word| *word != JSON).is_some_and(|verb| verb == "help");
    args.iter().filter(|word| !helps || *word != JSON).cloned().collect()
}

/// What is no command line: help and version, which were asked for, or a mistake, which machines hear of in their own
/// way, too. The exit code.
fn untyped(args: &[OsString], error: &clap::Error) -> u8 {
    let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
    let ours = args.iter().skip(1).take_while(|word| *word != "--");
    let report = Report::new(Style { json: ours.into_iter().any(|word| word == JSON), verbose: false });
    let text = error.render().to_string();
    match (exit, report.style().json) {
        (Exit::Usage, true) => report.failure(&usage(&text)),
        (_, true) => report.value(&Help { text }),
        (Exit::Usage, false) => {
            // There is no other place to say it.
            let _gone = error.print();
        }
        // Help and version go to stdout.
        (_, false) => report.printed(error.print()),
    }
    report.ending(exit as u8)
}

/// What clap says of a mistake, in our four parts: what it is, how it is written, where the rest stands.
fn usage(text: &str) -> Failure {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let what = lines.next().unwrap_or_default();
    let what = what.strip_prefix("error: ").unwrap_or(what);
    let (next, evidence): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with("For more"));
    let evidence = evidence.into_iter().map(str::to_owned).collect();
    let failure = Failure::new(Exit::Usage, what).evidence("usage", evidence);
    if next.is_empty() { failure } else { failure.next("zkops --help") }
}

/// Help and version, for machines.
#[derive(serde::Serialize)]
#[serde(tag = "event", rename = "help")]
struct Help {
    text: String,
}

async fn run(verb: &Verb, env: &Env) -> Result<Exit, Failure> {
    match verb {
        Verb::Init(opts) => init::run(opts, env),
        Verb::Deploy(opts) => deploy::run(opts, env).await,
        Verb::Plan(opts) => plan::run(opts, env).await,
        Verb::Check(opts) => check::run(opts, env).await,
        Verb::Status(opts) => status::run(opts, env).await,
        Verb::Logs(opts) => logs::run(opts, env).await,
        Verb::Start(opts) => lifecycle::run(Running::Start, opts, env).await,
        Verb::Stop(opts) => lifecycle::stop(opts, env).await,
        Verb::OkToStop(opts) => lifecycle::ok_to_stop(opts, env).await,
        Verb::Restart(opts) => lifecycle::run(Running::Restart, opts, env).await,
        Verb::Repair(opts) => repair::run(opts, env).await,
        Verb::Destroy(opts) => destroy::run(opts, env).await,
        Verb::SshSetup(opts) => ssh_setup::run(opts, env).await,
        Verb::Host(opts) => host::run(opts).await,
        Verb::Schema => {
            let schema = schema::run();
            env.report.text(&schema.text);
            env.report.value(&schema);
            Ok(Exit::Done)
        }
        Verb::Server(_) | Verb::Cli(_) | Verb::Txnlog(_) | Verb::Snapshot(_) => Err(Failure::new(
            Exit::Failed,
            "servers and shells have runtimes of their own, readers of files have none",
        )),
        Verb::Completions(opts) => completions::run(opts, env),
        Verb::Man(opts) => man::run(opts, env),
        Verb::Version => {
            env.report.text(&format!("zkops {VERSION}\n"));
            env.report.value(&Version { version: VERSION });
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

#[derive(serde::Serialize)]
#[serde(tag = "event", rename = "version")]
struct Version {
    version: &'static str,
}

const JSON: &str = "--json";
const VERSION: &str = env!("CARGO_PKG_VERSION");
