//! How every failure ends: what happened, with the evidence; the state now; what to run next;
//! how to undo (design.md, law 10). The exit codes are part of the interface.

use std::fmt::Write as _;
use std::ops::{Deref, DerefMut};

use serde::Serialize;

/// The exit codes of design.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    Done = 0,
    Failed = 1,
    /// Bad usage or inventory.
    Usage = 2,
    Preflight = 3,
    /// Refused as unsafe.
    Refused = 4,
    /// Stopped half-way: run again to resume.
    Halfway = 5,
    /// Locked by another operator.
    Locked = 6,
    Unreachable = 7,
    /// Changes are pending (`plan`).
    Pending = 8,
    /// `status` only.
    Unhealthy = 9,
}

/// A failure in the four parts an operator needs. Rare and large, so it travels in a box.
#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
#[error("{}", .0.what)]
#[serde(transparent)]
pub struct Failure(Box<Parts>);

/// What a [`Failure`] says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Parts {
    pub exit: Exit,
    pub what: String,
    pub evidence: Vec<Evidence>,
    /// What is true now: what was done, what was not.
    pub state: Vec<String>,
    /// Commands, the most useful first.
    pub next: Vec<String>,
    pub undo: Vec<String>,
}

impl Deref for Failure {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl DerefMut for Failure {
    fn deref_mut(&mut self) -> &mut Parts {
        &mut self.0
    }
}

/// Lines from one place: a log, a rule, an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    pub from: String,
    pub lines: Vec<String>,
}

impl Failure {
    pub fn new(exit: Exit, what: impl Into<String>) -> Failure {
        Failure(Box::new(Parts {
            exit,
            what: what.into(),
            evidence: Vec::new(),
            state: Vec::new(),
            next: Vec::new(),
            undo: Vec::new(),
        }))
    }

    #[must_use]
    pub fn evidence(mut self, from: impl Into<String>, lines: Vec<String>) -> Failure {
        if !lines.is_empty() {
            self.evidence.push(Evidence { from: from.into(), lines });
        }
        self
    }

    #[must_use]
    pub fn state(mut self, line: impl Into<String>) -> Failure {
        self.state.push(line.into());
        self
    }

    #[must_use]
    pub fn next(mut self, line: impl Into<String>) -> Failure {
        self.next.push(line.into());
        self
    }

    #[must_use]
    pub fn undo(mut self, line: impl Into<String>) -> Failure {
        self.undo.push(line.into());
        self
    }

    /// The same, for machines.
    pub(super) fn document(&self) -> serde_json::Value {
        serde_json::json!({ "event": "failure", "exit_code": self.exit as u8, "failure": self })
    }

    /// The closing block, for people.
    pub(super) fn text(&self, colour: bool) -> String {
        let word = match self.exit {
            Exit::Refused => "REFUSED",
            Exit::Locked => "LOCKED",
            Exit::Halfway => "STOPPED",
            Exit::Unhealthy => "UNHEALTHY",
            _ => "FAILED",
        };
        let word = if colour { format!("\x1b[1;31m{word}\x1b[0m") } else { word.to_owned() };
        let mut text = format!("{word}: {}\n", self.what);
        for evidence in &self.evidence {
            let colon = if evidence.lines.is_empty() { "" } else { ":" };
            let _ = writeln!(text, "  {}{colon}", evidence.from);
            for line in &evidence.lines {
                let _ = writeln!(text, "    {line}");
            }
        }
        for (title, lines) in [("state now", &self.state), ("do next", &self.next), ("undo", &self.undo)] {
            for (number, line) in lines.iter().enumerate() {
                let title = if number == 0 { format!("{title}:") } else { String::new() };
                let _ = writeln!(text, "  {title:<11}{line}");
            }
        }
        text
    }
}
