//! `zkops plan`.

use super::env::Env;
use super::opts::Inventory;
use super::planned;
use crate::operator::operate::plan::{self, Request};
use crate::report::{Exit, Failure};

pub(super) async fn run(opts: &Inventory, env: &Env) -> Result<Exit, Failure> {
    let planned = plan::run(&env.caller, &Request { inventory: opts.source() }).await?;
    Ok(planned::show(env, &planned))
}
