//! Plan: what deploy would do, and nothing done.

use super::caller::Caller;
use super::look::look;
use super::planned::Planned;
use super::session::Source;
use crate::operator::fleet::visit::Push;
use crate::operator::plan::Goal;
use crate::report::Failure;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub inventory: Source,
}

/// # Errors
/// As deploy, where there is no plan.
pub async fn run(caller: &Caller, request: &Request) -> Result<Planned, Failure> {
    let looked = look(caller, &request.inventory, Push::BesideIfAll, async |session, _, facts| {
        session.plan(&facts, &Goal::Deploy)
    });
    let (session, plan) = looked.await?;
    Ok(Planned { cluster: session.desired.cluster.clone(), plan })
}
