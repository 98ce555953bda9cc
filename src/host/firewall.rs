//! Which firewall is active on this host, and the same few verbs for each kind: open ports for
//! good, close what we opened, say what blocks one. The kinds themselves are in their own files.
//!
//! Nothing is guessed: a port counts as open when the rules say so, whoever wrote them; a rule
//! that somebody wrote about our port is never overruled.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::failure::{Failure, Kind};
use super::verdict::Verdict;
use super::{addresses, files, firewalld, iptables, nftables, ufw};

/// What marks a rule as ours.
pub const TAG: &str = "zkops";

/// One active kind of firewall.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Firewall {
    Firewalld {
        /// The zone that the node's traffic comes in by.
        zone: String,
    },
    Ufw,
    /// Base chains on the input hook that filter.
    Nftables {
        chains: Vec<String>,
    },
    Iptables,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detected {
    /// Empty: none is active.
    pub active: Vec<Firewall>,
    /// What was seen, a line each.
    pub evidence: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallPorts {
    pub ports: Vec<u16>,
    /// The node's address, which tells the interface and so the zone.
    pub address: Option<IpAddr>,
}

/// One port's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortState {
    pub port: u16,
    pub verdict: Verdict,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallReport {
    pub changed: bool,
    pub firewalls: Vec<Firewall>,
    /// As the rules stand now, in the order asked.
    pub ports: Vec<PortState>,
    /// What was done, a sentence each.
    pub done: Vec<String>,
    /// The commands that were run to change something, as one would type them.
    pub commands: Vec<String>,
    /// The ports stay open after a restart of the host. True when nothing filters.
    pub survives_reboot: bool,
    pub notes: Vec<String>,
}

/// An active firewall with its rules as they stand.
pub(crate) enum Looked {
    Firewalld(firewalld::State),
    Ufw(ufw::State),
    Nftables(nftables::State),
    Iptables(iptables::State),
}

/// What the verbs need to know beside the rules.
pub(crate) struct Scope {
    pub(crate) interface: Option<String>,
    /// Where zkops keeps its own state on this host.
    pub(crate) state_dir: PathBuf,
    pub(crate) deadline: Instant,
}

impl Scope {
    pub(crate) fn new(address: Option<IpAddr>, state_dir: &Path, deadline: Instant) -> Scope {
        let interface = address.and_then(addresses::interface_of);
        Scope { interface, state_dir: state_dir.to_path_buf(), deadline }
    }
}

pub(crate) async fn detect(scope: &Scope) -> Result<Detected, Failure> {
    let (looked, mut evidence) = look(scope).await?;
    if looked.is_empty() {
        evidence.push("no firewall is active".into());
    }
    Ok(Detected { active: looked.iter().map(|one| one.name(scope)).collect(), evidence })
}

/// Opens what is closed, now and for good.
///
/// # Errors
/// `PermissionDenied` without root; `Foreign` when somebody's rule forbids a port by name.
pub(crate) async fn ensure_open(ports: &[u16], scope: &Scope) -> Result<FirewallReport, Failure> {
    let (looked, _) = look(scope).await?;
    let mut report = FirewallReport { survives_reboot: true, ..FirewallReport::default() };
    for one in &looked {
        match one {
            Looked::Firewalld(state) => firewalld::open(state, ports, scope, &mut report).await?,
            Looked::Ufw(state) => ufw::open(state, ports, scope, &mut report).await?,
            Looked::Nftables(state) => nftables::open(state, ports, scope, &mut report).await?,
            Looked::Iptables(state) => iptables::open(state, ports, scope, &mut report).await?,
        }
    }
    report.changed = !report.commands.is_empty() || !report.done.is_empty();
    conclude(report, looked, ports, scope).await
}

/// Closes what we opened; rules of others stay.
pub(crate) async fn close(ports: &[u16], scope: &Scope) -> Result<FirewallReport, Failure> {
    let (looked, _) = look(scope).await?;
    let mut report = FirewallReport { survives_reboot: true, ..FirewallReport::default() };
    for one in &looked {
        match one {
            Looked::Firewalld(state) => firewalld::close(state, ports, scope, &mut report).await?,
            Looked::Ufw(state) => ufw::close(state, ports, scope, &mut report).await?,
            Looked::Nftables(state) => nftables::close(state, ports, scope, &mut report).await?,
            Looked::Iptables(state) => iptables::close(state, ports, scope, &mut report).await?,
        }
    }
    report.changed = !report.commands.is_empty() || !report.done.is_empty();
    conclude(report, looked, ports, scope).await
}

/// What becomes of a connection to each port, and why. Changes nothing.
pub(crate) async fn explain(ports: &[u16], scope: &Scope) -> Result<FirewallReport, Failure> {
    let (looked, evidence) = look(scope).await?;
    let report = FirewallReport { survives_reboot: true, notes: evidence, ..FirewallReport::default() };
    Ok(summarise(report, &looked, ports, scope))
}

/// Looks again after a change: the report tells what is, not what was meant.
async fn conclude(
    report: FirewallReport,
    before: Vec<Looked>,
    ports: &[u16],
    scope: &Scope,
) -> Result<FirewallReport, Failure> {
    let now = if report.changed { look(scope).await?.0 } else { before };
    Ok(summarise(report, &now, ports, scope))
}

fn summarise(mut report: FirewallReport, looked: &[Looked], ports: &[u16], scope: &Scope) -> FirewallReport {
    report.firewalls = looked.iter().map(|one| one.name(scope)).collect();
    report.ports = ports
        .iter()
        .map(|port| PortState {
            port: *port,
            verdict: looked.iter().fold(Verdict::Open, |all, one| all.and(one.verdict(*port, scope))),
        })
        .collect();
    if looked.is_empty() {
        report.notes.push("no firewall is active on this host".into());
    }
    report
}

/// firewalld and ufw own the rules below them; native nftables and iptables may both be there.
async fn look(scope: &Scope) -> Result<(Vec<Looked>, Vec<String>), Failure> {
    let mut evidence = Vec::new();
    if let Some(state) = firewalld::look(scope.deadline, &mut evidence).await? {
        return Ok((vec![Looked::Firewalld(state)], evidence));
    }
    if let Some(state) = ufw::look(scope.deadline, &mut evidence).await? {
        return Ok((vec![Looked::Ufw(state)], evidence));
    }
    let mut looked = Vec::new();
    let (nftables, iptables) = tokio::join!(nftables::look(scope.deadline), iptables::look(scope.deadline));
    if let Some(state) = optional(nftables, &mut evidence)? {
        evidence.push(format!("nftables filters input in {}", state.chains().join(", ")));
        looked.push(Looked::Nftables(state));
    }
    if let Some(state) = optional(iptables, &mut evidence)? {
        evidence.push("iptables filters INPUT".into());
        looked.push(Looked::Iptables(state));
    }
    Ok((looked, evidence))
}

/// Rules that only root may read are no firewall to an ordinary user's eyes, but he is told.
fn optional<T>(looked: Result<Option<T>, Failure>, evidence: &mut Vec<String>) -> Result<Option<T>, Failure> {
    match looked {
        Err(failure) if failure.kind == Kind::PermissionDenied => {
            evidence.push(failure.to_string());
            Ok(None)
        }
        other => other,
    }
}

impl Looked {
    fn name(&self, scope: &Scope) -> Firewall {
        match self {
            Looked::Firewalld(state) => {
                Firewall::Firewalld { zone: state.zone_for(scope.interface.as_deref()).to_string() }
            }
            Looked::Ufw(_) => Firewall::Ufw,
            Looked::Nftables(state) => Firewall::Nftables { chains: state.chains() },
            Looked::Iptables(_) => Firewall::Iptables,
        }
    }

    fn verdict(&self, port: u16, scope: &Scope) -> Verdict {
        let interface = scope.interface.as_deref();
        match self {
            Looked::Firewalld(state) => state.verdict(port, interface),
            Looked::Ufw(state) => state.verdict(port),
            Looked::Nftables(state) => state.verdict(port, interface),
            Looked::Iptables(state) => state.verdict(port, interface),
        }
    }
}

/// Only root changes rules; said before anything is tried.
pub(crate) fn need_root(what: &str, where_: &str) -> Result<(), Failure> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Failure::new(what, where_, Kind::PermissionDenied, "only root may change the firewall")
        .hint("log in as root, or open the ports by hand: the commands are in the documentation"))
}

/// What a command wrote survives a power-off only when it is synced; the tools do not do it.
pub(crate) fn sync_file(path: &Path) -> Result<(), Failure> {
    use super::failure::At as _;
    match std::fs::File::open(path) {
        Ok(file) => file.sync_all().at("sync", path)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::io("sync", path.display(), &error)),
    }
    files::sync_dir(files::parent(path)?)
}
