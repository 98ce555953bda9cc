//! Why there is no plan, as the failure that ends a run.

use crate::operator::plan::desired::Desired;
use crate::operator::plan::preflight::{Finding, Level};
use crate::operator::plan::step::Plan;
use crate::operator::plan::{Refused, Stop};
use crate::report::{Evidence, Exit, Failure};

pub(super) fn failure(desired: &Desired, stop: &Stop) -> Failure {
    match stop {
        Stop::Preflight(findings) => failed_checks(desired, findings),
        Stop::Refused(refused) => {
            let mut failure =
                Failure::new(Exit::Refused, &refused.what).evidence("evidence", refused.evidence.clone());
            failure.next.clone_from(&refused.next);
            failure.state("nothing was changed")
        }
        Stop::Unreachable(away) => unreachable(away),
    }
}

/// What must be mended, one line each with its cure.
pub(super) fn failed_checks(desired: &Desired, findings: &[Finding]) -> Failure {
    let failed: Vec<&Finding> = findings.iter().filter(|finding| finding.level == Level::Fail).collect();
    let noun = if failed.len() == 1 { "check" } else { "checks" };
    let mut failure = Failure::new(Exit::Preflight, format!("preflight: {} {noun} failed", failed.len()));
    for finding in failed {
        let from = format!("{}: {}", desired.name(finding.member), finding.evidence);
        let fix = finding.fix.as_ref().map(|fix| format!("fix: {fix}"));
        failure.evidence.push(Evidence { from, lines: fix.into_iter().collect() });
    }
    failure.state("nothing was changed on any host")
}

/// The failure of hosts that were left out of a run that else went well.
///
/// # Errors
/// Exit code 7 when there are any.
pub(super) fn none_skipped(plan: &Plan) -> Result<(), Failure> {
    if plan.skipped.is_empty() {
        return Ok(());
    }
    let noun = if plan.skipped.len() == 1 { "host was" } else { "hosts were" };
    let mut failure = Failure::new(Exit::Unreachable, format!("{} {noun} left out", plan.skipped.len()));
    for refused in &plan.skipped {
        failure = failure.state(refused.what.clone());
    }
    Err(failure.state("everything else was done"))
}

fn unreachable(away: &[Refused]) -> Failure {
    let noun = if away.len() == 1 { "host" } else { "hosts" };
    let mut failure = Failure::new(Exit::Unreachable, format!("{} {noun} cannot be used", away.len()));
    for refused in away {
        failure.evidence.push(Evidence { from: refused.what.clone(), lines: refused.evidence.clone() });
        failure.next.extend(refused.next.iter().cloned());
    }
    failure.state("nothing was changed on any host")
}
