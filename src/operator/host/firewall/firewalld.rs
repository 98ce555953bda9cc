//! firewalld, in the zone that the node's traffic comes in by: a port is added to the permanent
//! rules and to the running ones, as `firewall-cmd --add-port` does with and without `--permanent`.
//!
//! Nothing is reloaded, as guides have it after a permanent change: the running rules are changed
//! already, a reload would lose an administrator's runtime rules (a complete one also the state of
//! established connections, ssh's among them), and it takes seconds.
//!
//! Everything is asked and done on the system bus (`firewalld_bus`) where it can be, otherwise
//! through `firewall-cmd`, a Python program that takes a good part of a second a question.

use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::firewalld_bus::{self as bus, Change, Lifetime, Running};
use super::firewalld_zone::{Zone, zones};
use super::records::{FirewallReport, Verdict};
use super::scope::{self, Scope};
use crate::operator::host::failure::{Failure, Kind};
use crate::operator::host::files::{dirs, durable};
use crate::operator::host::machine::command;

/// The zones that matter to us, as they run and as they will be after a restart.
pub(crate) struct State {
    /// The one that the node's traffic comes in by.
    pub(crate) zone: String,
    running: Vec<Zone>,
    permanent: Vec<Zone>,
}

/// A port that we added to a zone. firewalld has no comments, so we keep a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Opened {
    zone: String,
    port: u16,
}

pub(crate) async fn look(scope: &Scope, evidence: &mut Vec<String>) -> Result<Option<State>, Failure> {
    if command::find(COMMAND).is_none() {
        return Ok(None);
    }
    let state = match bus::running(scope.deadline).await {
        Running::No => None,
        Running::Yes { default_zone } => match look_on_the_bus(default_zone, scope).await {
            Some(state) => Some(state),
            None => look_by_command(scope).await?,
        },
        Running::Unknown => look_by_command(scope).await?,
    };
    let Some(mut state) = state else {
        evidence.push("firewalld is installed but does not run".into());
        return Ok(None);
    };
    evidence.push(format!("firewalld runs; zone {}", state.zone));
    for zone in state.running.iter_mut().chain(&mut state.permanent) {
        zone.service_ports = zone.services.iter().flat_map(|name| bus::service_ports(name)).collect();
    }
    Ok(Some(state))
}

/// The node's zone, and those in which we opened ports before. `None`: the bus cannot tell.
async fn look_on_the_bus(default_zone: String, scope: &Scope) -> Option<State> {
    let bound = match &scope.interface {
        Some(interface) => bus::zone_of(interface, scope.deadline).await?,
        None => None,
    };
    let zone = bound.unwrap_or(default_zone);
    let mut names: Vec<String> =
        recorded(&scope.state_dir).ok()?.into_iter().map(|opened| opened.zone).collect();
    names.push(zone.clone());
    names.sort();
    names.dedup();
    let asked = names.iter().map(|name| async {
        tokio::join!(
            bus::settings(name, Lifetime::Now, scope.deadline),
            bus::settings(name, Lifetime::Permanent, scope.deadline),
        )
    });
    let mut state = State { zone, running: Vec::new(), permanent: Vec::new() };
    for (running, permanent) in join_all(asked).await {
        state.running.push(running?);
        state.permanent.push(permanent?);
    }
    Some(state)
}

async fn look_by_command(scope: &Scope) -> Result<Option<State>, Failure> {
    let (running, permanent) = tokio::join!(
        command::run(COMMAND, &["--list-all-zones"], scope.deadline),
        command::run(COMMAND, &["--permanent", "--list-all-zones"], scope.deadline),
    );
    let running = running?;
    if running.code == Some(NOT_RUNNING) || running.complaint().contains("not running") {
        return Ok(None);
    }
    if running.complaint().contains("Authorization failed") {
        return Err(Failure::new(
            "read the rules of",
            "firewalld",
            Kind::PermissionDenied,
            "only root may see them",
        ));
    }
    let running = zones(&running.success("ask firewalld with")?.stdout);
    let permanent = zones(&permanent?.success("ask firewalld with")?.stdout);
    // The zone bound to the interface, else the default one: it takes what no zone claims.
    let interface = scope.interface.as_ref();
    let bound = running.iter().find(|zone| interface.is_some_and(|name| zone.interfaces.contains(name)));
    let zone = match bound {
        Some(zone) => zone.name.clone(),
        None => {
            let args = ["--get-default-zone"];
            let asked = command::must("ask firewalld with", COMMAND, &args, scope.deadline).await?;
            asked.stdout.trim().to_string()
        }
    };
    Ok(Some(State { zone, running, permanent }))
}

/// A firewalld that is stopped now but starts with the host: what it will do to our ports.
pub(crate) async fn asleep(deadline: Instant) -> Option<String> {
    command::find(COMMAND)?;
    let asked = command::run("systemctl", &["is-enabled", "firewalld.service"], deadline).await.ok()?;
    (asked.stdout.trim() == "enabled").then(|| {
        "firewalld is stopped, but it starts with the host and then closes these ports: \
         `systemctl start firewalld` and run this again, or `systemctl disable firewalld`"
            .to_string()
    })
}

impl State {
    pub(crate) fn verdict(&self, port: u16) -> Verdict {
        named(&self.running, &self.zone).map_or(Verdict::Open, |zone| zone.verdict(port))
    }

    /// Of the ports asked, those that are open now and will not be after a restart.
    pub(crate) fn passing(&self, ports: &[u16]) -> Vec<u16> {
        let zone = named(&self.permanent, &self.zone);
        let blocked = |port: &u16| zone.is_none_or(|zone| zone.verdict(*port).blocked());
        let open = |port: &u16| !self.verdict(*port).blocked();
        ports.iter().copied().filter(open).filter(blocked).collect()
    }
}

pub(crate) async fn open(
    state: &State,
    ports: &[u16],
    scope: &Scope,
    report: &mut FirewallReport,
) -> Result<(), Failure> {
    let zone = state.zone.as_str();
    let running = named(&state.running, zone);
    let permanent = named(&state.permanent, zone);
    let wanted: Vec<u16> = ports.iter().copied().filter(|port| needs(running, permanent, *port)).collect();
    for port in &wanted {
        if let Some(Verdict::Blocked { by }) = running.map(|zone| zone.verdict(*port))
            && by.contains("rich rule")
        {
            let failure = Failure::new("open the port", port, Kind::Foreign, by);
            return Err(failure.hint("somebody forbids it on purpose: remove that rule first"));
        }
    }
    let absent = |zone: Option<&Zone>, port: &u16| !zone.is_some_and(|zone| zone.opens(*port));
    let not_permanent: Vec<u16> = wanted.iter().copied().filter(|port| absent(permanent, port)).collect();
    let not_running: Vec<u16> = wanted.iter().copied().filter(|port| absent(running, port)).collect();
    if !wanted.is_empty() {
        scope::need_root("open ports in", "firewalld")?;
    }
    if !not_permanent.is_empty() {
        // Before the rule exists: whoever kills us in between, `close` knows it for ours.
        remember(&scope.state_dir, zone, &not_permanent)?;
        change(Change::Add, Lifetime::Permanent, zone, &not_permanent, scope, report).await?;
    }
    // Also when nothing was missing: an earlier run may have been killed before its sync.
    sync_zone(zone)?;
    if !not_running.is_empty() {
        change(Change::Add, Lifetime::Now, zone, &not_running, scope, report).await?;
    }
    Ok(())
}

pub(crate) async fn close(
    state: &State,
    ports: &[u16],
    scope: &Scope,
    report: &mut FirewallReport,
) -> Result<(), Failure> {
    let all = recorded(&scope.state_dir)?;
    let (ours, kept): (Vec<Opened>, Vec<Opened>) = all.into_iter().partition(|one| ports.contains(&one.port));
    if ours.is_empty() {
        return Ok(());
    }
    scope::need_root("close ports in", "firewalld")?;
    let mut zones: Vec<&String> = ours.iter().map(|one| &one.zone).collect();
    zones.sort();
    zones.dedup();
    for zone in zones {
        for (lifetime, listed) in [(Lifetime::Permanent, &state.permanent), (Lifetime::Now, &state.running)] {
            let there = |port: &u16| {
                named(listed, zone).is_some_and(|zone| zone.ports.contains(&format!("{port}/tcp")))
            };
            let mine: Vec<u16> =
                ours.iter().filter(|one| one.zone == *zone).map(|one| one.port).filter(there).collect();
            if !mine.is_empty() {
                change(Change::Remove, lifetime, zone, &mine, scope, report).await?;
            }
        }
        sync_zone(zone)?;
    }
    write_record(&scope.state_dir, &kept)
}

fn needs(running: Option<&Zone>, permanent: Option<&Zone>, port: u16) -> bool {
    let closed =
        |zone: Option<&Zone>| zone.is_none_or(|zone| matches!(zone.verdict(port), Verdict::Blocked { .. }));
    closed(running) || closed(permanent)
}

async fn change(
    change: Change,
    lifetime: Lifetime,
    zone: &str,
    ports: &[u16],
    scope: &Scope,
    report: &mut FirewallReport,
) -> Result<(), Failure> {
    let args = arguments(change, lifetime, zone, ports);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let shown = if bus::change(change, lifetime, zone, ports, scope.deadline).await {
        format!("{COMMAND} {}", args.join(" "))
    } else {
        command::must("change firewalld with", COMMAND, &args, scope.deadline).await?.shown
    };
    report.commands.push(shown);
    let done = if change == Change::Add { "opened" } else { "closed" };
    let how = if lifetime == Lifetime::Now { "now" } else { "permanently" };
    report.done.push(format!("{done} {} in firewalld zone {zone}, {how}", listed(ports)));
    Ok(())
}

/// What one types to make the same change.
fn arguments(change: Change, lifetime: Lifetime, zone: &str, ports: &[u16]) -> Vec<String> {
    let verb = if change == Change::Add { "--add-port" } else { "--remove-port" };
    let permanent = (lifetime == Lifetime::Permanent).then(|| "--permanent".to_string());
    let ports = ports.iter().map(|port| format!("{verb}={port}/tcp"));
    permanent.into_iter().chain([format!("--zone={zone}")]).chain(ports).collect()
}

/// firewalld writes its zone files without a sync: a power-off would lose the rule.
fn sync_zone(zone: &str) -> Result<(), Failure> {
    scope::sync_file(&Path::new(ZONE_FILES).join(format!("{zone}.xml")))
}

fn record_file(state_dir: &Path) -> PathBuf {
    state_dir.join("firewalld-ports.json")
}

fn recorded(state_dir: &Path) -> Result<Vec<Opened>, Failure> {
    let path = record_file(state_dir);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| Failure::new("read the record", path.display(), Kind::Foreign, error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Failure::io("read", path.display(), &error)),
    }
}

fn remember(state_dir: &Path, zone: &str, ports: &[u16]) -> Result<(), Failure> {
    let mut all = recorded(state_dir)?;
    for port in ports {
        let one = Opened { zone: zone.to_string(), port: *port };
        if !all.contains(&one) {
            all.push(one);
        }
    }
    write_record(state_dir, &all)
}

fn write_record(state_dir: &Path, all: &[Opened]) -> Result<(), Failure> {
    let path = record_file(state_dir);
    dirs::create_missing(state_dir)?;
    let text = serde_json::to_vec(all).map_err(|error| Failure::invalid("write", path.display(), error))?;
    durable::replace(&path, &text, 0o644, None)
}

fn named<'a>(zones: &'a [Zone], name: &str) -> Option<&'a Zone> {
    zones.iter().find(|zone| zone.name == name)
}

fn listed(ports: &[u16]) -> String {
    ports.iter().map(|port| format!("{port}/tcp")).collect::<Vec<_>>().join(", ")
}

const COMMAND: &str = "firewall-cmd";
/// `firewall-cmd`'s exit status when the daemon does not run.
const NOT_RUNNING: i32 = 252;
const ZONE_FILES: &str = "/etc/firewalld/zones";
