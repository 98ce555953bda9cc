//! The machine itself: what it is, its processes, and how a program of it is run.
//!
//! | file | what it is about |
//! |---|---|
//! | [`facts`] | what kind of machine this is |
//! | [`process`] | the process table: who is a pid, and is it still the same one |
//! | [`command`] | runs a program with a deadline, bounded output, `LC_ALL=C` |

pub mod command;
pub mod facts;
pub mod process;

#[cfg(test)]
mod tests;

pub use facts::{Binary, Facts, Init, Os, Selinux};
pub use process::Process;
