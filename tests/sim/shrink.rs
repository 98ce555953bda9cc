//! A failing plan cut down: fewer faults, less time, as long as the same promise breaks.

use crate::run::{Verdict, run};
use crate::scenario::Scenario;

/// Runs that a shrink may cost.
const RUNS_MAX: usize = 400;

/// The smallest plan found that breaks the same promise, and its verdict.
pub(crate) fn shrink(scenario: &Scenario, promise: &str) -> (Scenario, Option<Verdict>) {
    let mut best = scenario.clone();
    let mut verdict = None;
    let mut runs = 0;
    let mut breaks = |candidate: &Scenario| {
        runs += 1;
        let verdict = (runs <= RUNS_MAX).then(|| run(candidate, false, false));
        verdict.filter(|verdict| verdict.violation.as_ref().is_some_and(|violation| violation.promise == promise))
    };
    let mut size = best.faults.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < best.faults.len() {
            let mut candidate = best.clone();
            candidate.faults.drain(at..(at + size).min(candidate.faults.len()));
            match breaks(&candidate) {
                Some(found) => (best, verdict) = (candidate, Some(found)),
                None => at += size,
            }
        }
        size /= 2;
    }
    while best.clients > 1 {
        let mut candidate = best.clone();
        candidate.clients -= 1;
        match breaks(&candidate) {
            Some(found) => (best, verdict) = (candidate, Some(found)),
            None => break,
        }
    }
    (best, verdict)
}
