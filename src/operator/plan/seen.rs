//! What a look can come to, and when it was: [`Seen`] has three states, and none of them stands for
//! another; a [`Stamp`] tells a look from before a step from one behind it. It looks at nothing.
//!
//! - `Is`: it was looked at, and is so.
//! - `Absent`: it was looked at, and is not there.
//! - `Unseen`: nobody looked, or whoever looked was not told: why, and since when.
//!
//! There is no default that looks like an answer: the default is `Unseen`, "nobody asked". Whatever
//! takes a voter down, moves data, starts an id elsewhere or speaks of an outage asks for `Is` or
//! `Absent`; there is deliberately no conversion to `Option` that treats the last two alike, beside
//! [`Seen::is`], whose `None` means "not proven" and nothing else.

use std::fmt;

/// What became of looking at one thing.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen<T> {
    Is(T),
    Absent,
    Unseen(Unseen),
}

/// Why a thing was not seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// In words that carry the evidence; "nobody asked" where nobody did.
    pub why: String,
    /// When it was looked for in vain, by this machine's clock, milliseconds since 1970; 0: never.
    pub since_ms: i64,
}

/// How many steps had been carried out when a look began. A condition behind a step is judged by
/// looks of its stamp or a later one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(pub u64);

impl Unseen {
    pub fn new(why: impl Into<String>, since_ms: i64) -> Unseen {
        Unseen { why: why.into(), since_ms }
    }

    pub(crate) fn nobody_asked() -> Unseen {
        Unseen::new("nobody asked", 0)
    }
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl<T> Default for Seen<T> {
    fn default() -> Seen<T> {
        Seen::Unseen(Unseen::nobody_asked())
    }
}

impl<T> Seen<T> {
    /// What an answer says; an answer without it says that it is not there.
    pub fn answered(answer: Option<T>) -> Seen<T> {
        answer.map_or(Seen::Absent, Seen::Is)
    }

    pub fn unseen(why: impl Into<String>, since_ms: i64) -> Seen<T> {
        Seen::Unseen(Unseen::new(why, since_ms))
    }

    /// The thing, where it was seen; `None` is "not proven to be there", never "not there".
    pub fn is(&self) -> Option<&T> {
        match self {
            Seen::Is(thing) => Some(thing),
            Seen::Absent | Seen::Unseen(_) => None,
        }
    }

    #[cfg(test)]
    pub(crate) fn is_mut(&mut self) -> Option<&mut T> {
        match self {
            Seen::Is(thing) => Some(thing),
            Seen::Absent | Seen::Unseen(_) => None,
        }
    }

    /// Seen, and `holds` for it.
    pub fn is_and(&self, holds: impl FnOnce(&T) -> bool) -> bool {
        self.is().is_some_and(holds)
    }

    /// Seen not to be there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Seen::Absent)
    }

    /// Why it was not seen; `None`: it was looked at.
    pub(crate) fn why_unseen(&self) -> Option<&Unseen> {
        match self {
            Seen::Unseen(why) => Some(why),
            Seen::Is(_) | Seen::Absent => None,
        }
    }

    pub fn map<U>(self, of: impl FnOnce(T) -> U) -> Seen<U> {
        match self {
            Seen::Is(thing) => Seen::Is(of(thing)),
            Seen::Absent => Seen::Absent,
            Seen::Unseen(why) => Seen::Unseen(why),
        }
    }

    pub fn as_ref(&self) -> Seen<&T> {
        match self {
            Seen::Is(thing) => Seen::Is(thing),
            Seen::Absent => Seen::Absent,
            Seen::Unseen(why) => Seen::Unseen(why.clone()),
        }
    }
}

impl Stamp {
    #[must_use]
    pub fn next(self) -> Stamp {
        Stamp(self.0 + 1)
    }
}
