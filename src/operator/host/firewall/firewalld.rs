//! firewalld, in the zone that the member's traffic comes in by: a port (for some addresses alone: a rich rule)
//! is added to the permanent rules and to the running ones, as `firewall-cmd --add-port` does with and
//! without `--permanent`.
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
use super::firewalld_zone::{Zone, rich_rule, zones};
use super::matching::Asked;
use super::records::{FirewallReport, Verdict};
use super::scope::{self, Scope};
use crate::formats::opening::{Network, Opening};
use crate::operator::host::failure::{Failure, Kind};
use crate::operator::host::files::{dirs, durable};
use crate::operator::host::machine::command;

/// The zones that matter to us, as they run and as they will be after a restart.
pub(crate) struct State {
    /// The one that the node's traffic comes in by.
    pub(crate) zone: String,
    running: Vec<Zone>,
    permanent: Vec<Zone>,
    /// What we opened in any zone.
    ours: Vec<Opened>,
}

/// An opening that we added to a zone. firewalld has no comments, so we keep a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Opened {
    zone: String,
    port: u16,
    /// For all, as the first version had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Network>,
}

impl Opened {
    fn opening(&self) -> Opening {
        Opening { port: self.port, from: self.from }
    }
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
    let ours = recorded(&scope.state_dir).ok()?;
    let mut names: Vec<String> = ours.iter().map(|opened| opened.zone.clone()).collect();
    names.push(zone.clone());
    names.sort();
    names.dedup();
    let asked = names.iter().map(|name| async {
        tokio::join!(
            bus::settings(name, Lifetime::Now, scope.deadline),
            bus::settings(name, Lifetime::Permanent, scope.deadline),
        )
    });
    let mut state = State { zone, running: Vec::new(), permanent: Vec::new(), ours };
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
    let ours = recorded(&scope.state_dir)?;
    Ok(Some(State { zone, running, permanent, ours }))
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
    pub(crate) fn verdict(&self, asked: &Asked) -> Verdict {
        named(&self.running, &self.zone)
            .map_or(Verdict::open(), |zone| zone.verdict(asked, &self.openings_of(&self.zone)))
    }

    /// Of those asked, those that are open now and will not be after a restart.
    pub(crate) fn passing(&self, openings: &[Opening]) -> Vec<Opening> {
        let zone = named(&self.permanent, &self.zone);
        let ours = self.openings_of(&self.zone);
        let blocked =
            |opening: &Opening| zone.is_none_or(|zone| zone.verdict(&Asked::of(*opening), &ours).blocked());
        let open = |opening: &Opening| !self.verdict(&Asked::of(*opening)).blocked();
        openings.iter().copied().filter(open).filter(blocked).collect()
    }

    /// Ours on these ports that stand in one of the two sets of rules.
    pub(crate) fn ours(&self, ports: &[u16]) -> Vec<Opening> {
        let stands = |one: &&Opened| {
            let has = |zones: &[Zone]| named(zones, &one.zone).is_some_and(|zone| zone.has(&one.opening()));
            ports.contains(&one.port) && (has(&self.running) || has(&self.permanent))
        };
        self.ours.iter().filter(stands).map(Opened::opening).collect()
    }

    fn openings_of(&self, zone: &str) -> Vec<Opening> {
        self.ours.iter().filter(|one| one.zone == zone).map(Opened::opening).collect()
    }
}

pub(crate) async fn open(
    state: &State,
    openings: &[Opening],
    scope: &Scope,
    report: &mut FirewallReport,
) -> Result<(), Failure> {
    let zone = state.zone.as_str();
    let ours = state.openings_of(zone);
    let running = named(&state.running, zone);
    let permanent = named(&state.permanent, zone);
    let wanted: Vec<Opening> =
        openings.iter().copied().filter(|one| needs(running, permanent, one, &ours)).collect();
    for opening in &wanted {
        if let Some(Verdict::Blocked { by }) =
            running.map(|zone| zone.verdict(&Asked::alone(*opening), &ours))
            && by.contains("rich rule")
        {
            let failure = Failure::new("open the port", opening, Kind::Foreign, by);
            return Err(failure.hint("somebody forbids it on purpose: remove that rule first"));
        }
    }
    let absent = |zone: Option<&Zone>, opening: &Opening| !zone.is_some_and(|zone| zone.has(opening));
    let not_permanent: Vec<Opening> = wanted.iter().copied().filter(|one| absent(permanent, one)).collect();
    let not_running: Vec<Opening> = wanted.iter().copied().filter(|one| absent(running, one)).collect();
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
    openings: &[Opening],
    scope: &Scope,
    report: &mut FirewallReport,
) -> Result<(), Failure> {
    let all = recorded(&scope.state_dir)?;
    let (ours, kept): (Vec<Opened>, Vec<Opened>) =
        all.into_iter().partition(|one| openings.contains(&one.opening()));
    if ours.is_empty() {
        return Ok(());
    }
    scope::need_root("close ports in", "firewalld")?;
    let mut zones: Vec<&String> = ours.iter().map(|one| &one.zone).collect();
    zones.sort();
    zones.dedup();
    for zone in zones {
        for (lifetime, listed) in [(Lifetime::Permanent, &state.permanent), (Lifetime::Now, &state.running)] {
            let there = |one: &Opening| named(listed, zone).is_some_and(|zone| zone.has(one));
            let mine: Vec<Opening> =
                ours.iter().filter(|one| one.zone == *zone).map(Opened::opening).filter(there).collect();
            if !mine.is_empty() {
                change(Change::Remove, lifetime, zone, &mine, scope, report).await?;
            }
        }
        sync_zone(zone)?;
    }
    write_record(&scope.state_dir, &kept)
}

fn needs(running: Option<&Zone>, permanent: Option<&Zone>, opening: &Opening, ours: &[Opening]) -> bool {
    let closed =
        |zone: Option<&Zone>| zone.is_none_or(|zone| zone.verdict(&Asked::alone(*opening), ours).blocked());
    closed(running) || closed(permanent)
}

async fn change(
    change: Change,
    lifetime: Lifetime,
    zone: &str,
    openings: &[Opening],
    scope: &Scope,
    report: &mut FirewallReport,
) -> Result<(), Failure> {
    let args = arguments(change, lifetime, zone, openings);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let shown = if bus::change(change, lifetime, zone, openings, scope.deadline).await {
        shlex::try_join(std::iter::once(COMMAND).chain(args)).unwrap_or_else(|_| COMMAND.to_owned())
    } else {
        command::must("change firewalld with", COMMAND, &args, scope.deadline).await?.shown
    };
    report.commands.push(shown);
    let done = if change == Change::Add { "opened" } else { "closed" };
    let how = if lifetime == Lifetime::Now { "now" } else { "permanently" };
    report.done.push(format!("{done} {} in firewalld zone {zone}, {how}", scope::listed(openings)));
    Ok(())
}

/// What one types to make the same change.
fn arguments(change: Change, lifetime: Lifetime, zone: &str, openings: &[Opening]) -> Vec<String> {
    let verb = if change == Change::Add { "--add" } else { "--remove" };
    let permanent = (lifetime == Lifetime::Permanent).then(|| "--permanent".to_string());
    let openings = openings.iter().map(|opening| match rich_rule(opening) {
        None => format!("{verb}-port={}/tcp", opening.port),
        Some(rule) => format!("{verb}-rich-rule={rule}"),
    });
    permanent.into_iter().chain([format!("--zone={zone}")]).chain(openings).collect()
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

fn remember(state_dir: &Path, zone: &str, openings: &[Opening]) -> Result<(), Failure> {
    let mut all = recorded(state_dir)?;
    for opening in openings {
        let one = Opened { zone: zone.to_string(), port: opening.port, from: opening.from };
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

const COMMAND: &str = "firewall-cmd";
/// `firewall-cmd`'s exit status when the daemon does not run.
const NOT_RUNNING: i32 = 252;
const ZONE_FILES: &str = "/etc/firewalld/zones";
