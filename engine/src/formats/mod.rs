//! What stands in the files of a server (disk-format): readers and codecs over bytes and `std::io` streams,
//! for the server that keeps the files and for the operator that looks at them.
//!
//! | file | about |
//! |---|---|
//! | [`names`] | file names: what counts as a log or snapshot, and what must never look like one |
//! | [`numbers`] | the two epochs and myid |
//! | [`records`] | files of ours beside them |
//! | [`marker`] | `zkops.json`: whose data this is |
//! | [`log`] | the txn log: header, entries, what a torn end is and what damage |
//! | [`snapshot`] | the snapshot file around its body: header, seals, trailing sections |
//! | [`properties`] | Java's syntax around zoo.cfg and member lists |
//! | [`opening`] | openings of the host's firewall, as journals have them |
//! | [`compression`] | how a snapshot file is stored: plain, gzip, snappy-java |
//!
//! It opens no file and decides nothing: which files are needed, what damage means and what to do about it is
//! for `server::store` and `operator::host` to say.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod compression;
pub mod log;
pub mod marker;
pub mod names;
pub mod numbers;
pub mod opening;
pub mod properties;
pub mod records;
pub mod snapshot;
