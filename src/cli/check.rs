//! `zkops check`.

use super::env::Env;
use super::opts::Whole;
use super::view;
use crate::operator::operate::check::{self, Request};
use crate::report::{Exit, Failure};

pub(super) async fn run(opts: &Whole, env: &Env) -> Result<Exit, Failure> {
    let checked = check::run(&env.caller, &Request { inventory: opts.which.source() }).await?;
    let findings = &checked.findings;
    env.report.value(findings);
    if !findings.list.is_empty() {
        env.report.text(&env.report.table(&view::findings(&findings.desired, &findings.list)));
    }
    // What fails says so itself, with what to do; a warning has no other place for it.
    for warning in findings.warnings() {
        env.caller.events.note(warning);
    }
    checked.unfit.map_or(Ok(Exit::Done), Err)
}
