//! The coordination server: Apache ZooKeeper's protocols and files, as a pure core with a thin shell around it.
//!
//! | room | what it is |
//! |---|---|
//! | [`zab`] | agreement on a log of opaque transactions: election, discovery, sync, broadcast |
//! | [`tree`] | the replicated state: request → checked txn, apply, ACL, sessions, ephemerals, digest |
//! | [`replica`] | one server's mind: zab + tree + request pipeline + watches, as one `step` |
//! | [`store`] | txn log, snapshots, epoch files, recovery, purge, over a `Disk` trait |
//! | [`process`] | the shell: sockets, the state thread, the log thread, four-letter words |
//! | [`mutants`] | hand-made faults for the simulator to find; not in what is shipped |
//!
//! `zab`, `tree` and `replica` touch no socket, no file, no clock and no random source. Nothing here knows the
//! operator, which talks to a server as any client would.

pub mod mutants;
pub mod process;
pub mod replica;
pub mod store;
pub mod tree;
pub mod zab;
