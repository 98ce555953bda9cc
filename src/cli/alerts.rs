//! What an ensemble is like, for those who watch many things at once: the line of a monitoring plugin (Nagios, Icinga,
//! Checkmk, Sensu) and the text format of Prometheus. What is not known is left out, never zero.

use std::fmt::Write as _;

use crate::operator::operate::status::Outcome;
use crate::operator::plan::status::{Health, Row, Verdict};
use crate::report::Failure;

/// How a monitoring plugin ends: its exit code (0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN) and what it prints: a line with
/// figures behind `|`, then the reasons.
pub(super) fn plugin(looked: &Result<Outcome, Failure>) -> (u8, String) {
    let health = match looked {
        Ok(outcome) => &outcome.health,
        Err(failure) => {
            let next = failure.next.first().map(|next| format!("; next: {next}")).unwrap_or_default();
            return (UNKNOWN, format!("ZKOPS UNKNOWN - {}{next}\n", plain(&failure.what)));
        }
    };
    let (code, word) = match health.verdict {
        Verdict::Healthy { .. } => (0, "OK"),
        // Every write is still committed.
        Verdict::Degraded { .. } => (1, "WARNING"),
        Verdict::NoQuorum { .. } | Verdict::Unwell { .. } | Verdict::Split { .. } => (2, "CRITICAL"),
        Verdict::Unknown { .. } => (UNKNOWN, "UNKNOWN"),
    };
    let verdict = plain(&health.verdict.to_string());
    let mut text = format!("ZKOPS {word} - {}: {verdict} | {}\n", health.cluster, figures(health));
    for reason in &health.reasons {
        let _infallible = writeln!(text, "{}", plain(&reason.what));
        for next in &reason.next {
            let _infallible = writeln!(text, "  next: {}", plain(next));
        }
    }
    for note in &health.notes {
        let _infallible = writeln!(text, "note: {}", plain(note));
    }
    (code, text)
}

/// `'label'=value[unit];warn;crit;min;max`, as plugins give their figures.
fn figures(health: &Health) -> String {
    let in_sync = health.rows.iter().filter(|row| row.in_sync).count();
    let mut figures = format!("'in_sync'={in_sync};;;0;{}", health.rows.len());
    if let Some(spare) = spare(&health.verdict) {
        let _infallible = write!(figures, " 'spare'={spare};;;0;");
    }
    for row in &health.rows {
        let name = row.node.replace(['\'', '=', '|'], "_");
        let mut figure = |what: &str, value: Option<String>| {
            if let Some(value) = value {
                let _infallible = write!(figures, " '{name}_{what}'={value}");
            }
        };
        figure("commit", row.commit_us.map(|us| format!("{us}us")));
        figure("lag", row.lag.map(|lag| lag.to_string()));
        figure("connections", row.connections.map(|count| count.to_string()));
        figure("disk_free", row.disk_free_bytes.map(|bytes| format!("{bytes}B")));
    }
    figures
}

/// How many more voters may fail, where that is proven.
fn spare(verdict: &Verdict) -> Option<usize> {
    match verdict {
        Verdict::Healthy { spare, .. } | Verdict::Degraded { spare, .. } => Some(*spare),
        Verdict::NoQuorum { .. } => Some(0),
        Verdict::Unwell { .. } | Verdict::Split { .. } | Verdict::Unknown { .. } => None,
    }
}

/// On one line, and without what separates figures.
fn plain(text: &str) -> String {
    text.replace('|', "/").replace(['\n', '\r'], " ")
}

/// The text format of Prometheus, version 0.0.4, whatever became of the look.
pub(super) fn metrics(looked: &Result<Outcome, Failure>) -> String {
    let mut page = Page::default();
    let failed = u8::from(looked.is_err());
    page.family("zkops_look_failed", "1: nothing is known of the ensemble, the look itself failed.");
    page.sample("zkops_look_failed", "", failed);
    let Ok(Outcome { health }) = looked else { return page.0 };
    let cluster = label("cluster", &health.cluster);
    page.family("zkops_ensemble_state", "1 for what the ensemble is proven to be, 0 for all else.");
    let now = state(health);
    for state in STATES {
        let labels = format!("{cluster},{}", label("state", state));
        page.sample("zkops_ensemble_state", &labels, u8::from(state == now));
    }
    if let Some(spare) = spare(&health.verdict) {
        page.family(
            "zkops_ensemble_spare_voters",
            "How many more voters may fail before nothing is committed.",
        );
        page.sample("zkops_ensemble_spare_voters", &cluster, spare);
    }
    let mut of_members = |name: &str, help: &str, value: &dyn Fn(&Row) -> Option<String>| {
        page.family(name, help);
        for row in &health.rows {
            if let Some(value) = value(row) {
                page.sample(name, &format!("{cluster},{}", label("member", &row.node)), value);
            }
        }
    };
    of_members("zkops_member_in_sync", "1: it leads, or follows in sync.", &|row| {
        Some(u8::from(row.in_sync).to_string())
    });
    of_members("zkops_member_leads", "1: it is the leader, or serves alone.", &|row| {
        Some(u8::from(row.in_sync && ["leader", "standalone"].contains(&row.mode.as_str())).to_string())
    });
    of_members("zkops_member_lag_transactions", "Transactions behind the leader.", &|row| {
        row.lag.map(|lag| lag.to_string())
    });
    of_members("zkops_member_epoch", "The epoch of its last transaction.", &|row| {
        row.epoch.map(|epoch| epoch.to_string())
    });
    of_members("zkops_member_commit_seconds", "What a transaction through it took.", &|row| {
        row.commit_us.map(|us| format!("{:.6}", us as f64 / 1e6))
    });
    of_members("zkops_member_connections", "Clients that are connected to it.", &|row| {
        row.connections.map(|count| count.to_string())
    });
    of_members("zkops_member_uptime_seconds", "How long its server runs.", &|row| {
        row.uptime_ms.map(|ms| format!("{:.3}", ms as f64 / 1e3))
    });
    of_members(
        "zkops_member_disk_free_bytes",
        "Free where its data is, on the fuller file system.",
        &|row| row.disk_free_bytes.map(|bytes| bytes.to_string()),
    );
    page.0
}

fn state(health: &Health) -> &'static str {
    match health.verdict {
        Verdict::Healthy { .. } => "healthy",
        Verdict::Degraded { .. } => "degraded",
        Verdict::NoQuorum { .. } => "no_quorum",
        Verdict::Unwell { .. } => "unwell",
        Verdict::Split { .. } => "split",
        Verdict::Unknown { .. } => "unknown",
    }
}

/// A page of metrics.
#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, help: &str) {
        let _infallible = write!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge\n");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _infallible = match labels {
            "" => writeln!(self.0, "{name} {value}"),
            labels => writeln!(self.0, "{name}{{{labels}}} {value}"),
        };
    }
}

fn label(name: &str, value: &str) -> String {
    format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

const UNKNOWN: u8 = 3;
const STATES: [&str; 6] = ["healthy", "degraded", "no_quorum", "unwell", "split", "unknown"];
