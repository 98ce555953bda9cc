//! A server that stays up: the same verbs for a systemd unit and for a daemon that our own
//! supervisor keeps, and one report for both. Which of the two it is, the request says: an
//! ordinary user's servers are daemons even where PID 1 is systemd.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::daemon::{self, DaemonSpec};
use super::systemd;
use crate::operator::host::failure::Failure;

/// One service and who keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Of the unit, without `.service`.
    pub name: String,
    pub manager: Manager,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manager {
    Systemd,
    /// Our supervisor, described by this file.
    Daemon {
        spec: PathBuf,
    },
}

/// What an installed service is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Definition {
    /// The text of the unit file; it must carry our header ([`crate::operator::host::files::put::HEADER`]).
    Unit(String),
    Daemon(DaemonSpec),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallService {
    pub service: Service,
    pub definition: Definition,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Changes nothing.
    State,
    Start,
    Stop,
    Restart,
    /// Start at boot.
    Enable,
    Disable,
    /// Stops, disables and forgets it.
    Remove,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceCall {
    pub service: Service,
    pub verb: Verb,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceReport {
    pub changed: bool,
    /// What was done, a sentence each.
    pub done: Vec<String>,
    /// As it is now.
    pub state: ServiceState,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceState {
    pub active: Active,
    /// In the manager's own words: "running", "auto-restart", "waiting to restart".
    pub sub: String,
    /// Of the server itself.
    pub main_pid: Option<i32>,
    /// When it came into the state it is in, in milliseconds since 1970. A running server that is
    /// older than its configuration or its binary (their `modified_ms`) still has to be restarted,
    /// whoever was killed before he did it.
    pub since_ms: Option<i64>,
    /// Of the last end of the server.
    pub exit_status: Option<i32>,
    pub exit_signal: Option<i32>,
    /// Why it is not running: "success", "exit-code", "signal", "start-limit-hit" …
    pub result: String,
    /// By the manager, after a crash.
    pub restarts: u32,
    pub installed: bool,
    pub enabled: bool,
    /// It will run again after a restart of the host.
    pub survives_reboot: bool,
    /// What a person should know about it.
    pub note: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Active {
    Running,
    Starting,
    Stopping,
    /// Ended with an error, or restarting after one.
    Failed,
    #[default]
    Stopped,
}

/// Writes the definition; the same one again is no change.
///
/// # Errors
/// `Foreign` when a unit of that name is there that zkops did not write.
pub(crate) async fn install(request: InstallService, deadline: Instant) -> Result<ServiceReport, Failure> {
    let Service { name, manager } = request.service;
    checked(&name)?;
    match (manager, request.definition) {
        (Manager::Systemd, Definition::Unit(text)) => systemd::install(&name, text, deadline).await,
        (Manager::Daemon { spec }, Definition::Daemon(daemon)) => daemon::install(&spec, &daemon),
        (manager, _) => {
            Err(Failure::invalid("install", name, format!("that definition is not for {manager:?}")))
        }
    }
}

pub(crate) async fn call(
    request: ServiceCall,
    supervisor: &[std::ffi::OsString],
    deadline: Instant,
) -> Result<ServiceReport, Failure> {
    checked(&request.service.name)?;
    match request.service.manager {
        Manager::Systemd => systemd::call(&request.service.name, request.verb, deadline).await,
        Manager::Daemon { spec } => daemon::call(&spec, request.verb, supervisor, deadline).await,
    }
}

/// A name becomes an argument and a file name.
fn checked(name: &str) -> Result<(), Failure> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_.@:".contains(c);
    if name.is_empty() || name.len() > 200 || name.starts_with(['-', '.']) || !name.chars().all(legal) {
        return Err(Failure::invalid(
            "use the service name",
            format!("{name:?}"),
            "letters, digits and -_.@: only",
        ));
    }
    Ok(())
}
