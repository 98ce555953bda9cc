//! Why there is no plan, as the failure that ends a run.

use std::io;
use std::path::Path;

use super::caller::Caller;
use super::record::Record;
use crate::operator::inventory::{self, nearest};
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

/// A name that no member has: most likely mistyped, or an inventory where members are named.
pub(super) fn no_member(desired: &Desired, name: &str) -> Failure {
    let all = desired.names(desired.members.keys());
    let failure =
        Failure::new(Exit::Usage, format!("{} has no member {name:?}; it has {all}", desired.cluster))
            .state("no host was contacted");
    if Path::new(name).is_file() {
        return failure.next(format!("this verb names members; an inventory stands behind -i: -i {name}"));
    }
    let names: Vec<&str> = desired.members.values().map(|member| &*member.name).collect();
    // Of node-1 to node-3 none is nearer to node-9 than the others.
    let near = nearest(name, names.iter().copied());
    let next = nearest(name, names.iter().copied().filter(|name| Some(*name) != near));
    match near.filter(|_| next.is_none()) {
        Some(near) => failure.next(format!("did you mean {near}?")),
        None => failure,
    }
}

/// A file that cannot be read: most likely mistyped, or a member where an inventory is named.
pub(super) fn no_inventory(caller: &Caller, path: &Path, why: &io::Error) -> Failure {
    let shown = path.display();
    let failure = Failure::new(Exit::Usage, format!("cannot read the inventory {shown}: {why}"))
        .state("no host was contacted");
    if why.kind() != io::ErrorKind::NotFound {
        return failure;
    }
    // What was deployed last says which words are members; that it is damaged is not what was asked.
    let record = Record::load(&caller.state_dir).ok().flatten();
    let name = path.to_str().filter(|name| !name.contains(['/', '.']));
    if let Some((record, name)) = record.zip(name)
        && names_member(&record.text, name)
    {
        let cluster = record.cluster;
        return failure.next(format!(
            "{name} is a member of {cluster}, and this verb is about all of it: leave the name out"
        ));
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let files = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let files: Vec<String> = files.filter(|name| name.ends_with(".yml") || name.ends_with(".yaml")).collect();
    let typed = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match nearest(typed, files.iter().map(String::as_str)) {
        Some(near) => failure.next(format!("did you mean {}?", path.with_file_name(near).display())),
        None => failure.next("write one: zkops init"),
    }
}

/// The inventory's text has a member of that name.
fn names_member(text: &str, name: &str) -> bool {
    let read = inventory::parse("", text, &|_| Vec::new());
    read.is_ok_and(|(cluster, _)| cluster.members.iter().any(|member| member.name == name))
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
