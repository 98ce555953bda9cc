//! `zkops destroy`.

use super::env::Env;
use super::opts::Destroy;
use super::planned;
use crate::operator::operate::destroy::{self, Outcome, Request};
use crate::report::{Exit, Failure};

pub(super) async fn run(opts: &Destroy, env: &Env) -> Result<Exit, Failure> {
    let request = Request {
        inventory: opts.which.source(),
        data: opts.data,
        yes: opts.yes,
        cluster: opts.cluster.clone(),
        dry_run: opts.dry_run,
    };
    let gone = match destroy::run(&env.caller, &request).await? {
        Outcome::Planned(planned) => return Ok(planned::show(env, &planned)),
        Outcome::Gone(gone) => gone,
    };
    let kept = if gone.data { "" } else { "; its data stays" };
    env.caller.events.note(format!("{} is gone{kept}", gone.cluster));
    env.report.value(&gone);
    Ok(Exit::Done)
}
