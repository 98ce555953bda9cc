//! How a rule is matched against a new TCP connection from outside to one port, and the port
//! notations that firewalls share. Pure.

use crate::formats::opening::{Network, Opening};

/// How surely a rule is about the connection in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Matches {
    No,
    /// Depends on what we do not know: the source, a rate, a mark.
    Perhaps,
    Yes,
}

impl Matches {
    pub(crate) fn when(condition: bool) -> Matches {
        if condition { Matches::Yes } else { Matches::No }
    }

    pub(crate) fn negate(self) -> Matches {
        match self {
            Matches::No => Matches::Yes,
            Matches::Perhaps => Matches::Perhaps,
            Matches::Yes => Matches::No,
        }
    }
}

/// Whose way in is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) opening: Opening,
    /// Openings of ours beside this very one do not count: they may be closed soon.
    pub(crate) alone: bool,
}

impl Asked {
    pub(crate) fn of(opening: Opening) -> Asked {
        Asked { opening, alone: false }
    }

    pub(crate) fn alone(opening: Opening) -> Asked {
        Asked { opening, alone: true }
    }

    /// Is this rule of ours passed over?
    pub(crate) fn ignores(&self, ours: &Opening) -> bool {
        self.alone && *ours != self.opening
    }
}

/// What a walk over a chain of rules came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Walk {
    /// By this rule.
    Accepted(String),
    /// By this rule.
    Dropped(String),
    /// No rule decided: the caller's next rule, or the policy.
    FellThrough,
}

/// `22`, `2000-3000`, `2000:3000`, comma lists of these.
pub(crate) fn covers(spec: &str, port: u16) -> bool {
    spec.split(',').map(str::trim).any(|part| {
        let (low, high) = part.split_once(['-', ':']).unwrap_or((part, part));
        match (low.trim().parse::<u16>(), high.trim().parse::<u16>()) {
            (Ok(low), Ok(high)) => (low..=high).contains(&port),
            _ => false,
        }
    })
}

/// Does what a rule says of the source hold for a packet from there? `None`: from anywhere.
pub(crate) fn comes_from(spec: &str, from: Option<Network>) -> Matches {
    match (spec.parse::<Network>(), from) {
        (Ok(said), Some(from)) if said.contains(&from) => Matches::Yes,
        (Ok(said), Some(from)) if !said.overlaps(&from) => Matches::No,
        // A host name, a set, a part of the network in question.
        _ => Matches::Perhaps,
    }
}

/// Chains may jump to each other; no sane ruleset goes deeper.
pub(crate) const JUMPS_MAX: usize = 16;
