//! `zkops start`, `zkops stop`, `zkops restart` and `zkops ok-to-stop`.

use super::env::Env;
use super::opts::{Members, OkToStop, Stop};
use super::planned;
use crate::operator::operate::lifecycle::{self, Outcome, Request, Verb};
use crate::operator::operate::ok_to_stop;
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

pub(super) async fn ok_to_stop(opts: &OkToStop, env: &Env) -> Result<Exit, Failure> {
    let request = ok_to_stop::Request { inventory: opts.source(), members: opts.members.clone() };
    let outcome = ok_to_stop::run(&env.caller, &request).await?;
    env.report.text(&format!("{} may stop: the others serve without\n", outcome.members.join(", ")));
    env.report.value(&outcome);
    Ok(Exit::Done)
}
