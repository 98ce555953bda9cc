//! What is asked and answered about the operator's runs.

use std::fmt;
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
    /// Grows with every change of holder, never falls while the file is there.
    #[serde(default)]
    pub fence: u64,
    /// Given back: the file stays, so that the number above goes on from here.
    #[serde(default)]
    pub released: bool,
}

/// Under whose lock a request is sent. Whoever takes a lock over makes all tokens before it stale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockToken {
    pub path: PathBuf,
    /// The holder's id.
    pub holder: String,
    pub fence: u64,
}

/// A request was not looked at: the lock that it was sent under has another holder now, or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaleLock {
    pub path: PathBuf,
    /// Who holds it, or was the last to give it back; `None`: the file is gone.
    pub now: Option<Held>,
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

/// Keeps a lock for longer. It never takes one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewLock {
    pub token: LockToken,
    pub ttl_ms: u64,
}

impl Held {
    pub fn token(&self, path: PathBuf) -> LockToken {
        LockToken { path, holder: self.holder.id.clone(), fence: self.fence }
    }

    /// It is what this token speaks of.
    pub fn is_of(&self, token: &LockToken) -> bool {
        !self.released && self.holder.id == token.holder && self.fence == token.fence
    }
}

impl fmt::Display for StaleLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.now {
            Some(Held { holder, released, .. }) => {
                let back = if *released { " and gave it back since" } else { "" };
                write!(f, "{} (pid {}) took the lock over{back}: {}", holder.who, holder.pid, holder.command)
            }
            None => write!(f, "the lock {} was taken away by somebody else", self.path.display()),
        }
    }
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
