//! Deploy: every host as the inventory says, and the ensemble ready.

use std::path::PathBuf;

use serde::Serialize;

use super::caller::Caller;
use super::look::look;
use super::planned::Planned;
use super::session::{Session, Source};
use crate::operator::apply::run::Applied;
use crate::operator::fleet::hosts::Fleet;
use crate::operator::fleet::visit::Push;
use crate::operator::observe::look::Depth;
use crate::operator::plan::facts::Facts;
use crate::operator::plan::step::Plan;
use crate::operator::plan::{Goal, ensemble};
use crate::report::Failure;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub inventory: PathBuf,
    /// Only show what would be done.
    pub dry_run: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// It was a dry run.
    Planned(Planned),
    Ready(Ready),
}

/// The good end: who leads, and how one gets there.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename = "ready")]
pub struct Ready {
    pub cluster: String,
    /// Name of the member that leads.
    pub leader: Option<String>,
    /// The connect string of all client ports.
    pub connect: String,
    pub took_ms: u64,
    /// Members that follow in sync, the leader included.
    #[serde(skip)]
    pub in_sync: usize,
    /// The servers start again by themselves after a restart of their hosts.
    #[serde(skip)]
    pub survives_reboot: bool,
    /// What was done; `None`: there was nothing to do.
    #[serde(skip)]
    pub applied: Option<Applied>,
}

impl Request {
    /// As one would type it.
    pub fn command(&self) -> String {
        format!("zkops deploy {}", self.inventory.display())
    }
}

/// # Errors
/// With every reason at once, where the hosts are not fit; half-way, with what to do, where a step failed.
pub async fn run(caller: &Caller, request: &Request) -> Result<Outcome, Failure> {
    let inventory = Source::File(request.inventory.clone());
    let looked = look(caller, &inventory, Push::BesideIfAll, async |session, fleet, mut facts| {
        let plan = session.plan(&facts, &Goal::Deploy)?;
        if request.dry_run {
            return Ok(Deployed::Planned(plan));
        }
        let applied = carry_out(session, fleet, &plan, &mut facts, request).await?;
        Ok(Deployed::Applied(facts, (!plan.is_empty()).then_some(applied)))
    });
    let (session, deployed) = looked.await?;
    Ok(match deployed {
        Deployed::Planned(plan) => {
            Outcome::Planned(Planned { cluster: session.desired.cluster.clone(), plan })
        }
        Deployed::Applied(facts, applied) => Outcome::Ready(ready(&session, &facts, applied)),
    })
}

/// What happened while the hosts were there.
enum Deployed {
    Planned(Plan),
    Applied(Facts, Option<Applied>),
}

async fn carry_out(
    session: &Session<'_>,
    fleet: &mut Fleet,
    plan: &Plan,
    facts: &mut Facts,
    request: &Request,
) -> Result<Applied, Failure> {
    // Before anything changes: also a deployment that stops half-way can be repaired or destroyed.
    session.remember()?;
    match session.apply(fleet, plan, facts, request.command()).await {
        // Ports that were opened brought a quorum together: what is left is done one by one.
        Err(stopped) if plan.expects_idle() && ensemble::serves(&session.desired, facts) => {
            session.caller.events.note(format!("{}; planned again", stopped.what));
            *facts = session.facts(fleet, Depth::Preflight).await;
            let rest = session.plan(facts, &Goal::Deploy)?;
            session.apply(fleet, &rest, facts, request.command()).await
        }
        other => other,
    }
}

fn ready(session: &Session<'_>, facts: &Facts, applied: Option<Applied>) -> Ready {
    let desired = &session.desired;
    Ready {
        cluster: desired.cluster.clone(),
        leader: ensemble::leader(desired, facts).map(|id| desired.name(id)),
        connect: session.connect_string(),
        took_ms: session.caller.elapsed_ms(),
        in_sync: ensemble::in_sync(desired, facts).len(),
        survives_reboot: desired.members.keys().filter_map(|id| facts.host(*id)).all(|host| host.systemd),
        applied,
    }
}
