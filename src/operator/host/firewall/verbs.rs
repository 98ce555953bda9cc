//! Which firewall is active on this host, and the same few verbs for each kind: open ports for
//! good, close what we opened, say what blocks one. The kinds themselves are in their own files.
//!
//! Nothing is guessed: a port counts as open when the rules say so, whoever wrote them; a rule
//! that somebody wrote about our port is never overruled.

use super::matching::Asked;
use super::records::{Firewall, FirewallReport, PortState, Verdict};
use super::scope::Scope;
use super::{firewalld, iptables, nftables, ufw};
use crate::formats::opening::Opening;
use crate::operator::host::failure::{Failure, Kind};

/// An active firewall with its rules as they stand.
pub(crate) enum Looked {
    Firewalld(firewalld::State),
    Ufw(ufw::State),
    Nftables(nftables::State),
    Iptables(iptables::State),
}

/// Opens what is closed, now and for good.
///
/// # Errors
/// `PermissionDenied` without root; `Foreign` when somebody's rule forbids a port by name;
/// `CommandFailed` when the rules still block a port afterwards.
pub(crate) async fn ensure_open(openings: &[Opening], scope: &Scope) -> Result<FirewallReport, Failure> {
    let mut report = FirewallReport { survives_reboot: true, ..FirewallReport::default() };
    let view = look(scope).await?;
    for one in &view.looked {
        match one {
            Looked::Firewalld(state) => firewalld::open(state, openings, scope, &mut report).await?,
            Looked::Ufw(state) => ufw::open(state, openings, scope, &mut report).await?,
            Looked::Nftables(state) => nftables::open(state, openings, scope, &mut report).await?,
            Looked::Iptables(state) => iptables::open(state, openings, scope, &mut report).await?,
        }
    }
    let firewalld_runs = view.looked.iter().any(|one| matches!(one, Looked::Firewalld(_)));
    if !firewalld_runs
        && view.unreadable.is_empty()
        && let Some(note) = firewalld::asleep(scope.deadline).await
    {
        report.survives_reboot = false;
        report.notes.push(note);
    }
    report.changed = !report.commands.is_empty() || !report.done.is_empty();
    let report = conclude(report, view, openings, scope).await?;
    match report.ports.iter().find(|state| state.verdict.blocked()) {
        Some(PortState { opening, verdict: Verdict::Blocked { by }, .. }) => {
            Err(Failure::new("open the port", opening, Kind::CommandFailed, format!("still closed: {by}"))
                .hint(format!("what was done: {}", report.done.join("; "))))
        }
        _ => Ok(report),
    }
}

/// Closes what we opened; rules of others stay.
pub(crate) async fn close(openings: &[Opening], scope: &Scope) -> Result<FirewallReport, Failure> {
    let view = look(scope).await?;
    let mut report = FirewallReport { survives_reboot: true, ..FirewallReport::default() };
    for one in &view.looked {
        match one {
            Looked::Firewalld(state) => firewalld::close(state, openings, scope, &mut report).await?,
            Looked::Ufw(state) => ufw::close(state, openings, scope, &mut report).await?,
            Looked::Nftables(state) => nftables::close(state, openings, scope, &mut report).await?,
            Looked::Iptables(state) => iptables::close(state, openings, scope, &mut report).await?,
        }
    }
    report.changed = !report.commands.is_empty() || !report.done.is_empty();
    conclude(report, view, openings, scope).await
}

/// What becomes of a connection to each port, and why. Changes nothing.
pub(crate) async fn explain(openings: &[Opening], scope: &Scope) -> Result<FirewallReport, Failure> {
    let view = look(scope).await?;
    let notes = view.evidence.clone();
    let report = FirewallReport { survives_reboot: true, notes, ..FirewallReport::default() };
    Ok(summarise(report, &view, openings, scope))
}

/// Looks again after a change: the report tells what is, not what was meant.
async fn conclude(
    report: FirewallReport,
    before: View,
    openings: &[Opening],
    scope: &Scope,
) -> Result<FirewallReport, Failure> {
    let now = if report.changed { look(scope).await? } else { before };
    Ok(summarise(report, &now, openings, scope))
}

fn summarise(mut report: FirewallReport, view: &View, openings: &[Opening], scope: &Scope) -> FirewallReport {
    report.firewalls = view.looked.iter().map(|one| one.name()).collect();
    let hidden = view.unreadable.iter().map(|why| Verdict::Unknown { why: why.clone() });
    let at_best = hidden.fold(Verdict::open(), Verdict::and);
    let verdict = |asked: Asked| {
        view.looked.iter().fold(at_best.clone(), |all, one| all.and(one.verdict(&asked, scope)))
    };
    let state = |opening: &Opening| {
        let now = verdict(Asked::of(*opening));
        let leans = !now.blocked() && verdict(Asked::alone(*opening)).blocked();
        PortState { opening: *opening, verdict: now, leans }
    };
    report.ports = openings.iter().map(state).collect();
    let ports: Vec<u16> = openings.iter().map(|opening| opening.port).collect();
    report.ours = view.looked.iter().flat_map(|one| one.ours(&ports)).collect();
    report.ours.sort_unstable();
    report.ours.dedup();
    if !view.unreadable.is_empty() {
        report.survives_reboot = false;
    } else if view.looked.is_empty() {
        report.notes.push("no firewall is active on this host".into());
    }
    for one in &view.looked {
        let Looked::Firewalld(state) = one else { continue };
        for opening in state.passing(openings) {
            report.survives_reboot = false;
            report
                .notes
                .push(format!("firewalld: {opening} is open now, and will be closed after a restart"));
        }
    }
    report
}

/// All active firewalls, or that one does not know.
struct View {
    looked: Vec<Looked>,
    /// What only root may read.
    unreadable: Vec<String>,
    evidence: Vec<String>,
}

impl View {
    /// Rules that this user may not read are no error: connections tell what they do.
    fn add<T>(&mut self, looked: Result<Option<T>, Failure>) -> Result<Option<T>, Failure> {
        match looked {
            Err(failure) if failure.kind == Kind::PermissionDenied => {
                self.unreadable.push(failure.to_string());
                Ok(None)
            }
            other => other,
        }
    }

    /// firewalld and ufw own the rules below them.
    fn decided(&self) -> bool {
        !self.looked.is_empty() || !self.unreadable.is_empty()
    }
}

/// Native nftables and iptables may both be there.
async fn look(scope: &Scope) -> Result<View, Failure> {
    let mut view = View { looked: Vec::new(), unreadable: Vec::new(), evidence: Vec::new() };
    let firewalld = firewalld::look(scope, &mut view.evidence).await;
    let firewalld = view.add(firewalld)?;
    view.looked.extend(firewalld.map(Looked::Firewalld));
    if view.decided() {
        return Ok(view);
    }
    let ufw = ufw::look(scope.deadline, &mut view.evidence).await;
    let ufw = view.add(ufw)?;
    view.looked.extend(ufw.map(Looked::Ufw));
    if view.decided() {
        return Ok(view);
    }
    let (nftables, iptables) = tokio::join!(nftables::look(scope.deadline), iptables::look(scope.deadline));
    if let Some(state) = view.add(nftables)? {
        view.evidence.push(format!("nftables filters input in {}", state.chains().join(", ")));
        view.looked.push(Looked::Nftables(state));
    }
    if let Some(state) = view.add(iptables)? {
        view.evidence.push("iptables filters INPUT".into());
        view.looked.push(Looked::Iptables(state));
    }
    Ok(view)
}

impl Looked {
    fn name(&self) -> Firewall {
        match self {
            Looked::Firewalld(state) => Firewall::Firewalld { zone: state.zone.clone() },
            Looked::Ufw(_) => Firewall::Ufw,
            Looked::Nftables(state) => Firewall::Nftables { chains: state.chains() },
            Looked::Iptables(_) => Firewall::Iptables,
        }
    }

    fn verdict(&self, asked: &Asked, scope: &Scope) -> Verdict {
        let interface = scope.interface.as_deref();
        match self {
            Looked::Firewalld(state) => state.verdict(asked),
            Looked::Ufw(state) => state.verdict(asked),
            Looked::Nftables(state) => state.verdict(asked, interface),
            Looked::Iptables(state) => state.verdict(asked, interface),
        }
    }

    /// What carries our mark on these ports.
    fn ours(&self, ports: &[u16]) -> Vec<Opening> {
        match self {
            Looked::Firewalld(state) => state.ours(ports),
            Looked::Ufw(state) => state.ours(ports),
            Looked::Nftables(state) => state.ours(ports),
            Looked::Iptables(state) => state.ours(ports),
        }
    }
}
