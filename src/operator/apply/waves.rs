//! A plan, wave by wave: the lock held, every gate with one deadline, and whatever stops it told in full.

use super::aftermath::{self, Halt};
use super::run::{Applied, Run};
use super::steps::steps;
use super::{gates, journal, lock};
use crate::operator::fleet::hosts::Fleet;
use crate::operator::plan::facts::Facts;
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
