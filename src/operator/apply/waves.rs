//! A plan, wave by wave: the lock held, every gate with one deadline, and whatever stops it told in full.

use super::aftermath::{self, Halt};
use super::run::{Applied, Run};
use super::steps::{Steps, steps};
use super::stopped::{self, Progress};
use super::{gates, journal, lock};
use crate::operator::fleet::hosts::Fleet;
use crate::operator::plan::facts::Facts;
use crate::operator::plan::fresh::Fresh;
use crate::operator::plan::step::{Plan, Wave};
use crate::report::{Event, Exit, Failure};

/// Carries out `plan`, made from `facts`; afterwards they show what was seen last.
///
/// # Errors
/// The first wave that could not be finished, with everything an operator needs to go on.
pub async fn apply(fleet: &mut Fleet, plan: &Plan, facts: &mut Facts, run: &Run) -> Result<Applied, Failure> {
    if plan.is_empty() {
        return Ok(Applied::default());
    }
    // A plan is carried out on what it was made from: nothing of ours came between.
    if let Err(stale) = Fresh::of(facts, fleet.stamp()) {
        return Err(Failure::new(Exit::Halfway, format!("the plan is older than the last step: {stale}"))
            .state("nothing was changed by this run")
            .next(run.again.clone()));
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
    let mut progress = Progress::default();
    for (number, wave) in plan.waves.iter().enumerate() {
        if let Some(why) = run.stop.why() {
            return Err(stopped::told(&why, plan, &progress, None, run));
        }
        run.events.event(Event::Phase { title: wave.title.clone() });
        let results = steps(fleet, &wave.steps, run).await;
        for Steps { member, changed, unchanged, .. } in &results {
            applied.changed += changed;
            applied.unchanged += unchanged;
            *progress.done.entry(*member).or_default() += changed + unchanged;
        }
        progress.changed = applied.changed;
        let failed: Vec<_> = results.iter().filter_map(|result| result.failed.clone()).collect();
        if !failed.is_empty() {
            let halt = Halt { plan, wave: number, applied, run };
            return Err(aftermath::steps_failed(fleet, facts, halt, failed).await);
        }
        if let Some(why) = run.stop.why().filter(|_| results.iter().any(|result| result.cut_short)) {
            return Err(stopped::told(&why, plan, &progress, None, run));
        }
        for gate in &wave.gates {
            let passed = tokio::select! {
                biased;
                () = run.stop.asked() => None,
                passed = gates::pass(fleet, facts, gate, run) => Some(passed),
            };
            let Some(passed) = passed else {
                let why = run.stop.why().expect("it was asked");
                return Err(stopped::told(&why, plan, &progress, Some(gate), run));
            };
            match passed {
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
    if let Some(why) = run.stop.why().filter(|_| results.iter().any(|result| result.cut_short)) {
        return vec![format!("not taken back: {}", why.words())];
    }
    let failed: Vec<String> = results
        .into_iter()
        .filter_map(|result| result.failed)
        .map(|(step, why)| format!("{}: {} failed: {why}", step.name, step.action))
        .collect();
    let done = wave.revert.iter().map(|step| format!("{}: {} again", step.name, step.action));
    if failed.is_empty() { done.collect() } else { failed }
}
