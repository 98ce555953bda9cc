//! The operator: an inventory and the facts of its hosts become a plan, and the plan is carried out.
//!
//! | room | what it is |
//! |---|---|
//! | [`inventory`] | YAML → a `Cluster` that cannot be wrong |
//! | [`render`] | `Cluster` + node + template → file contents |
//! | [`plan`] | (cluster, facts, goal) → `Plan`: waves of desired-state steps closed by gates |
//! | [`transport`] | how a host is reached: ssh, local |
//! | [`host`] | what the same binary does on a host (`zkops host`): facts, files, firewall, service, probes |
//! | [`fleet`] | the hosts in use: reached, binary brought, agent started, always let go |
//! | [`observe`] | facts from hosts and live servers, read-only |
//! | [`apply`] | executes a `Plan`: waves, gates, lock, journal |
//! | [`operate`] | the use cases: typed request → typed outcome; the one door for whoever calls |
//!
//! `inventory`, `render` and `plan` are pure. Nothing here knows the server's rooms: what is learnt of a server is
//! learnt at its client port, from its files' formats, or from its host.

pub mod apply;
pub mod fleet;
pub mod host;
pub mod inventory;
pub mod observe;
pub mod operate;
pub mod plan;
pub mod render;
pub mod transport;
