//! The machine itself: what it is, its processes, and how a program of it is run.
//!
//! | file | what it is about |
//! |---|---|
//! | [`records`] | what is asked and answered |
//! | [`facts`] | what kind of machine this is |
//! | [`process`] | the process table: who is a pid, and is it still the same one |
//! | [`command`] | runs a program with a deadline, bounded output, `LC_ALL=C` |

pub(super) mod blocking;
pub(super) mod clock;
pub(super) mod command;
pub(super) mod facts;
pub(super) mod hosts_file;
pub(super) mod process;
mod records;

#[cfg(test)]
mod tests;

pub use records::{Binary, Facts, Init, Os, Process, Selinux};
