//! All integration tests, in one binary: it links once.
//!
//! `lab` brings up real hosts (systemd, sshd, firewalld) in namespaces of their own; `local` runs servers on
//! loopback. Each test has a lab or a directory of its own, so they run side by side and leave nothing.

mod apache;
mod binary;
#[path = "../check/mod.rs"]
mod check;
mod checkers;
mod deploy;
mod ensemble;
mod faults;
mod healing;
mod lab;
mod mistakes;
mod repair;
mod run;
mod server;
mod tidy;
mod transcript;
