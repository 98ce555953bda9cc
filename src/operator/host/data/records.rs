//! What is asked and answered about a member's data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::formats::marker::Marker;
use crate::operator::host::failure::Failure;
use crate::operator::host::files::Owner;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectData {
    pub data_dir: PathBuf,
    /// `None`: the same as `data_dir`.
    pub log_dir: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    pub data_dir_exists: bool,
    pub log_dir_exists: bool,
    /// No database: neither epochs nor snapshots nor logs. `myid`, the marker and strangers may be there.
    pub empty: bool,
    pub myid: Option<Number>,
    pub accepted_epoch: Option<Number>,
    pub current_epoch: Option<Number>,
    /// Newest last.
    pub snapshots: Vec<DataFile>,
    /// Newest last. The zxid is that of the first transaction in the file.
    pub logs: Vec<DataFile>,
    /// The highest zxid in any file name; the newest log goes further than that.
    pub zxid_by_name: Option<i64>,
    /// The `initialize` file: "an empty database here is intended" (disk-format §8).
    pub initialize: bool,
    pub marker: Option<Marker>,
    /// Full paths of what is neither ZooKeeper's nor ours.
    pub foreign: Vec<PathBuf>,
    pub foreign_count: usize,
    pub total_bytes: u64,
    /// What could not be read, and why.
    pub unreadable: Vec<Failure>,
    /// Why a server will hardly start on this, judged from a few bytes.
    pub damage: Vec<Damage>,
    /// Oddities that a server survives.
    pub notes: Vec<OddFile>,
}

/// One reason why a server will hardly start on these files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Damage {
    /// Something else is where `version-2` should be.
    NotADirectory {
        path: PathBuf,
    },
    NotANumber {
        file: NumberFile,
        raw: String,
    },
    /// The epoch that was promised is older than the one that was joined.
    EpochsReversed {
        accepted: i64,
        current: i64,
    },
    /// There are snapshots, and each of them is odd.
    NoSnapshotLoads {
        odd: Vec<OddFile>,
    },
    LogsWithoutSnapshot,
    /// One of the logs that are replayed at a start.
    BadLog(OddFile),
    /// The file that says whose data this is does not.
    BadMarker(OddFile),
}

/// The files that hold one decimal number each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberFile {
    Myid,
    AcceptedEpoch,
    CurrentEpoch,
}

/// A snapshot or a log that does not look like one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OddFile {
    pub path: PathBuf,
    /// To be read after the file's name: "is not gzip".
    pub how: String,
}

/// A file that should hold one decimal number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number {
    /// The first line, at most 80 characters.
    pub raw: String,
    pub value: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    pub path: PathBuf,
    pub zxid: i64,
    pub bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteMarker {
    pub data_dir: PathBuf,
    pub marker: Marker,
    /// Write over another identity. Only for data that is proven to be this member's.
    pub replace: bool,
    /// Whose the file shall be; `None`: whose the directory's last one was, or ours.
    pub owner: Option<Owner>,
}
