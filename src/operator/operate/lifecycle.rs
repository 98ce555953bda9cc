//! Start, stop and restart.

use serde::Serialize;

use super::caller::Caller;
use super::planned::Planned;
use super::refusal;
use super::session::{HOST_PATIENCE, Session, Source};
use crate::operator::fleet::visit::Push;
use crate::operator::observe::look::Depth;
use crate::operator::plan::Goal;
use crate::operator::plan::step::Plan;
use crate::report::Failure;
use crate::wire::ids::ServerId;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub verb: Verb,
    pub inventory: Source,
    /// By name or id; empty: all.
    pub members: Vec<String>,
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
    /// As one would type it.
    pub fn command(&self) -> String {
        let mut words = vec!["zkops".to_owned(), self.verb.word().to_owned()];
        words.extend(self.members.iter().cloned());
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
    let goal = request.verb.goal(session.members(&request.members)?);
    let carried_out = session.with_fleet(&Push::Never, HOST_PATIENCE, async |fleet| {
        let mut facts = session.facts(fleet, Depth::State).await;
        let plan = session.plan(&facts, &goal)?;
        if !request.dry_run {
            session.apply(fleet, &plan, &mut facts, request.command()).await?;
        }
        Ok(plan)
    });
    let plan = carried_out.await?;
    let cluster = session.desired.cluster.clone();
    if request.dry_run {
        return Ok(Outcome::Planned(Planned { cluster, plan }));
    }
    refusal::none_skipped(&plan)?;
    Ok(Outcome::Done(Done { cluster, verb: request.verb, plan }))
}
