//! The store as the log thread uses it: starts, truncations, received snapshots, purges, and a
//! crash at every single operation.

mod apache;
mod batch;
mod crash;
mod healing;
mod history;
mod start;
mod world;
