//! Facts that are proven to be younger than the step before: what a gate and a failure report are
//! judged by. The only way to one is [`Fresh::of`]; it looks at nothing.

use std::fmt;

use super::facts::Facts;
use super::seen::Stamp;

/// Facts whose look began behind the last step.
#[derive(Clone, Copy, Debug)]
pub struct Fresh<'a> {
    facts: &'a Facts,
}

/// The look is older than a step: what it saw may be over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    /// When the look began.
    pub seen: Stamp,
    /// The step that it should have come after.
    pub after: Stamp,
}

impl<'a> Fresh<'a> {
    /// # Errors
    /// When the look began before the step `after` was done.
    pub fn of(facts: &'a Facts, after: Stamp) -> Result<Fresh<'a>, Stale> {
        if facts.stamp >= after { Ok(Fresh { facts }) } else { Err(Stale { seen: facts.stamp, after }) }
    }

    pub fn facts(&self) -> &'a Facts {
        self.facts
    }
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seen behind step {}, judged behind step {}: look again", self.seen.0, self.after.0)
    }
}
