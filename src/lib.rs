//! zkops: one static binary with three faces — the operator (`zkops deploy|status|repair …`),
//! the JDK-free coordination server it pushes (`zkops server zoo.cfg`) and the shell (`zkops cli`).
//!
//! # Code map
//!
//! | folder | purpose |
//! |---|---|
//! | [`ids`] | zxid, epoch, server id, session id: one newtype each |
//! | [`jute`] | bytes ⇄ primitives, bounded and total |
//! | [`proto`] | the client protocol's vocabulary: requests, replies, ACL, Stat, paths, multi, error codes |
//! | [`zab`] | agreement on a log of opaque transactions: election, discovery, sync, broadcast |
//! | [`tree`] | the replicated state: request → checked txn, apply, ACL, sessions, ephemerals, digest |
//! | [`replica`] | one server's mind: zab + tree + request pipeline + watches, as one `step` |
//! | [`store`] | txn log, snapshots, epoch files, recovery, purge, over a `Disk` trait |
//! | [`mutants`] | hand-made faults for the simulator to find; not in what is shipped |
//! | [`server`] | the process: zoo.cfg, sockets, the state thread, the log thread, four-letter words |
//! | [`client`] | async client: sessions, reconnects, typed API, four-letter probe |
//! | [`shell`] | zkCli's grammar and output |
//! | [`inventory`] | YAML → a `Cluster` that cannot be wrong |
//! | [`render`] | `Cluster` + node + template → file contents |
//! | [`plan`] | (cluster, facts, goal) → `Plan`: waves of desired-state steps closed by gates |
//! | [`transport`] | how a host is reached: ssh, local |
//! | [`host`] | what the same binary does on a host (`zkops host`): facts, files, firewall, service, probes |
//! | [`observe`] | facts from hosts and live servers, read-only |
//! | [`apply`] | executes a `Plan`: waves, gates, lock, journal |
//! | [`report`] | events and their sinks: bars, plain lines, JSON, tables |
//! | [`cli`] | arguments → goal → call → report; one file per verb |
//!
//! # What never happens where
//!
//! - `zab`, `tree`, `replica`, `plan`, `inventory`, `render` never touch a socket, a file, a clock or a
//!   random source: time, facts and seeds are arguments.
//! - The server side and the operator side never import each other: the operator talks to a
//!   server as any client would.
//! - Nothing but `report` prints, nothing but `cli` prompts.
//! - An ack, a vote or an epoch promise never leaves before the fsync that covers it.

pub mod apply;
pub mod cli;
pub mod client;
pub mod host;
pub mod ids;
pub mod inventory;
pub mod jute;
pub mod mutants;
pub mod observe;
pub mod plan;
pub mod proto;
pub mod render;
pub mod replica;
pub mod report;
pub mod server;
pub mod shell;
pub mod store;
pub mod transport;
pub mod tree;
pub mod zab;

/// The version as the status words print it: what the reference prints, `<x.y.z>-<build>, built on <date>`.
/// Tools read the number to learn what a server can do, so it names the release whose protocol this is.
pub const VERSION: &str =
    concat!("3.9.4-zkops-", env!("CARGO_PKG_VERSION"), ", built on 2026-11-23 00:00 UTC");
