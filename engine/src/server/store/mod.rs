//! What a server keeps on disk: txn log, snapshots, epoch files and myid, byte for byte as the
//! reference writes them (disk-format), over the [`disk::Disk`] trait; recovery, truncation and purge. The bytes
//! themselves are `formats`'.
//!
//! It decides nothing about agreement: `zab` says what to persist and in which order, the driver
//! in `server` calls [`Store`] from its one log thread. It prints nothing: what a human should
//! know comes back as notes, what stops a start as a [`Refusal`].
//!
//! | file | about |
//! |---|---|
//! | `disk` | the `Disk` and `File` traits and their errors |
//! | `real`, `mem` | the two disks: the machine's, and one in memory with faults |
//! | `dirs` | dataDir and dataLogDir |
//! | `refusal` | why a directory is not opened, and what to do then |
//! | `txnlog` | the log's format, its writer and its reader with tail detection; the record of the newest log |
//! | `snap` | the snapshot file around a tree's body: seals, sections, compression |
//! | `atomic`, `epochs` | small files replaced as a whole: the two epochs; myid |
//! | `aside` | what no server reads any more is renamed, not deleted |
//! | `identity` | whose data a directory holds |
//! | `recover` | the start: newest loadable snapshot, replay, continuity |
//! | `supersede` | a received snapshot in the place of all older data, over crashes |
//! | `unsynced` | the mark on data that a leader's snapshot is only about to make whole |
//! | `store`, `batch` | the open store: append, flush, roll, truncate, install, apply a batch |
//! | `settings` | what an operator may choose |
//! | `purge` | which snapshots and logs may go |
//! | `bent` | the rules as they must not be, for the simulator to find |

pub mod disk;
pub mod mem;

mod aside;
mod atomic;
mod batch;
mod bent;
mod dirs;
mod epochs;
mod identity;
mod purge;
mod real;
mod recover;
mod refusal;
mod settings;
mod snap;
#[allow(clippy::module_inception)]
mod store;
mod supersede;
mod txnlog;
mod unsynced;

pub use batch::Done;
pub use dirs::Dirs;
pub use identity::identify;
pub use purge::{Purged, purge};
pub use real::RealDisk;
pub use recover::Recovered;
pub use refusal::{Refusal, Result};
pub use settings::Settings;
pub use snap::SnapshotFile;
pub use store::Store;
pub use txnlog::{End, Item, LogReader};

#[cfg(test)]
mod tests;
