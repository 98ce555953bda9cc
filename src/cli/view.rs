//! Findings and health in the shapes that `report` draws for people. Machines get the outcomes as they are.

use crate::operator::plan::desired::Desired;
use crate::operator::plan::diagnosis::Diagnosis;
use crate::operator::plan::preflight::{Finding, Level};
use crate::operator::plan::status::Health;
use crate::report::{Cell, Table, Tone};

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

pub(super) fn health(health: &Health) -> Table {
    let mut table =
        Table::new(["member", "mode", "zxid", "epoch", "lag", "commit", "connections", "version", "uptime"]);
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
