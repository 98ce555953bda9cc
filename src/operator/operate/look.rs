//! The look that deploy, plan and check begin with: everything there is to see, by our own binary on every host.

use std::sync::Arc;
use std::time::Duration;

use super::caller::Caller;
use super::former;
use super::session::{HOST_PATIENCE, Session, Source};
use crate::operator::fleet::hosts::Fleet;
use crate::operator::fleet::visit::Push;
use crate::operator::observe::look::Depth;
use crate::operator::observe::reach::{self, Probe};
use crate::operator::observe::token::random_hex;
use crate::operator::plan::facts::Facts;
use crate::operator::transport::LocalBinary;
use crate::report::{Event, Failure};

/// What `work` made of the look, with the ensemble it was about.
///
/// # Errors
/// Those of the inventory, and of `work`.
pub(super) async fn look<'a, T>(
    caller: &'a Caller,
    inventory: &Source,
    push: fn(Arc<LocalBinary>) -> Push,
    work: impl AsyncFnOnce(&Session<'_>, &mut Fleet, Facts) -> Result<T, Failure>,
) -> Result<(Session<'a>, T), Failure> {
    let session = Session::load(caller, inventory)?;
    let binary = caller.binary().await?;
    let session = session.with_binary(&binary);
    caller.events.event(Event::Phase { title: format!("look at {}", session.desired.cluster) });
    let push = push(binary);
    let looked = session.with_fleet(&push, HOST_PATIENCE, async |fleet| {
        let mut facts = session.facts(fleet, Depth::Preflight).await;
        former::look(&session, fleet, &push, &mut facts).await?;
        work(&session, fleet, facts).await
    });
    let result = looked.await?;
    Ok((session, result))
}

/// Who reaches whom, tried with listeners of our own; for people who only want to know.
pub(super) async fn reach(fleet: &Fleet, facts: &mut Facts) {
    let tried = reach::matrix(fleet, facts, Probe::Listeners, &random_hex(8), REACH_PATIENCE).await;
    tried.into_facts(facts);
}

/// For one connection of the matrix.
const REACH_PATIENCE: Duration = Duration::from_secs(3);
