//! Start, stop and restart.

use serde::Serialize;

use super::ask::{self, Question};
use super::caller::Caller;
use super::planned::Planned;
use super::refusal;
use super::session::{HOST_PATIENCE, Session, Source};
use crate::operator::fleet::hosts::Fleet;
use crate::operator::fleet::visit::Push;
use crate::operator::observe::look::Depth;
use crate::operator::observe::reach;
use crate::operator::plan::facts::Facts;
use crate::operator::plan::step::Plan;
use crate::operator::plan::{Goal, lifecycle};
use crate::report::Failure;
use crate::wire::ids::ServerId;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub verb: Verb,
    pub inventory: Source,
    /// By name or id; empty: all.
    pub members: Vec<String>,
    /// Stopping all of them was agreed to beforehand.
    pub agreed: bool,
    /// Only show what would be done.
    pub dry_run: bool,
}

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    Start,
    Stop,
    Restart,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// It was a dry run.
    Planned(Planned),
    Done(Done),
}

/// The members are as they were wanted.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename = "done")]
pub struct Done {
    pub cluster: String,
    pub verb: Verb,
    /// What was carried out; empty: they were so before.
    #[serde(skip)]
    pub plan: Plan,
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Verb::Start => "start",
            Verb::Stop => "stop",
            Verb::Restart => "restart",
        }
    }

    fn goal(self, members: Vec<ServerId>) -> Goal {
        match self {
            Verb::Start => Goal::Start { members },
            Verb::Stop => Goal::Stop { members },
            Verb::Restart => Goal::Restart { members },
        }
    }
}

impl Request {
    fn stops_all(&self) -> bool {
        self.verb == Verb::Stop && self.members.is_empty()
    }

    /// As one would type it.
    pub fn command(&self) -> String {
        let mut words = vec!["zkops".to_owned(), self.verb.word().to_owned()];
        words.extend(self.members.iter().cloned());
        if self.stops_all() {
            words.push("--all".to_owned());
        }
        if let Source::File(inventory) = &self.inventory {
            words.extend(["--inventory".to_owned(), inventory.display().to_string()]);
        }
        words.join(" ")
    }
}

/// # Errors
/// Refused where the ensemble would stop serving; exit code 7 where hosts were left out, with the rest done.
pub async fn run(caller: &Caller, request: &Request) -> Result<Outcome, Failure> {
    let session = Session::load(caller, &request.inventory)?;
    let named = session.members(&request.members)?;
    let goal = request.verb.goal(named.clone());
    let carried_out = session.with_fleet(&Push::Never, HOST_PATIENCE, async |fleet| {
        let mut facts = look(&session, fleet, request.verb).await;
        let plan = session.plan(&facts, &goal)?;
        if !request.dry_run {
            let plan = agreed(&session, fleet, request, &goal, &mut facts, plan).await?;
            session.apply(fleet, &plan, &mut facts, request.command()).await?;
            return Ok(plan);
        }
        Ok(plan)
    });
    let plan = carried_out.await?;
    let cluster = session.desired.cluster.clone();
    if request.dry_run {
        return Ok(Outcome::Planned(Planned { cluster, plan }));
    }
    refusal::none_skipped(&plan)?;
    session.settle(request.verb.word(), "", &named)?;
    Ok(Outcome::Done(Done { cluster, verb: request.verb, plan }))
}

/// How everybody is; where a server that is to become a new process takes no part, also whether it reaches the others.
async fn look(session: &Session<'_>, fleet: &Fleet, verb: Verb) -> Facts {
    let facts = session.facts(fleet, Depth::State).await;
    if verb != Verb::Restart || !lifecycle::takes_no_part(&session.desired, &facts) {
        return facts;
    }
    let mut facts = session.facts(fleet, Depth::Diagnosis).await;
    reach::servers(fleet, &mut facts).await;
    facts
}

/// Nobody stops a whole ensemble by leaving a word out: it is asked for. While a person thinks the world goes on: what
/// was agreed to is carried out as it is planned anew, or not at all.
async fn agreed(
    session: &Session<'_>,
    fleet: &Fleet,
    request: &Request,
    goal: &Goal,
    facts: &mut Facts,
    plan: Plan,
) -> Result<Plan, Failure> {
    if request.agreed || plan.is_empty() || !request.stops_all() {
        return Ok(plan);
    }
    let cluster = &session.desired.cluster;
    ask::agreed(&*session.caller.ask, &Question::StopAll { plan: &plan, cluster })?;
    *facts = session.facts(fleet, Depth::State).await;
    session.plan(facts, goal)
}
