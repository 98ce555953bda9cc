//! What requests pass through: the coordination server, and below it what the operator and the client share with it.
//! It is a package of its own because it alone is built for speed (`Cargo.toml`, `docs/performance.md`): it never
//! names operator, shell or client, which are built small. `zkops` hands its wings on under their own names, and its
//! `lib.rs` has the code map.
//!
//! What is generic is built where it is used: what the server runs at speed is put together here, behind
//! [`server::process::run`].

pub mod config;
pub mod ensemble;
pub mod formats;
pub mod server;
pub mod wire;

/// The version as the status words print it: what the reference prints, `<x.y.z>-<build>, built on <date>`.
/// Tools read the number to learn what a server can do, so it names the release whose protocol this is.
pub(crate) const VERSION: &str =
    concat!("3.9.4-zkops-", env!("CARGO_PKG_VERSION"), ", built on 2026-11-23 00:00 UTC");
