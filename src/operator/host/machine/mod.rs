//! The machine itself: what it is, its processes and clocks, and how a program of it is run.
//!
//! | file | what it is about |
//! |---|---|
//! | `records` | what is answered about the machine: all that an operator imports |
//! | `facts` | what kind of machine this is |
//! | `process` | the process table: who is a pid, and is it still the same one |
//! | `command` | runs a program with a deadline, bounded output, `LC_ALL=C` |
//! | `users` | the users that servers run as |
//! | `clock` | wall clock, monotonic clock, uptime, the name of this boot |
//! | `hosts_file` | /etc/hosts as text |
//! | `blocking` | work that waits for a disk, on a thread of its own |

pub(super) mod blocking;
pub(super) mod clock;
pub(super) mod command;
pub(super) mod facts;
pub(super) mod hosts_file;
pub(super) mod process;
mod records;
pub(super) mod users;

#[cfg(test)]
mod tests;

pub use records::{Binary, Facts, Init, Os, Process, Selinux};
