//! How a rule is matched against a new TCP connection from outside to one port, and the port
//! notations that firewalls share. Pure.

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

/// Chains may jump to each other; no sane ruleset goes deeper.
pub(crate) const JUMPS_MAX: usize = 16;
