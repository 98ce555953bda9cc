//! Repair: the cure that the cause needs, with the data where it is. When that did not help, what stands is looked at
//! anew; only damage that the server found again after it was started lets its data be moved aside, and that is another
//! plan, shown and agreed to again.

use std::time::Duration;

use serde::Serialize;

use super::ask::{self, Question};
use super::caller::Caller;
use super::planned::Planned;
use super::session::{HOST_PATIENCE, Session, Source};
use crate::operator::fleet::hosts::Fleet;
use crate::operator::fleet::visit::Push;
use crate::operator::observe::look::Depth;
use crate::operator::observe::reach::{self, Probe};
use crate::operator::observe::token::random_hex;
use crate::operator::plan::diagnosis::{self, Diagnosis};
use crate::operator::plan::escalation::{self, StillDamaged};
use crate::operator::plan::facts::{Facts, HostFacts};
use crate::operator::plan::repair::{self, Wipe};
use crate::operator::plan::step::Plan;
use crate::operator::plan::{Goal, ensemble, status};
use crate::report::{Exit, Failure};
use crate::wire::ids::ServerId;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// By name or id.
    pub member: String,
    pub inventory: Source,
    /// What is shown first was agreed to beforehand, and nothing beyond it.
    pub yes: bool,
    /// That damaged data goes aside, if starting does not heal it, was agreed to beforehand.
    pub move_data_aside: bool,
    /// That the data of the cluster of this name goes aside was agreed to beforehand.
    pub foreign_data: Option<String>,
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
        let mut facts = self.look(fleet).await;
        let wipe = self.wipe(&facts);
        let goal = self.goal(wipe.clone());
        let plan = session.plan(&facts, &goal)?;
        if request.dry_run {
            return Ok(Outcome::Planned(Planned { cluster: session.desired.cluster.clone(), plan }));
        }
        if plan.is_empty() {
            return Ok(Outcome::Repaired(self.repaired(&facts, None)));
        }
        let named = matches!(wipe, Wipe::Foreign(_)) && request.foreign_data.is_none();
        let plan = match request.yes && !named {
            true => plan,
            false => self.agreed(fleet, plan, &mut facts, &goal).await?,
        };
        self.apply(fleet, &plan, &mut facts).await?;
        let facts = session.facts(fleet, Depth::State).await;
        let back = Back {
            mode: facts.server(self.member).map_or("in sync", |server| server.mode.word()).to_owned(),
            in_sync: ensemble::in_sync(&session.desired, &facts).contains(&self.member),
            took_ms: session.caller.elapsed_ms(),
        };
        Ok(Outcome::Repaired(self.repaired(&facts, Some(back))))
    }

    /// Everything that a cause is proven by, seen now: also the ways between the hosts.
    async fn look(&self, fleet: &Fleet) -> Facts {
        let mut facts = self.session.facts(fleet, Depth::Diagnosis).await;
        let tried = reach::matrix(fleet, &facts, Probe::ServersOnly, &random_hex(8), REACH_PATIENCE).await;
        tried.into_facts(&mut facts);
        facts
    }

    /// What was agreed to beforehand, as far as it is about what is found first. Foreign data is asked for by name.
    fn wipe(&self, facts: &Facts) -> Wipe {
        let Cure { session, request, member } = self;
        let foreign = repair::foreign(&session.desired, facts, *member);
        match (&request.foreign_data, foreign) {
            _ if request.wipe => Wipe::Asked,
            (Some(name), _) => Wipe::Foreign(name.clone()),
            (None, Some(name)) if !request.yes => Wipe::Foreign(name),
            (None, _) => Wipe::No,
        }
    }

    /// Shows the plan and asks. While a person thinks the world goes on: the plan that was agreed to is the plan that
    /// is carried out, or nothing is.
    async fn agreed(
        &self,
        fleet: &Fleet,
        plan: Plan,
        facts: &mut Facts,
        goal: &Goal,
    ) -> Result<Plan, Failure> {
        let Cure { session, request, .. } = self;
        let question = match goal {
            Goal::Repair { wipe: Wipe::StillDamaged(_), .. } => {
                Question::MoveAside { plan: &plan, member: &request.member }
            }
            Goal::Repair { wipe: Wipe::Foreign(cluster), .. } if request.foreign_data.is_none() => {
                Question::ForeignData { plan: &plan, cluster }
            }
            _ => Question::CarryOut { plan: &plan },
        };
        ask::agreed(&*session.caller.ask, &question)?;
        let mut now = self.look(fleet).await;
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

    /// The plan; and where it was mild and did not help, what is proven then.
    async fn apply(&self, fleet: &mut Fleet, plan: &Plan, facts: &mut Facts) -> Result<(), Failure> {
        let Cure { session, request, member } = self;
        let before = facts.host(*member).cloned().unwrap_or_default();
        let tried = match session.apply(fleet, plan, facts, request.command()).await {
            Ok(_) => return Ok(()),
            Err(failure) if repair::wipes(plan) || !is_over(&failure) => {
                return Err(failure);
            }
            Err(failure) => failure,
        };
        *facts = self.look(fleet).await;
        if ensemble::in_sync(&session.desired, facts).contains(member) {
            return Ok(());
        }
        match facts.host(*member).and_then(|now| StillDamaged::proven(&before, now)) {
            Some(proof) => self.escalate(fleet, facts, proof, &tried).await,
            None => Err(self.not_back(facts, &before, &tried)),
        }
    }

    /// The data is damaged still: another plan, for which `--yes` was not said.
    async fn escalate(
        &self,
        fleet: &mut Fleet,
        facts: &mut Facts,
        proof: StillDamaged,
        tried: &Failure,
    ) -> Result<(), Failure> {
        let Cure { session, request, .. } = self;
        let goal = self.goal(Wipe::StillDamaged(proof));
        let plan = session.plan(facts, &goal).map_err(|refused| after(refused, tried))?;
        let name = &request.member;
        let not_agreed = |what: String| {
            Failure::new(Exit::Halfway, what)
                .state(format!("a milder cure was tried first: {tried}"))
                .state(format!("the data of {name} is where it was; its server does not run"))
                .next(format!("{} --move-data-aside", request.command()))
        };
        let harder = if request.move_data_aside {
            session.caller.events.note(format!("{name} did not come back ({tried}); its data goes aside"));
            plan
        } else if request.yes {
            let what = format!("{name}: started again, it says that its data is damaged still");
            return Err(not_agreed(what).evidence("what would be done", lines(&plan)));
        } else {
            let agreed = self.agreed(fleet, plan, facts, &goal).await;
            agreed.map_err(|no| if no.exit == Exit::Halfway { no } else { not_agreed(no.what.clone()) })?
        };
        session.apply(fleet, &harder, facts, request.command()).await.map(drop)
    }

    /// What was tried, what is found now, and the one thing to do; never this very command again.
    fn not_back(&self, facts: &Facts, before: &HostFacts, tried: &Failure) -> Failure {
        let Cure { session, request, member } = self;
        let (desired, name) = (&session.desired, session.desired.name(*member));
        let causes = diagnosis::diagnose(desired, facts, *member);
        let mut failure = Failure::new(Exit::Halfway, format!("{name} did not come back: {tried}"));
        for Diagnosis { what, evidence, .. } in &causes {
            failure = failure.evidence(what.clone(), evidence.clone());
        }
        let log = facts.host(*member).map(|now| escalation::since(&before.unit.log, &now.unit.log));
        failure = failure
            .evidence(format!("{name}: what its server said since"), log.unwrap_or_default())
            .state(format!("the data of {name} is where it was"))
            .state(status::judge(desired, facts).verdict.to_string());
        let runs = facts.host(*member).is_some_and(|now| now.unit.runs());
        let next = diagnosis::advice(&causes).filter(|next| !next.starts_with(&request.command()));
        failure.next(next.unwrap_or_else(|| match runs {
            true => format!("{name} runs and may still be taking the data of the others: zkops status"),
            false => format!("what its server said above is the cause: mend it, then: zkops start {name}"),
        }))
    }

    fn goal(&self, wipe: Wipe) -> Goal {
        Goal::Repair { member: self.member, wipe, purge_old: self.request.purge_old }
    }

    fn repaired(&self, facts: &Facts, back: Option<Back>) -> Repaired {
        Repaired {
            member: self.session.desired.name(self.member),
            old_data: facts
                .host(self.member)
                .and_then(|host| host.data.is())
                .map_or_else(Vec::new, |data| data.quarantined.clone()),
            back,
        }
    }
}

/// The plan was begun and did not come to its end; what stands can be judged anew.
fn is_over(failure: &Failure) -> bool {
    matches!(failure.exit, Exit::Halfway | Exit::Failed)
}

fn lines(plan: &Plan) -> Vec<String> {
    plan.to_string().lines().map(str::to_owned).collect()
}

fn after(mut refused: Failure, tried: &Failure) -> Failure {
    refused.state = vec![format!("a milder cure was tried first: {tried}")];
    refused.evidence.extend(tried.evidence.iter().cloned());
    refused
}

/// For one connection between two hosts.
const REACH_PATIENCE: Duration = Duration::from_secs(2);
