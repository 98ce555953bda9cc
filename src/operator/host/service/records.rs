//! What is asked and answered about servers: those that are kept up, their logs, and all that run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::operator::host::files::Owner;
use crate::operator::host::machine::Process;

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
    /// Our supervisor, described by this file, or by the older one where that is not written yet.
    Daemon {
        spec: PathBuf,
        older: Option<PathBuf>,
    },
}

/// What an installed service is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Definition {
    /// The text of the unit file; it must carry our header.
    Unit(String),
    Daemon(Box<DaemonSpec>),
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
    /// Somebody forbade that it be started at all.
    #[serde(default)]
    pub masked: bool,
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

/// What the supervisor runs, and how. Kept as JSON in the spec file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonSpec {
    pub name: String,
    pub exec: PathBuf,
    pub args: Vec<String>,
    /// Added to the environment.
    pub env: BTreeMap<String, String>,
    /// "/" when not named.
    pub working_dir: Option<PathBuf>,
    pub pid_file: PathBuf,
    /// Gets what the server prints.
    pub log_file: PathBuf,
    /// The log is rotated beyond this size.
    pub log_bytes_max: u64,
    /// So many older logs are kept: `log.1` is the newest.
    pub log_keep: u32,
    pub restart: Restart,
    /// Before the first restart; doubled for each further one that comes soon.
    pub restart_delay_ms: u64,
    pub restart_delay_max_ms: u64,
    /// Between TERM and KILL.
    pub stop_timeout_ms: u64,
    /// Ends of the server after which it is not started again: trying would mend nothing.
    #[serde(default)]
    pub final_exits: Vec<i32>,
    /// Whom the server runs as; `None`: whoever supervises it.
    #[serde(default)]
    pub user: Option<Owner>,
}

impl DaemonSpec {
    /// With the usual settings: restarted on failure after 1 s up to 30 s, ten logs of 10 MiB,
    /// ten seconds to stop.
    pub fn new(name: &str, exec: impl Into<PathBuf>, args: Vec<String>, dir: &Path) -> DaemonSpec {
        DaemonSpec {
            name: name.to_string(),
            exec: exec.into(),
            args,
            env: BTreeMap::new(),
            working_dir: None,
            pid_file: dir.join(format!("{name}.pid")),
            log_file: dir.join(format!("{name}.log")),
            log_bytes_max: 10 << 20,
            log_keep: 10,
            restart: Restart::OnFailure,
            restart_delay_ms: 1000,
            restart_delay_max_ms: 30_000,
            stop_timeout_ms: 10_000,
            final_exits: Vec::new(),
            user: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    Always,
    /// An exit with status 0 is somebody's wish (`kill`), and is respected.
    OnFailure,
    Never,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogSource {
    /// A systemd unit's journal.
    Journal {
        unit: String,
    },
    File {
        path: PathBuf,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogTail {
    /// Oldest first.
    pub lines: Vec<String>,
    /// There were older ones.
    pub truncated: bool,
}

/// Which servers are asked for; both `None`: all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindServer {
    /// The zoo.cfg that it runs with.
    pub config: Option<PathBuf>,
    /// The dataDir or dataLogDir that its zoo.cfg names.
    pub data_dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerKind {
    Zkops,
    Java,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningServer {
    pub kind: ServerKind,
    pub process: Process,
    /// Absolute, if its working directory could be read.
    pub config: Option<PathBuf>,
    pub data_dirs: Vec<PathBuf>,
}
