//! How a command on a host ended. What it said is `exec`'s.

use std::fmt;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    Code(i32),
    /// Killed by a signal; the name without SIG (`TERM`).
    Signal(String),
}

impl Status {
    pub fn success(&self) -> bool {
        *self == Status::Code(0)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Status::Code(code) => write!(f, "exit status {code}"),
            Status::Signal(name) => write!(f, "signal {name}"),
        }
    }
}
