//! `zkops start`, `zkops stop` and `zkops restart`.

use super::env::Env;
use super::opts::{Members, Stop};
use super::planned;
use crate::operator::operate::lifecycle::{self, Outcome, Request, Verb};
use crate::report::{Exit, Failure};

pub(super) async fn run(verb: Verb, opts: &Members, env: &Env) -> Result<Exit, Failure> {
    carry_out(verb, opts, true, env).await
}

pub(super) async fn stop(opts: &Stop, env: &Env) -> Result<Exit, Failure> {
    carry_out(Verb::Stop, &opts.which, opts.all || opts.yes, env).await
}

async fn carry_out(verb: Verb, opts: &Members, agreed: bool, env: &Env) -> Result<Exit, Failure> {
    let request = Request {
        verb,
        inventory: opts.source(),
        members: opts.members.clone(),
        agreed,
        dry_run: opts.dry_run,
    };
    let done = match lifecycle::run(&env.caller, &request).await? {
        Outcome::Planned(planned) => return Ok(planned::show(env, &planned)),
        Outcome::Done(done) => done,
    };
    let plan = &done.plan;
    env.report.text(&if plan.is_empty() { plan.to_string() } else { format!("{}: done\n", plan.title) });
    env.report.value(&done);
    Ok(Exit::Done)
}
