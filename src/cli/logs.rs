//! `zkops logs`.

use super::env::Env;
use super::opts::Logs;
use crate::operator::operate::log_lines::Line;
use crate::operator::operate::logs::{self, Request};
use crate::report::{Exit, Failure};

pub(super) async fn run(opts: &Logs, env: &Env) -> Result<Exit, Failure> {
    let request = Request {
        inventory: opts.source(),
        members: opts.members.clone(),
        since_ms: opts.since,
        lines: opts.lines.into(),
        follow: opts.follow,
    };
    let tell = |line: Line| {
        env.report.value(&line);
        let at =
            line.at.map_or_else(|| "-".to_owned(), |at| at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
        env.report.text(&format!("{at} {} {}\n", line.member, line.text));
        !env.report.is_unread()
    };
    let outcome = logs::run(&env.caller, &request, tell).await?;
    Ok(if outcome.is_whole { Exit::Done } else { Exit::Unreachable })
}
