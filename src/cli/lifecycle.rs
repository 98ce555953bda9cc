//! `zkops start`, `zkops stop` and `zkops restart`.

use super::env::Env;
use super::opts::Members;
use super::planned;
use crate::operator::operate::lifecycle::{self, Outcome, Request, Verb};
use crate::report::{Exit, Failure};

pub(super) async fn run(verb: Verb, opts: &Members, env: &Env) -> Result<Exit, Failure> {
    let request =
        Request { verb, inventory: opts.source(), members: opts.members.clone(), dry_run: opts.dry_run };
    let done = match lifecycle::run(&env.caller, &request).await? {
        Outcome::Planned(planned) => return Ok(planned::show(env, &planned)),
        Outcome::Done(done) => done,
    };
    let plan = &done.plan;
    env.report.text(&if plan.is_empty() { plan.to_string() } else { format!("{}: done\n", plan.title) });
    env.report.value(&done);
    Ok(Exit::Done)
}
