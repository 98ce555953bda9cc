//! What is asked and answered about the operator's runs.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Unique for a run: what makes two holders the same.
    pub id: String,
    /// "user@host" of the operator.
    pub who: String,
    /// Of the operator's process, on its machine.
    pub pid: u32,
    /// What it is doing: "deploy inventories/three-nodes.yml".
    pub command: String,
}

/// A lock as it stands on the host; both times are this host's clock, in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub holder: Holder,
    pub since_ms: i64,
    /// After this it is stale: its holder has not renewed it.
    pub until_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeLock {
    pub path: PathBuf,
    pub holder: Holder,
    /// Taking it again renews it.
    pub ttl_ms: u64,
    /// `--break-lock`: the id of the holder to replace, as it was shown. Nobody else's lock is
    /// broken by it, should the lock have changed hands meanwhile.
    pub over: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    /// It is ours now. `replaced`: the stale or broken lock that was there.
    Taken {
        held: Held,
        replaced: Option<Held>,
    },
    HeldBy(Held),
}

/// What a caller asks of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppendJournal {
    pub path: PathBuf,
    /// One JSON value without a line feed.
    pub line: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalTail {
    /// The last lines, oldest first, each one a JSON value.
    pub lines: Vec<String>,
    /// There were older ones.
    pub truncated: bool,
    /// Lines that are not JSON: torn by a crash, or written by somebody else.
    pub torn: usize,
}
