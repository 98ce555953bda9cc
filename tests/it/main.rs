//! All integration tests, in one binary: it links once.
//!
//! `lab` brings up real hosts (systemd, sshd, firewalld) in namespaces of their own; `local` runs servers on
//! loopback; `terminal` shows what a person sees. Each test has a lab or a directory of its own, so they run side by side and leave nothing.

mod apache;
mod binary;
mod blind;
mod budgets;
mod causes;
mod changes;
#[path = "../check/mod.rs"]
mod check;
mod checkers;
mod deploy;
mod edges;
mod editing;
mod ensemble;
mod faults;
mod fences;
mod forensics;
mod forged;
mod fuzz;
mod healing;
mod identity;
mod injected;
mod ipv6;
mod jump;
mod lab;
mod large;
mod layout;
mod local;
mod mistakes;
mod moved;
mod operate;
mod person;
mod ports;
mod privilege;
mod reconfigured;
mod repair;
mod run;
mod server;
mod setup;
mod signals;
mod strangers;
mod terminal;
mod tidy;
mod torture;
mod transcript;
mod words;
