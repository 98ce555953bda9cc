//! What a supervisor leaves for whoever asks: the pid file, and the lock beside it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::records::DaemonSpec;
use crate::operator::host::machine::process::Identity;

/// The pid file: the supervisor's pid on the first line, for whoever wants to signal it, and this
/// as JSON on the second. It is there while the supervisor runs, and after one that gave up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) supervisor: Identity,
    pub(crate) server: Option<Identity>,
    /// When the server came into the state it is in, in milliseconds since 1970.
    pub(crate) since_ms: i64,
    pub(crate) restarts: u32,
    pub(crate) last_exit: Option<Exit>,
}

impl Status {
    pub(crate) fn render(&self) -> serde_json::Result<String> {
        Ok(format!("{}\n{}\n", self.supervisor.pid, serde_json::to_string(self)?))
    }

    /// `None` when there is no pid file, or none of ours.
    pub(crate) fn read(pid_file: &Path) -> Option<Status> {
        let text = fs::read_to_string(pid_file).ok()?;
        serde_json::from_str(text.lines().nth(1)?).ok()
    }
}

/// How the server ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Exit {
    Status(i32),
    Signal(i32),
    /// It could not even be started.
    NotStarted(String),
    /// It was not our child (its supervisor had been killed), so nobody knows.
    Unknown,
}

/// Held by the running supervisor.
pub(crate) fn lock_file(spec: &DaemonSpec) -> PathBuf {
    PathBuf::from(format!("{}.lock", spec.pid_file.display()))
}
