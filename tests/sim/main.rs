//! The whole ensemble in one thread: the server's own replica, zab, tree and store, simulated clients, clocks,
//! network and disks, all driven by one seed. Not a part of the shipped binary.
//!
//! `cargo test --release --test sim -- --seeds A..B` runs seeds; docs/testing.md tells the rest.

mod args;
mod check;
mod client;
mod foreign;
mod greedy;
mod left;
mod model;
mod mutants;
mod net;
mod node;
mod queue;
mod rot;
mod run;
mod scenario;
mod shrink;
mod siege;
mod stranger;
mod trace;
mod workload;
mod world;

fn main() -> std::process::ExitCode {
    args::main()
}
