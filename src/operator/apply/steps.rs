//! The steps of a wave: members side by side, each one's steps in order, every step in the journal before and after.
//! None is begun once the run is to stop; one that was begun comes to its end.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::run::Run;
use super::{act, journal};
use crate::operator::fleet::hosts::{Fleet, Host};
use crate::operator::fleet::journal::{Effects, Outcome};
use crate::operator::fleet::stop::Why;
use crate::operator::host::CallError;
use crate::operator::plan::desired::DesiredMember;
use crate::operator::plan::step::Step;
use crate::report::Event;
use crate::report::event::StepOutcome;
use crate::wire::ids::ServerId;

/// What became of one member's steps in a wave.
pub(super) struct Steps {
    pub(super) member: ServerId,
    pub(super) changed: usize,
    pub(super) unchanged: usize,
    /// The run was to stop before all were begun.
    pub(super) cut_short: bool,
    pub(super) failed: Option<(Step, String)>,
}

/// Each member's steps in order, members side by side; a member stops at its first failure. A step whose host is not there
/// has failed: what nobody did is not done.
pub(super) async fn steps(fleet: &mut Fleet, steps: &[Step], run: &Run) -> Vec<Steps> {
    let work = fleet.all_mut().filter_map(|(old, member, host)| {
        let mine: Vec<&Step> = steps.iter().filter(|step| is_there(step, old, member)).collect();
        (!mine.is_empty()).then(|| one_member(member, host, mine, run))
    });
    let mut done = join_all(work).await;
    let mut missing: Vec<&Step> = steps.iter().collect();
    for (old, member, _) in fleet.all_mut() {
        missing.retain(|step| !is_there(step, old, member));
    }
    done.extend(missing.into_iter().map(|step| Steps {
        member: step.member,
        changed: 0,
        unchanged: 0,
        cut_short: false,
        failed: Some((step.clone(), "its host is not reached".to_owned())),
    }));
    // Each of them may have changed what was seen before, also one that failed.
    for _ in steps {
        fleet.stepped();
    }
    done
}

/// The step is for this host of the member: where it was before (`old`), or where it is.
fn is_there(step: &Step, old: bool, member: &DesiredMember) -> bool {
    step.member == member.id && step.action.old_address().map_or(!old, |at| old && at == member.address)
}

async fn one_member(member: &DesiredMember, host: &mut Host, steps: Vec<&Step>, run: &Run) -> Steps {
    let mut result = Steps { member: member.id, changed: 0, unchanged: 0, cut_short: false, failed: None };
    for step in steps {
        if run.stop.is_asked() {
            result.cut_short = true;
            return result;
        }
        run.events.event(Event::Host { member: step.name.clone(), doing: step.action.to_string() });
        let started = Instant::now();
        let done = one_step(member, host, step, run).await;
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let outcome = match done {
            Ok(true) => StepOutcome::Changed,
            Ok(false) => StepOutcome::Noop,
            Err(NotDone::TakenOver(why)) => {
                run.stop.ask(why);
                result.cut_short = true;
                return result;
            }
            Err(NotDone::Failed(why)) => StepOutcome::Failed(why),
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

/// Why a step was not done.
enum NotDone {
    /// The host refused to look at it: its lock is somebody else's now.
    TakenOver(Why),
    Failed(String),
}

async fn one_step(member: &DesiredMember, host: &mut Host, step: &Step, run: &Run) -> Result<bool, NotDone> {
    let patience = STEP_PATIENCE.min(run.left());
    if patience.is_zero() {
        return Err(NotDone::Failed("the time allowed for the whole run is over".to_owned()));
    }
    let taken_over = |why: &CallError| match why {
        CallError::StaleLock(stale) => {
            Some(NotDone::TakenOver(Why::TakenOver { member: member.name.clone(), stale: stale.clone() }))
        }
        _ => None,
    };
    let failed = |why: String| NotDone::Failed(why);
    journal::begin(run, member, &host.link, step)
        .await
        .map_err(|why| taken_over(&why).unwrap_or_else(|| failed(format!("journal: {why}"))))?;
    let done = act::act(member, host, &step.action, patience).await;
    // Nothing is left to write a journal in.
    let gone = step.action.takes_everything();
    match done {
        Ok(done) => {
            let outcome = if done.changed { Outcome::Changed } else { Outcome::Noop };
            if !gone {
                let noted = journal::end(run, member, &host.link, step, outcome, done.effects).await;
                match noted.map_err(|why| (taken_over(&why), why)) {
                    Ok(()) => {}
                    // It slept behind the step: what is done is done, the next one is not begun.
                    Err((Some(NotDone::TakenOver(by)), _)) => run.stop.ask(by),
                    Err((_, why)) => {
                        return Err(failed(format!("done, but the journal could not be written: {why}")));
                    }
                }
            }
            Ok(done.changed)
        }
        Err(why) => {
            if let Some(stale) = why.downcast_ref().and_then(taken_over) {
                return Err(stale);
            }
            let why = format!("{why:#}");
            // The step's own failure is what matters; a journal that fails too adds nothing.
            let outcome = Outcome::Failed(why.clone());
            let _ = journal::end(run, member, &host.link, step, outcome, Effects::default()).await;
            Err(failed(why))
        }
    }
}

/// Stopping a server may take its ten seconds and a slow disk its minute.
const STEP_PATIENCE: Duration = Duration::from_secs(60);
