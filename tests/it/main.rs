//! All integration tests, in one binary: it links once.
//!
//! `lab` brings up real hosts (systemd, sshd, firewalld) in namespaces of their own; `local` runs servers on
//! loopback; `terminal` shows what a person sees. Each test has a lab or a directory of its own, so they run side by side and leave nothing.

mod apache;
mod binary;
mod causes;
#[path = "../check/mod.rs"]
mod check;
mod checkers;
mod deploy;
mod edges;
mod editing;
mod ensemble;
mod faults;
mod healing;
mod identity;
mod jump;
mod lab;
mod local;
mod mistakes;
mod operate;
mod person;
mod repair;
mod run;
mod server;
mod setup;
mod terminal;
mod tidy;
mod transcript;
