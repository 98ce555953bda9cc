//! `zkops status`: once, or again and again.

use super::env::Env;
use super::opts::Status;
use super::{alerts, view};
use crate::operator::operate::session::Session;
use crate::operator::operate::status::{self, Outcome};
use crate::report::{Exit, Failure};

/// The exit code of a monitoring plugin; whatever goes wrong is told as one tells it.
pub(super) async fn plugin(opts: &Status, env: &Env) -> u8 {
    let (code, text) = alerts::plugin(&once(opts, env).await);
    env.report.text(&text);
    code
}

async fn once(opts: &Status, env: &Env) -> Result<Outcome, Failure> {
    status::run(&Session::load(&env.caller, &opts.which.source())?).await
}

pub(super) async fn run(opts: &Status, env: &Env) -> Result<Exit, Failure> {
    if opts.prometheus {
        let looked = once(opts, env).await;
        env.report.text(&alerts::metrics(&looked));
        return looked.map(|outcome| outcome.exit());
    }
    let session = Session::load(&env.caller, &opts.which.source())?;
    if !opts.watch {
        let outcome = status::run(&session).await?;
        env.report.value(&outcome);
        env.report.text(&drawn(env, &outcome));
        return Ok(outcome.exit());
    }
    // Until it is interrupted, or nobody reads any more.
    while !env.report.is_unread() {
        let outcome = status::quietly(&session).await?;
        env.report.value(&outcome);
        let clear = if env.report.redraws() { CLEAR } else { "" };
        let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC");
        env.report.text(&format!("{clear}{now}\n{}", drawn(env, &outcome)));
        tokio::time::sleep(opts.interval).await;
    }
    Ok(Exit::Done)
}

fn drawn(env: &Env, outcome: &Outcome) -> String {
    let health = &outcome.health;
    let mut text = env.report.table(&view::health(health));
    text += &format!("{}\n", health.verdict);
    for note in &health.notes {
        text += &format!("note: {note}\n");
    }
    text + &view::reasons(&health.reasons)
}

/// To the top left, and everything below is erased.
const CLEAR: &str = "\x1b[H\x1b[2J";
