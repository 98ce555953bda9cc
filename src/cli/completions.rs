//! `zkops completions SHELL`: the words that can be typed, for the shell that completes them.

use clap::CommandFactory;
use serde::Serialize;

use super::env::Env;
use super::opts::{Completions, Opts};
use crate::report::{Exit, Failure};

#[derive(Serialize)]
#[serde(tag = "event", rename = "completions")]
struct Document {
    shell: String,
    script: String,
}

pub(super) fn run(opts: &Completions, env: &Env) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(opts.shell, &mut Opts::command(), "zkops", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    env.report.text(&script);
    env.report.value(&Document { shell: opts.shell.to_string(), script });
    Ok(Exit::Done)
}
