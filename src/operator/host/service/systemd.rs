//! A systemd unit: installed, enabled, started, and each of these durable. It writes only unit
//! files that carry our header.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::time::Instant;

use super::records::{Active, ServiceReport, ServiceState, Verb};
use crate::operator::host::failure::{At, Failure, Kind};
use crate::operator::host::files::{PutFile, durable, put};
use crate::operator::host::machine::{clock, command};

/// `systemctl show`, in our words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) state: ServiceState,
    pub(crate) needs_reload: bool,
}

pub(crate) async fn install(name: &str, text: String, deadline: Instant) -> Result<ServiceReport, Failure> {
    if !put::is_ours(text.as_bytes()) {
        let why = format!(
            "its text does not say {:?} near its head, so it could never be changed again",
            put::HEADER
        );
        return Err(Failure::invalid("install", name, why));
    }
    let path = unit_file(name);
    let written = put::put(PutFile::ours(&path, text.as_str()))?;
    let mut done = Vec::new();
    if written.changed {
        done.push(format!("wrote {}", path.display()));
    }
    let before = show(name, deadline).await?;
    // A unit that systemd had not loaded was read just now. Else it compares the file with what it
    // loaded, also after a run that was killed between writing and reloading.
    if before.needs_reload || !before.state.installed {
        command::must("reload the units with", COMMAND, &["daemon-reload"], deadline).await?;
        done.push("systemd reloaded its units".into());
    }
    report(name, done, deadline).await
}

pub(crate) async fn call(name: &str, verb: Verb, deadline: Instant) -> Result<ServiceReport, Failure> {
    let before = show(name, deadline).await?.state;
    let unit = unit(name);
    let mut done = Vec::new();
    match verb {
        Verb::State => {}
        Verb::Start if before.active == Active::Running => {}
        Verb::Start => {
            // Else a unit that failed too often refuses to start at all.
            if before.active == Active::Failed {
                systemctl("reset-failed", &unit, deadline).await?;
            }
            systemctl("start", &unit, deadline).await?;
            done.push(format!("started {unit}"));
        }
        Verb::Restart => {
            if before.active == Active::Failed {
                systemctl("reset-failed", &unit, deadline).await?;
            }
            systemctl("restart", &unit, deadline).await?;
            done.push(format!("restarted {unit}"));
        }
        Verb::Stop => stop(&before, &unit, deadline, &mut done).await?,
        Verb::Enable => {
            if !before.enabled {
                enable(name, &unit, deadline).await?;
                done.push(format!("enabled {unit}"));
            }
            sync_links()?;
        }
        Verb::Disable => disable(&before, &unit, deadline, &mut done).await?,
        Verb::Remove => remove(name, &before, deadline, &mut done).await?,
    }
    report(name, done, deadline).await
}

/// Its link is for the next boot, and a reload of all units takes longer than the rest of a service: it is asked for only
/// where systemd goes by what it read before.
async fn enable(name: &str, unit: &str, deadline: Instant) -> Result<(), Failure> {
    systemctl_with(&["--no-reload"], "enable", unit, deadline).await?;
    if !show(name, deadline).await?.state.enabled {
        command::must("reload the units with", COMMAND, &["daemon-reload"], deadline).await?;
    }
    Ok(())
}

async fn stop(
    before: &ServiceState,
    unit: &str,
    deadline: Instant,
    done: &mut Vec<String>,
) -> Result<(), Failure> {
    // A failed unit may be about to be restarted: stopping ends that too.
    if before.installed && before.active != Active::Stopped {
        systemctl("stop", unit, deadline).await?;
        done.push(format!("stopped {unit}"));
        // A unit that ended with an error stays "failed" when it is stopped.
        let _ = systemctl("reset-failed", unit, deadline).await;
    }
    Ok(())
}

async fn disable(
    before: &ServiceState,
    unit: &str,
    deadline: Instant,
    done: &mut Vec<String>,
) -> Result<(), Failure> {
    if before.enabled {
        systemctl("disable", unit, deadline).await?;
        done.push(format!("disabled {unit}"));
    }
    sync_links()
}

async fn remove(
    name: &str,
    before: &ServiceState,
    deadline: Instant,
    done: &mut Vec<String>,
) -> Result<(), Failure> {
    let (path, unit) = (unit_file(name), unit(name));
    match fs::read(&path) {
        Ok(text) if !put::is_ours(&text) => {
            let why = "zkops did not write that unit file";
            return Err(Failure::new("remove", path.display(), Kind::Foreign, why));
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::io("read", path.display(), &error)),
    }
    stop(before, &unit, deadline, done).await?;
    disable(before, &unit, deadline, done).await?;
    fs::remove_file(&path).at("remove", &path)?;
    durable::sync_dir(Path::new(UNIT_DIR))?;
    command::must("reload the units with", COMMAND, &["daemon-reload"], deadline).await?;
    done.push(format!("removed {}", path.display()));
    Ok(())
}

async fn systemctl(verb: &str, unit: &str, deadline: Instant) -> Result<(), Failure> {
    systemctl_with(&[], verb, unit, deadline).await
}

async fn systemctl_with(options: &[&str], verb: &str, unit: &str, deadline: Instant) -> Result<(), Failure> {
    let args: Vec<&str> = ["--no-ask-password"].iter().chain(options).copied().chain([verb, unit]).collect();
    let output = command::run(COMMAND, &args, deadline).await?;
    if output.ok() {
        return Ok(());
    }
    let hint = format!("`journalctl -u {unit}` on that host has the reason");
    Err(Failure::new(verb, unit, Kind::CommandFailed, output.complaint()).hint(hint))
}

async fn report(name: &str, done: Vec<String>, deadline: Instant) -> Result<ServiceReport, Failure> {
    let state = show(name, deadline).await?.state;
    Ok(ServiceReport { changed: !done.is_empty(), done, state })
}

async fn show(name: &str, deadline: Instant) -> Result<Shown, Failure> {
    let unit = unit(name);
    let output = command::must("ask systemd with", COMMAND, &["show", &unit, PROPERTIES], deadline).await?;
    Ok(parse(&output.stdout, clock::wall_ms(), clock::monotonic_ms()))
}

/// Parses `systemctl show`; both clocks are of now, in milliseconds.
pub(crate) fn parse(text: &str, wall_ms: i64, monotonic_ms: u64) -> Shown {
    let value = |key: &str| {
        text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default().trim()
    };
    let active = match (value("ActiveState"), value("SubState")) {
        ("active" | "reloading", _) => Active::Running,
        // Waiting to be started again after a crash.
        ("activating", "auto-restart" | "auto-restart-queued") | ("failed", _) => Active::Failed,
        ("activating", _) => Active::Starting,
        ("deactivating", _) => Active::Stopping,
        _ => Active::Stopped,
    };
    let enabled = matches!(value("UnitFileState"), "enabled" | "enabled-runtime");
    let since_ms =
        value("StateChangeTimestampMonotonic").parse::<u64>().ok().filter(|us| *us > 0).map(|us| {
            let ago_ms = monotonic_ms.saturating_sub(us / 1000);
            wall_ms.saturating_sub_unsigned(ago_ms)
        });
    let ended = value("ExecMainCode") != "0" && !value("ExecMainCode").is_empty();
    let status = value("ExecMainStatus").parse::<i32>().ok().filter(|_| ended);
    let killed = KILLED.contains(&value("ExecMainCode"));
    let state = ServiceState {
        active,
        sub: value("SubState").to_string(),
        main_pid: value("MainPID").parse().ok().filter(|pid| *pid > 0),
        since_ms,
        exit_status: status.filter(|_| !killed),
        exit_signal: status.filter(|_| killed),
        result: value("Result").to_string(),
        restarts: value("NRestarts").parse().unwrap_or(0),
        installed: value("LoadState") == "loaded",
        enabled,
        survives_reboot: value("UnitFileState") == "enabled",
        masked: value("LoadState") == "masked",
        note: (value("LoadState") == "masked").then(|| "the unit is masked".to_string()),
    };
    Shown { state, needs_reload: value("NeedDaemonReload") == "yes" }
}

/// Enabling makes links; systemctl does not sync the directories that they are in.
fn sync_links() -> Result<(), Failure> {
    let dir = Path::new(UNIT_DIR);
    for entry in fs::read_dir(dir).at("list", dir)?.flatten() {
        let name = entry.file_name();
        let links = name.to_str().is_some_and(|name| name.ends_with(".wants") || name.ends_with(".requires"));
        if links && entry.path().is_dir() {
            durable::sync_dir(&entry.path())?;
        }
    }
    durable::sync_dir(dir)
}

fn unit(name: &str) -> String {
    if name.ends_with(".service") { name.to_string() } else { format!("{name}.service") }
}

fn unit_file(name: &str) -> PathBuf {
    Path::new(UNIT_DIR).join(unit(name))
}

const COMMAND: &str = "systemctl";
/// Where an administrator's units belong (systemd.unit(5)).
const UNIT_DIR: &str = "/etc/systemd/system";
const PROPERTIES: &str = "--property=LoadState,ActiveState,SubState,MainPID,StateChangeTimestampMonotonic,\
ExecMainCode,ExecMainStatus,Result,NRestarts,UnitFileState,NeedDaemonReload";
/// `ExecMainCode` of a process that was killed, and of one that dumped core (wait(2), CLD_*).
const KILLED: [&str; 2] = ["2", "3"];
