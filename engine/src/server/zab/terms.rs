//! What a server goes by: what it was told at the start, and the membership, which alone may change later.

use std::ops::Deref;

use super::membership::Memberships;
use super::{Config, bent};
use crate::wire::ids::ServerId;

/// A [`Config`] whose membership lives: the one that was told is only where it began, and cannot be read any more.
pub(super) struct Terms {
    pub(super) membership: Memberships,
    told: Config,
}

impl Terms {
    pub(super) fn new(told: Config) -> Terms {
        Terms { membership: Memberships::at_start(told.membership.clone()), told }
    }

    /// Whether the voters for which `has` holds are a quorum (§1.3). Every quorum question of the protocol goes
    /// through here.
    pub(super) fn is_quorum(&self, has: impl Fn(ServerId) -> bool) -> bool {
        bent::is_quorum(self.membership.in_force(), &has).unwrap_or_else(|| self.membership.is_quorum(has))
    }

    pub(super) fn is_observer(&self) -> bool {
        self.membership.get(self.me).is_some_and(|member| !member.votes())
    }
}

impl Deref for Terms {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.told
    }
}
