//! zkops: one static binary with three faces — the operator (`zkops deploy|status|repair …`),
//! the JDK-free coordination server it pushes (`zkops server zoo.cfg`) and the shell (`zkops cli`).
//!
//! # Code map
//!
//! | wing | rooms | purpose |
//! |---|---|---|
//! | [`wire`] | `ids`, `jute`, `proto` | bytes and words that all share |
//! | [`formats`] | | what stands in a server's files: readers and codecs, for both sides |
//! | [`ensemble`] | | who belongs to an ensemble: the one grammar for members, for both sides |
//! | [`config`] | | zoo.cfg → settings, for both sides |
//! | [`report`] | | events and their sinks: bars, plain lines, JSON, tables |
//! | [`server`] | `zab`, `tree`, `replica`, `store`, `process` | the coordination server |
//! | [`client`] | | async client: sessions, reconnects, typed API, four-letter probe |
//! | [`shell`] | | zkCli's grammar and output |
//! | [`operator`] | `inventory`, `render`, `plan`, `transport`, `host`, `fleet`, `observe`, `apply`, `operate` | from an inventory to an ensemble |
//! | [`forensics`] | `inquiry`, `evidence` | what a server's files tell: who deleted a znode, whether a log is whole |
//! | [`cli`] | | words → requests, outcomes → text or JSON; one file per verb |
//!
//! `wire`, `formats`, `ensemble`, `config` and `server` stand in `engine/`, a package that is built for speed; the rest is
//! built small, and names them as before. The `mod.rs` of a wing tells its rooms, the `mod.rs` of a room its files.
//!
//! # What never happens where
//!
//! - `zab`, `tree`, `replica`, `plan`, `inventory`, `render`, `formats`, `ensemble`, `config`, `inquiry` never touch a
//!   socket, a file, a clock or a random source: time, facts and seeds are arguments.
//! - `server` and `operator` never import each other: the operator talks to a server as any client would.
//! - Nothing but `report` prints, nothing but `cli` prompts.
//! - An ack, a vote or an epoch promise never leaves before the fsync that covers it.

pub mod cli;
pub mod client;
pub mod forensics;
pub mod operator;
pub mod report;
pub mod shell;

pub use zkops_engine::{config, ensemble, formats, server, wire};
