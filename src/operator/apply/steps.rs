//! The steps of a wave: members side by side, each one's steps in order, every step in the journal before and after.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::run::Run;
use super::{act, journal};
use crate::operator::fleet::hosts::{Fleet, Host};
use crate::operator::fleet::journal::{Effects, Outcome};
use crate::operator::plan::desired::DesiredMember;
use crate::operator::plan::step::{Action, Step};
use crate::report::Event;
use crate::report::event::StepOutcome;

/// What became of one member's steps in a wave.
#[derive(Default)]
pub(super) struct Steps {
    pub(super) changed: usize,
    pub(super) unchanged: usize,
    pub(super) failed: Option<(Step, String)>,
}

/// Each member's steps in order, members side by side; a member stops at its first failure.
pub(super) async fn steps(fleet: &mut Fleet, steps: &[Step], run: &Run) -> Vec<Steps> {
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
