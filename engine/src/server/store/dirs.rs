//! The two directories of a server, and where its files live below them.

use std::path::PathBuf;

use crate::formats::names::VERSION_2;

/// A server's two directories, as zoo.cfg names them; often the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    /// `dataDir`: myid, and `version-2` with snapshots and epochs.
    pub data: PathBuf,
    /// `dataLogDir`: `version-2` with the txn logs.
    pub log: PathBuf,
}

impl Dirs {
    /// Where snapshots and epoch files live.
    pub fn snaps(&self) -> PathBuf {
        self.data.join(VERSION_2)
    }

    /// Where txn logs live.
    pub fn logs(&self) -> PathBuf {
        self.log.join(VERSION_2)
    }
}
