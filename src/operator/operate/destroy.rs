//! Destroy: asks for the cluster's name, then takes away what deploy put on the hosts.

use std::collections::BTreeSet;

use serde::Serialize;

use super::ask::{self, Question};
use super::caller::Caller;
use super::former;
use super::planned::Planned;
use super::session::{HOST_PATIENCE, Session, Source};
use crate::operator::fleet::hosts::Fleet;
use crate::operator::fleet::visit::Push;
use crate::operator::inventory::INSTALLED;
use crate::operator::observe::look::Depth;
use crate::operator::plan::desired::DesiredMember;
use crate::operator::plan::step::Plan;
use crate::operator::plan::{Goal, diagnosis, lists};
use crate::report::{Exit, Failure};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub inventory: Source,
    /// The data too.
    pub data: bool,
    /// It was agreed to beforehand; with `data` that is not enough.
    pub yes: bool,
    /// The cluster's name, given beforehand: agrees to everything.
    pub cluster: Option<String>,
    /// Only show what would be done.
    pub dry_run: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// It was a dry run.
    Planned(Planned),
    Gone(Gone),
}

/// Nothing of the ensemble is left, but the data unless it was to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename = "done")]
pub struct Gone {
    pub cluster: String,
    verb: Verb,
    /// The data too.
    #[serde(skip)]
    pub data: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verb {
    Destroy,
}

/// # Errors
/// Where it was not agreed to, and half-way where a step failed.
pub async fn run(caller: &Caller, request: &Request) -> Result<Outcome, Failure> {
    let session = Session::load(caller, &request.inventory)?;
    is_meant(&session.desired.cluster, request)?;
    // Data is looked at also where nothing else is left that could look.
    let push = if request.data { Push::Beside(caller.binary().await?) } else { Push::Never };
    let taken_away =
        session.with_fleet(&push, HOST_PATIENCE, async |fleet| take_away(&session, fleet, request).await);
    let plan = taken_away.await?;
    let cluster = session.desired.cluster.clone();
    if request.dry_run {
        return Ok(Outcome::Planned(Planned { cluster, plan }));
    }
    // It is forgotten with the rest: nothing else would say so.
    left_elsewhere(&session).into_iter().for_each(|left| caller.events.note(left));
    session.forget()?;
    session.settle("destroy", if request.data { " --data" } else { "" }, &[])?;
    Ok(Outcome::Gone(Gone { cluster, verb: Verb::Destroy, data: request.data }))
}

/// Where members were and may still be: nobody reached what deploy put there, and nothing here takes it away.
pub(super) fn left_elsewhere(session: &Session<'_>) -> BTreeSet<String> {
    let earlier = session.earlier();
    let were = earlier.iter().flat_map(|(before, _)| before.members.values());
    let is_there = |was: &DesiredMember| {
        let now = session.desired.members.get(&was.id);
        now.is_some_and(|now| lists::same_address(&now.address, &was.address))
    };
    let left = were.filter(|was| !is_there(was)).map(|was| {
        let DesiredMember { name, address, unit, dirs, ports, .. } = was;
        // Data may stand beside it.
        let (dir, own) = (diagnosis::typed(&dirs.install), INSTALLED.join(" "));
        format!(
            "what deploy put on {address} for {name} stays there, with its data in {} and tcp {}, {} and {} open in its firewall; on that host: systemctl disable --now {}; cd {dir} && rm -rf {own}",
            diagnosis::typed(&dirs.data), ports.client, ports.quorum, ports.election, unit.name
        )
    });
    left.collect()
}

/// The name that was given is that of the inventory.
fn is_meant(cluster: &str, request: &Request) -> Result<(), Failure> {
    let Some(named) = request.cluster.as_ref().filter(|named| *named != cluster) else { return Ok(()) };
    Err(Failure::new(Exit::Usage, format!("the inventory is that of {cluster:?}, not of {named:?}"))
        .state("no host was contacted"))
}

async fn take_away(session: &Session<'_>, fleet: &mut Fleet, request: &Request) -> Result<Plan, Failure> {
    let (cluster, data) = (&session.desired.cluster, request.data);
    let mut facts = session.facts(fleet, Depth::Diagnosis).await;
    former::look(session, fleet, &Push::Never, &mut facts).await?;
    let plan = session.plan(&facts, &Goal::Destroy { data })?;
    if request.dry_run {
        return Ok(plan);
    }
    let agreed = request.cluster.is_some() || (request.yes && !data);
    if !agreed && !plan.is_empty() {
        ask::agreed(&*session.caller.ask, &Question::Destroy { plan: &plan, cluster, data })?;
    }
    let mut again = format!("zkops destroy {}", session.desired.inventory);
    if data {
        again += " --data";
    }
    session.apply(fleet, &plan, &mut facts, again).await?;
    Ok(plan)
}
