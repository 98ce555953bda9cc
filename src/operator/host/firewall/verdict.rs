//! What a firewall does with a new TCP connection from outside to one port, and the port
//! notations that firewalls share. Pure.

use serde::{Deserialize, Serialize};

/// The fate of a new connection from another host to a TCP port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Open,
    /// A rule about this very port lets in some sources only. Whoever wrote it meant it: it is
    /// never widened by us.
    Limited {
        by: String,
    },
    /// The rule, zone or policy that keeps it out.
    Blocked {
        by: String,
    },
    /// The rules cannot be read: this user is not root.
    Unknown {
        why: String,
    },
}

impl Verdict {
    /// The stricter of two: a connection must pass both.
    pub fn and(self, other: Verdict) -> Verdict {
        match (self, other) {
            (Verdict::Blocked { by }, _) | (_, Verdict::Blocked { by }) => Verdict::Blocked { by },
            (Verdict::Unknown { why }, _) | (_, Verdict::Unknown { why }) => Verdict::Unknown { why },
            (Verdict::Limited { by }, _) | (_, Verdict::Limited { by }) => Verdict::Limited { by },
            (Verdict::Open, Verdict::Open) => Verdict::Open,
        }
    }

    pub fn blocked(&self) -> bool {
        matches!(self, Verdict::Blocked { .. })
    }
}

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

/// What a walk over a chain of rules came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Walk {
    Accepted,
    /// By this rule.
    Dropped(String),
    /// No rule decided: the caller's next rule, or the policy.
    FellThrough,
}

/// Chains may jump to each other; no sane ruleset goes deeper.
pub(crate) const JUMPS_MAX: usize = 16;

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
