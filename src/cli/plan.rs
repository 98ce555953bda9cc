//! `zkops plan`.

use super::env::Env;
use super::opts::Whole;
use super::planned;
use crate::operator::operate::plan::{self, Request};
use crate::report::{Exit, Failure};

pub(super) async fn run(opts: &Whole, env: &Env) -> Result<Exit, Failure> {
    let planned = plan::run(&env.caller, &Request { inventory: opts.which.source() }).await?;
    Ok(planned::show(env, &planned))
}
