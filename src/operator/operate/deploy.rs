//! Deploy: every host as the inventory says, and the ensemble ready.

use std::path::PathBuf;

use serde::Serialize;

use super::caller::Caller;
use super::former;
use super::look::look;
use super::planned::Planned;
use super::session::{HOST_PATIENCE, Session, Source};
use crate::operator::apply::run::Applied;
use crate::operator::fleet::hosts::Fleet;
use crate::operator::fleet::visit::Push;
use crate::operator::observe;
use crate::operator::observe::look::Depth;
use crate::operator::plan::facts::{Facts, Former, HostView, Old};
use crate::operator::plan::step::{Action, Plan};
use crate::operator::plan::{Goal, deploy, ensemble};
use crate::report::{Exit, Failure};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub inventory: PathBuf,
    /// Only show what would be done.
    pub dry_run: bool,
    /// Hosts of members that have moved, and cannot be reached, will never run their old servers again: the person
    /// says so.
    pub old_host_is_gone: bool,
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
        let gone = if self.old_host_is_gone { " --old-host-is-gone" } else { "" };
        format!("zkops deploy {}{gone}", self.inventory.display())
    }
}

/// # Errors
/// With every reason at once, where the hosts are not fit; half-way, with what to do, where a step failed.
pub async fn run(caller: &Caller, request: &Request) -> Result<Outcome, Failure> {
    let inventory = Source::File(request.inventory.clone());
    let looked = look(caller, &inventory, Push::BesideIfAll, async |session, fleet, mut facts| {
        facts.elsewhere.says_gone(request.old_host_is_gone);
        let plan = session.plan(&facts, &Goal::Deploy)?;
        if request.dry_run {
            return Ok(Deployed::Planned(plan));
        }
        let applied = carry_out(session, fleet, &plan, &mut facts, request).await?;
        all_arrived(session, &facts)?;
        see_behind(session, fleet, &mut facts).await?;
        Ok(Deployed::Applied(facts, (!plan.is_empty()).then_some(applied)))
    });
    let (session, deployed) = looked.await?;
    Ok(match deployed {
        Deployed::Planned(plan) => {
            Outcome::Planned(Planned { cluster: session.desired.cluster.clone(), plan })
        }
        Deployed::Applied(facts, applied) => {
            session.settle("deploy", "", &[])?;
            Outcome::Ready(ready(&session, &facts, applied))
        }
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
            former::look(session, fleet, &Push::Never, facts).await?;
            facts.elsewhere.says_gone(request.old_host_is_gone);
            let rest = session.plan(facts, &Goal::Deploy)?;
            session.apply(fleet, &rest, facts, request.command()).await
        }
        // Members came from addresses that nobody could know: let in, too, and proven again.
        Err(stopped) if stopped.exit == Exit::Preflight && !facts.observed.is_empty() => {
            let mut now = session.facts(fleet, Depth::Preflight).await;
            now.observed.clone_from(&facts.observed);
            observe::facts::firewalls(fleet, &mut now, session.caller.at_most(HOST_PATIENCE)).await;
            let rest = session.plan(&now, &Goal::Deploy)?;
            let opens =
                |plan: &Plan| plan.steps().any(|step| matches!(step.action, Action::OpenPorts { .. }));
            if !opens(&rest) {
                return Err(stopped);
            }
            session.caller.events.note(format!("{}; planned again", stopped.what));
            let result = session.apply(fleet, &rest, &mut now, request.command()).await;
            *facts = now;
            result
        }
        other => other,
    }
}

/// After a good end nobody lives any more where he was before, unless only a fence keeps him there.
fn all_arrived(session: &Session<'_>, facts: &Facts) -> Result<(), Failure> {
    let away = |old: &Former| matches!(old.view, Old::Host(HostView::Unasked | HostView::Unreachable(_)));
    let unsettled = !session.left_out.is_empty() || facts.elsewhere.former.iter().any(away);
    if unsettled { Ok(()) } else { session.all_arrived() }
}

/// What is told at the end was seen behind the last step, with a leader among the servers.
async fn see_behind(session: &Session<'_>, fleet: &Fleet, facts: &mut Facts) -> Result<(), Failure> {
    let tells = |facts: &Facts| deploy::tells_ready(&session.desired, facts, fleet.stamp());
    if tells(facts) {
        return Ok(());
    }
    *facts = session.facts(fleet, Depth::State).await;
    if tells(facts) {
        return Ok(());
    }
    let what = format!("everything was done, and nobody is seen to lead {}", session.desired.cluster);
    Err(Failure::new(Exit::Halfway, what).next("zkops status"))
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
