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
//! | [`cli`] | | words → requests, outcomes → text or JSON; one file per verb |
//!
//! The `mod.rs` of a wing tells its rooms, the `mod.rs` of a room its files.
//!
//! # What never happens where
//!
//! - `zab`, `tree`, `replica`, `plan`, `inventory`, `render`, `formats`, `ensemble`, `config` never touch a socket, a
//!   file, a clock or a random source: time, facts and seeds are arguments.
//! - `server` and `operator` never import each other: the operator talks to a server as any client would.
//! - Nothing but `report` prints, nothing but `cli` prompts.
//! - An ack, a vote or an epoch promise never leaves before the fsync that covers it.

pub mod cli;
pub mod client;
pub mod config;
pub mod ensemble;
pub mod formats;
pub mod operator;
pub mod report;
pub mod server;
pub mod shell;
pub mod wire;

/// The version as the status words print it: what the reference prints, `<x.y.z>-<build>, built on <date>`.
/// Tools read the number to learn what a server can do, so it names the release whose protocol this is.
pub const VERSION: &str =
    concat!("3.9.4-zkops-", env!("CARGO_PKG_VERSION"), ", built on 2026-11-23 00:00 UTC");
