//! Repair: the mildest cure first; if the member is still not in sync after it, its data is moved aside, behind the
//! proof that the others hold everything.

use serde::Serialize;

use super::ask::{self, Question};
use super::caller::Caller;
use super::planned::Planned;
use super::session::{HOST_PATIENCE, Session, Source};
use crate::operator::fleet::hosts::Fleet;
use crate::operator::fleet::visit::Push;
use crate::operator::observe::look::Depth;
use crate::operator::plan::facts::Facts;
use crate::operator::plan::repair::{self, Wipe};
use crate::operator::plan::step::Plan;
use crate::operator::plan::{Goal, ensemble};
use crate::report::{Exit, Failure};
use crate::wire::ids::ServerId;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// By name or id.
    pub member: String,
    pub inventory: Source,
    /// It was agreed to beforehand.
    pub yes: bool,
    /// All data anew from the others, whatever the diagnosis says.
    pub wipe: bool,
    /// What this and earlier repairs moved aside is removed.
    pub purge_old: bool,
    /// Only show what would be done.
    pub dry_run: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// It was a dry run.
    Planned(Planned),
    Repaired(Repaired),
}

/// How the member is now, and what repairs left behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename = "repaired")]
pub struct Repaired {
    /// Its name.
    pub member: String,
    /// Full paths of what repairs moved aside; it stays until somebody says otherwise.
    pub old_data: Vec<String>,
    /// `None`: it was in sync, there was nothing to repair.
    #[serde(skip)]
    pub back: Option<Back>,
}

/// A member after its cure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Back {
    /// leader, follower, observer.
    pub mode: String,
    pub in_sync: bool,
    pub took_ms: u64,
}

impl Repaired {
    pub fn exit(&self) -> Exit {
        if self.back.as_ref().is_none_or(|back| back.in_sync) { Exit::Done } else { Exit::Halfway }
    }
}

impl Request {
    /// As one would type it.
    pub fn command(&self) -> String {
        let inventory = match &self.inventory {
            Source::File(path) => format!(" --inventory {}", path.display()),
            Source::LastDeployed => String::new(),
        };
        format!("zkops repair {}{inventory}", self.member)
    }
}

/// # Errors
/// Refused where the others are not proven to hold everything; half-way where no cure helped.
pub async fn run(caller: &Caller, request: &Request) -> Result<Outcome, Failure> {
    let session = Session::load(caller, &request.inventory)?;
    let member = session.members(std::slice::from_ref(&request.member))?[0];
    let cured = session.with_fleet(&Push::Never, HOST_PATIENCE, async |fleet| {
        Cure { session: &session, request, member }.carry_out(fleet).await
    });
    cured.await
}

/// One member's way back.
struct Cure<'a> {
    session: &'a Session<'a>,
    request: &'a Request,
    member: ServerId,
}

impl Cure<'_> {
    async fn carry_out(&self, fleet: &mut Fleet) -> Result<Outcome, Failure> {
        let Cure { session, request, .. } = self;
        let goal = self.goal(if request.wipe { Wipe::Always } else { Wipe::IfNeeded });
        let mut facts = session.facts(fleet, Depth::Diagnosis).await;
        let plan = session.plan(&facts, &goal)?;
        if request.dry_run {
            return Ok(Outcome::Planned(Planned { cluster: session.desired.cluster.clone(), plan }));
        }
        if plan.is_empty() {
            return Ok(Outcome::Repaired(self.repaired(&facts, None)));
        }
        let plan = self.agreed(fleet, plan, &mut facts, &goal).await?;
        self.apply(fleet, &plan, &mut facts).await?;
        let facts = session.facts(fleet, Depth::State).await;
        let back = Back {
            mode: facts.server(self.member).map_or("in sync", |server| server.mode.word()).to_owned(),
            in_sync: ensemble::in_sync(&session.desired, &facts).contains(&self.member),
            took_ms: session.caller.elapsed_ms(),
        };
        Ok(Outcome::Repaired(self.repaired(&facts, Some(back))))
    }

    /// Shows the plan and asks, unless told not to. While a person thinks the world goes on: the plan that was agreed
    /// to is the plan that is carried out, or nothing is.
    async fn agreed(
        &self,
        fleet: &Fleet,
        plan: Plan,
        facts: &mut Facts,
        goal: &Goal,
    ) -> Result<Plan, Failure> {
        let Cure { session, request, .. } = self;
        if request.yes {
            return Ok(plan);
        }
        ask::agreed(&*session.caller.ask, &Question::CarryOut { plan: &plan })?;
        let mut now = session.facts(fleet, Depth::Diagnosis).await;
        (now.wall_ms, now.fresh_uuid) = (facts.wall_ms, facts.fresh_uuid.clone());
        let again = session.plan(&now, goal)?;
        if again.fingerprint() != plan.fingerprint() {
            return Err(Failure::new(Exit::Halfway, "the ensemble changed while the plan was looked at")
                .state("nothing was changed")
                .next(request.command()));
        }
        *facts = now;
        Ok(again)
    }

    /// The plan; and where it was mild and did not help, the data.
    async fn apply(&self, fleet: &mut Fleet, plan: &Plan, facts: &mut Facts) -> Result<(), Failure> {
        let Cure { session, request, .. } = self;
        let tried = match session.apply(fleet, plan, facts, request.command()).await {
            Ok(_) => return Ok(()),
            Err(failure) if failure.exit == Exit::Halfway && !repair::wipes(plan) => failure,
            Err(failure) => return Err(failure),
        };
        *facts = session.facts(fleet, Depth::Diagnosis).await;
        let harder =
            session.plan(facts, &self.goal(Wipe::Always)).map_err(|refused| after(refused, &tried))?;
        let name = &request.member;
        session
            .caller
            .events
            .note(format!("{name} did not come back ({tried}); its data is moved aside now"));
        session.apply(fleet, &harder, facts, request.command()).await.map(drop)
    }

    fn goal(&self, wipe: Wipe) -> Goal {
        Goal::Repair { member: self.member, wipe, purge_old: self.request.purge_old }
    }

    fn repaired(&self, facts: &Facts, back: Option<Back>) -> Repaired {
        Repaired {
            member: self.session.desired.name(self.member),
            old_data: facts.host(self.member).map(|host| host.data.quarantined.clone()).unwrap_or_default(),
            back,
        }
    }
}

fn after(mut refused: Failure, tried: &Failure) -> Failure {
    refused.state = vec![format!("a milder cure was tried first: {tried}")];
    refused.evidence.extend(tried.evidence.iter().cloned());
    refused
}
