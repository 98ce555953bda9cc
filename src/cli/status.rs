//! `zkops status`: once, or again and again.

use super::env::Env;
use super::opts::Status;
use super::view;
use crate::operator::operate::session::Session;
use crate::operator::operate::status::{self, Outcome};
use crate::report::{Exit, Failure};

pub(super) async fn run(opts: &Status, env: &Env) -> Result<Exit, Failure> {
    let session = Session::load(&env.caller, &opts.source())?;
    loop {
        let outcome = status::run(&session).await?;
        if opts.watch && !env.report.style().json {
            env.report.text(CLEAR);
        }
        show(env, &outcome);
        if !opts.watch {
            return Ok(outcome.exit());
        }
        tokio::time::sleep(opts.interval).await;
    }
}

fn show(env: &Env, outcome: &Outcome) {
    env.report.value(outcome);
    let health = &outcome.health;
    let mut text = env.report.table(&view::health(health));
    text += &format!("{}\n", health.verdict);
    text += &view::reasons(&health.reasons);
    env.report.text(&text);
}

/// To the top left, and everything below is erased.
const CLEAR: &str = "\x1b[H\x1b[2J";
