//! What an operator may choose about the store; defaults as the reference's (operations §10.4).

use super::txnlog::LogSettings;
use crate::formats::compression::Compression;
use crate::server::tree;

/// How the store works. Sizes are bytes.
#[derive(Debug, Clone)]
pub struct Settings {
    /// One of an ensemble: keeps epoch files. A standalone server has none.
    pub quorum: bool,
    /// `snapshot.trust.empty`: logs without a snapshot are replayed on an empty tree.
    pub trust_empty: bool,
    /// `db.autocreate`: an empty directory is an empty database that may vote.
    pub db_autocreate: bool,
    /// `datadir.autocreate`: missing directories are created.
    pub dir_autocreate: bool,
    /// Log files grow in steps of this size; 0 = no padding.
    pub prealloc_bytes: u64,
    pub force_sync: bool,
    /// A log file beyond this is followed by a new one, without a snapshot.
    pub log_file_bytes_max: Option<u64>,
    /// A snapshot is due after this many txns, less a random part of up to half.
    pub snap_count: u32,
    /// The same by bytes of log.
    pub snap_log_bytes: Option<u64>,
    pub compression: Compression,
    /// Bounds of [`super::Recovered::tail`].
    pub tail_txns_max: usize,
    pub tail_bytes_max: usize,
    /// For the random part of `snap_count`, so that servers do not snapshot all at once.
    pub seed: u64,
    pub tree: tree::Settings,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            quorum: true,
            trust_empty: false,
            db_autocreate: true,
            dir_autocreate: true,
            prealloc_bytes: 64 << 20,
            force_sync: true,
            log_file_bytes_max: None,
            snap_count: 100_000,
            snap_log_bytes: Some(4 << 30),
            compression: Compression::None,
            tail_txns_max: 500,
            tail_bytes_max: 64 << 20,
            seed: 0,
            tree: tree::Settings::default(),
        }
    }
}

impl Settings {
    pub(crate) fn log(&self) -> LogSettings {
        LogSettings {
            prealloc_bytes: self.prealloc_bytes,
            force_sync: self.force_sync,
            file_bytes_max: self.log_file_bytes_max,
            txn_len_max: self.tree.txn_len_max,
        }
    }
}
