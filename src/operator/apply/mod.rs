//! Carries out a plan: waves in order, members in parallel, the lock held, every step in the
//! journal before and after, every gate with one deadline. It decides nothing: what to do is the
//! plan's business, whether a gate holds is asked of `plan::gate`.
//!
//! - `act`: one step on one host
//! - `gates`: waiting until a gate is open
//! - `lock`, `journal`: who changes what, for the next operator
//! - `aftermath`: what a failed run says

mod act;
mod aftermath;
mod gates;
mod journal;
mod lock;

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::operator::fleet::hosts::{Fleet, Host};
use crate::operator::fleet::journal::{Effects, Outcome};
use crate::operator::host::runs::Holder;
use crate::operator::plan::desired::DesiredMember;
use crate::operator::plan::facts::Facts;
use crate::operator::plan::step::{Action, Plan, Step, Wave};
use crate::report::event::StepOutcome;
use crate::report::{Event, Exit, Failure, Sink};
use aftermath::Halt;

/// Who runs what, how patiently.
pub struct Run {
    pub events: Sink,
    /// What the locks and journals on the hosts name.
    pub holder: Holder,
    /// Replace a lock that somebody else holds.
    pub break_lock: bool,
    /// The command that resumes this run, as one would type it.
    pub again: String,
    /// Everything must be over by then.
    pub until: Instant,
}

impl Run {
    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// A holder that can do nothing any more: a process of this machine that is gone.
    fn is_dead(&self, holder: &Holder) -> bool {
        let machine = |id: &str| id.split_once('-').map(|(machine, _)| machine.to_owned());
        holder.who == self.holder.who
            && machine(&holder.id).is_some_and(|id| Some(id) == machine(&self.holder.id))
            && holder.pid != self.holder.pid
            && !std::path::Path::new(&format!("/proc/{}", holder.pid)).exists()
    }
}

/// What a finished run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    pub changed: usize,
    pub unchanged: usize,
}

/// Carries out `plan`, made from `facts`; afterwards they show what was seen last.
///
/// # Errors
/// The first wave that could not be finished, with everything an operator needs to go on.
pub async fn apply(fleet: &mut Fleet, plan: &Plan, facts: &mut Facts, run: &Run) -> Result<Applied, Failure> {
    if plan.is_empty() {
        return Ok(Applied::default());
    }
    let locks = lock::Locks::take(fleet, run).await?;
    let result = match journal::unchanged(fleet, facts).await {
        Ok(()) => tokio::select! {
            result = waves(fleet, plan, facts, run) => result,
            never = locks.keep(run) => match never {},
        },
        Err(who) => Err(Failure::new(
            Exit::Halfway,
            format!("{who} was changed by another run since this plan was made"),
        )
        .state("nothing was changed by this run")
        .next(run.again.clone())),
    };
    locks.give_back(run).await;
    result
}

async fn waves(fleet: &mut Fleet, plan: &Plan, facts: &mut Facts, run: &Run) -> Result<Applied, Failure> {
    let mut applied = Applied::default();
    for (number, wave) in plan.waves.iter().enumerate() {
        run.events.event(Event::Phase { title: wave.title.clone() });
        let results = steps(fleet, &wave.steps, run).await;
        for result in &results {
            applied.changed += result.changed;
            applied.unchanged += result.unchanged;
        }
        let failed: Vec<_> = results.into_iter().filter_map(|result| result.failed).collect();
        if !failed.is_empty() {
            let halt = Halt { plan, wave: number, applied, run };
            return Err(aftermath::steps_failed(fleet, facts, halt, failed).await);
        }
        for gate in &wave.gates {
            match gates::pass(fleet, facts, gate, run).await {
                Ok(took) => run.events.event(Event::Passed {
                    gate: gate.condition.to_string(),
                    took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                }),
                Err(why) => {
                    let reverted = revert(fleet, wave, run).await;
                    let halt = Halt { plan, wave: number, applied, run };
                    return Err(aftermath::gate_shut(fleet, facts, halt, gate, why, reverted).await);
                }
            }
        }
    }
    Ok(applied)
}

/// Brings back the state before a wave whose gate stayed shut; what that came to, in words.
async fn revert(fleet: &mut Fleet, wave: &Wave, run: &Run) -> Vec<String> {
    let results = steps(fleet, &wave.revert, run).await;
    let failed: Vec<String> = results
        .into_iter()
        .filter_map(|result| result.failed)
        .map(|(step, why)| format!("{}: {} failed: {why}", step.name, step.action))
        .collect();
    let done = wave.revert.iter().map(|step| format!("{}: {} again", step.name, step.action));
    if failed.is_empty() { done.collect() } else { failed }
}

/// What became of one member's steps in a wave.
#[derive(Default)]
struct Steps {
    changed: usize,
    unchanged: usize,
    failed: Option<(Step, String)>,
}

/// Each member's steps in order, members side by side; a member stops at its first failure.
async fn steps(fleet: &mut Fleet, steps: &[Step], run: &Run) -> Vec<Steps> {
    let work = fleet.hosts_mut().filter_map(|(member, host)| {
        let mine: Vec<&Step> = steps.iter().filter(|step| step.member == member.id).collect();
        (!mine.is_empty()).then(|| one_member(member, host, mine, run))
    });
    join_all(work).await
}

async fn one_member(member: &DesiredMember, host: &mut Host, steps: Vec<&Step>, run: &Run) -> Steps {
    let mut result = Steps::default();
    for step in steps {
        run.events.event(Event::Host { member: step.name.clone(), doing: step.action.to_string() });
        let started = Instant::now();
        let done = one_step(member, host, step, run).await;
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let outcome = match done {
            Ok(true) => StepOutcome::Changed,
            Ok(false) => StepOutcome::Noop,
            Err(why) => StepOutcome::Failed(why),
        };
        let what = step.action.to_string();
        run.events.event(Event::Step { member: step.name.clone(), what, outcome: outcome.clone(), took_ms });
        match outcome {
            StepOutcome::Changed => result.changed += 1,
            StepOutcome::Noop => result.unchanged += 1,
            StepOutcome::Failed(why) => {
                result.failed = Some((step.clone(), why));
                return result;
            }
        }
    }
    result
}

async fn one_step(member: &DesiredMember, host: &mut Host, step: &Step, run: &Run) -> Result<bool, String> {
    let patience = STEP_PATIENCE.min(run.left());
    if patience.is_zero() {
        return Err("the time allowed for the whole run is over".to_owned());
    }
    journal::begin(run, member, &host.link, step).await.map_err(|why| format!("journal: {why}"))?;
    let done = act::act(member, host, &step.action, patience).await;
    // Nothing is left to write a journal in.
    let gone = matches!(step.action, Action::Uninstall { .. });
    match done {
        Ok(done) => {
            let outcome = if done.changed { Outcome::Changed } else { Outcome::Noop };
            if !gone {
                let noted = journal::end(run, member, &host.link, step, outcome, done.effects).await;
                noted.map_err(|why| format!("done, but the journal could not be written: {why}"))?;
            }
            Ok(done.changed)
        }
        Err(why) => {
            let why = format!("{why:#}");
            // The step's own failure is what matters; a journal that fails too adds nothing.
            let outcome = Outcome::Failed(why.clone());
            let _ = journal::end(run, member, &host.link, step, outcome, Effects::default()).await;
            Err(why)
        }
    }
}

/// Stopping a server may take its ten seconds and a slow disk its minute.
const STEP_PATIENCE: Duration = Duration::from_secs(60);
