//! Plans, findings and health in the shapes that `report` draws: tables for people, documents
//! for machines, failures for both.

use serde_json::{Value, json};

use crate::operator::plan::desired::Desired;
use crate::operator::plan::diagnosis::Diagnosis;
use crate::operator::plan::preflight::{self, Finding, Level};
use crate::operator::plan::status::{Health, Row};
use crate::operator::plan::step::Plan;
use crate::operator::plan::{Refused, Stop};
use crate::report::{Cell, Exit, Failure, Table, Tone};

/// One row a check, one column a member; with many members only what is not well.
pub(super) fn findings(desired: &Desired, findings: &[Finding]) -> Table {
    if desired.members.len() > COLUMNS_MAX {
        return findings_list(desired, findings);
    }
    let mut table = Table::new(
        ["check".to_owned()].into_iter().chain(desired.members.values().map(|member| member.name.clone())),
    );
    let mut checks: Vec<_> = findings.iter().map(|finding| finding.check).collect();
    checks.dedup();
    for check in checks {
        let mut row = vec![Cell::plain(check.title(desired))];
        for id in desired.members.keys() {
            let finding = findings.iter().find(|finding| finding.check == check && finding.member == *id);
            row.push(finding.map_or_else(|| Cell::plain("-"), cell));
        }
        table.row(row);
    }
    table
}

fn cell(finding: &Finding) -> Cell {
    match finding.level {
        Level::Ok => Cell::plain(&finding.evidence),
        Level::Warn => Cell::toned(format!("warn: {}", finding.evidence), Tone::Warn),
        Level::Fail => Cell::toned("FAIL", Tone::Bad),
    }
}

fn findings_list(desired: &Desired, findings: &[Finding]) -> Table {
    let mut table = Table::new(["member", "check", "found"]);
    for finding in findings.iter().filter(|finding| finding.level != Level::Ok) {
        let name = Cell::plain(desired.name(finding.member));
        table.row(vec![name, Cell::plain(finding.check.title(desired)), cell(finding)]);
    }
    table
}

/// What must be mended, one line each with its cure.
pub(super) fn failed_checks(desired: &Desired, findings: &[Finding]) -> Failure {
    let failed: Vec<&Finding> = findings.iter().filter(|finding| finding.level == Level::Fail).collect();
    let noun = if failed.len() == 1 { "check" } else { "checks" };
    let mut failure = Failure::new(Exit::Preflight, format!("preflight: {} {noun} failed", failed.len()));
    for finding in failed {
        let from = format!("{}: {}", desired.name(finding.member), finding.evidence);
        let fix = finding.fix.as_ref().map(|fix| format!("fix: {fix}"));
        failure.evidence.push(crate::report::Evidence { from, lines: fix.into_iter().collect() });
    }
    failure.state("nothing was changed on any host")
}

pub(super) fn findings_json(desired: &Desired, findings: &[Finding]) -> Value {
    let rows: Vec<Value> = findings
        .iter()
        .map(|finding| {
            json!({
                "check": finding.check.title(desired),
                "member": desired.name(finding.member),
                "level": match finding.level { Level::Ok => "ok", Level::Warn => "warn", Level::Fail => "fail" },
                "evidence": finding.evidence,
                "fix": finding.fix,
            })
        })
        .collect();
    json!({ "event": "findings", "fit": preflight::worst(findings) != Level::Fail, "findings": rows })
}

pub(super) fn plan_json(desired: &Desired, plan: &Plan) -> Value {
    let waves: Vec<Value> = plan
        .waves
        .iter()
        .map(|wave| {
            let steps: Vec<Value> = wave
                .steps
                .iter()
                .map(|step| {
                    json!({
                        "member": step.name, "step": step.action.to_string(), "why": step.why,
                        "risk": step.risk.to_string(), "undo": step.undo,
                    })
                })
                .collect();
            let gates: Vec<String> = wave.gates.iter().map(|gate| gate.condition.to_string()).collect();
            json!({ "title": wave.title, "steps": steps, "gates": gates })
        })
        .collect();
    json!({
        "event": "plan", "cluster": desired.cluster, "title": plan.title, "fingerprint": plan.fingerprint(),
        "pending": !plan.is_empty(), "waves": waves, "warnings": plan.warnings,
    })
}

/// Why there is no plan, as the failure that ends the run.
pub(super) fn stop(desired: &Desired, stop: &Stop) -> Failure {
    match stop {
        Stop::Preflight(findings) => failed_checks(desired, findings),
        Stop::Refused(refused) => from_refused(Exit::Refused, refused).state("nothing was changed"),
        Stop::Unreachable(away) => {
            let noun = if away.len() == 1 { "host" } else { "hosts" };
            let what = format!("{} {noun} cannot be used", away.len());
            let mut failure = Failure::new(Exit::Unreachable, what);
            for refused in away {
                failure.evidence.push(crate::report::Evidence {
                    from: refused.what.clone(),
                    lines: refused.evidence.clone(),
                });
                failure.next.extend(refused.next.iter().cloned());
            }
            failure.state("nothing was changed on any host")
        }
    }
}

fn from_refused(exit: Exit, refused: &Refused) -> Failure {
    let mut failure = Failure::new(exit, &refused.what).evidence("evidence", refused.evidence.clone());
    failure.next.clone_from(&refused.next);
    failure
}

pub(super) fn health(health: &Health) -> Table {
    let mut table =
        Table::new(["node", "mode", "zxid", "epoch", "lag", "commit", "connections", "version", "uptime"]);
    for row in &health.rows {
        let tone = if row.in_sync { Tone::Good } else { Tone::Bad };
        table.row(vec![
            Cell::plain(&row.node),
            Cell::toned(&row.mode, tone),
            optional(row.zxid.clone()),
            optional(row.epoch),
            optional(row.lag),
            optional(row.commit_us.map(latency)),
            optional(row.connections),
            optional(row.version.clone()),
            optional(row.uptime_ms.map(uptime)),
        ]);
    }
    table
}

/// Every reason with its evidence and what to type, as people read it.
pub(super) fn reasons(reasons: &[Diagnosis]) -> String {
    let mut text = String::new();
    for reason in reasons {
        text += &format!("\n{}\n", reason.what);
        for line in &reason.evidence {
            text += &format!("    {line}\n");
        }
        for line in &reason.next {
            text += &format!("  next: {line}\n");
        }
    }
    text
}

pub(super) fn health_json(health: &Health) -> Value {
    let reasons: Vec<Value> = health
        .reasons
        .iter()
        .map(|reason| {
            json!({
                "id": reason.member.0, "cause": format!("{:?}", reason.cause), "what": reason.what,
                "evidence": reason.evidence, "next": reason.next,
            })
        })
        .collect();
    let nodes: &[Row] = &health.rows;
    json!({
        "event": "status", "cluster": health.cluster, "healthy": health.healthy(),
        "verdict": health.verdict.to_string(), "nodes": nodes, "reasons": reasons,
    })
}

fn optional(value: Option<impl ToString>) -> Cell {
    Cell::plain(value.map_or_else(|| "-".to_owned(), |value| value.to_string()))
}

fn latency(us: u64) -> String {
    format!("{:.1} ms", us as f64 / 1000.0)
}

/// The two largest units are enough: `3d 4h`, `5m 12s`, `8s`.
pub(super) fn uptime(ms: u64) -> String {
    let seconds = ms / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match () {
        () if days > 0 => format!("{days}d {hours}h"),
        () if hours > 0 => format!("{hours}h {minutes}m"),
        () if minutes > 0 => format!("{minutes}m {}s", seconds % 60),
        () => format!("{seconds}s"),
    }
}

/// More columns do not fit a terminal.
const COLUMNS_MAX: usize = 7;
