//! The membership that counts, and what makes a quorum of it (quorum-protocol §2.11). The members themselves are
//! `ensemble`'s.

use bytes::Bytes;

use crate::ensemble::{Member, Membership};
use crate::wire::ids::ServerId;

/// The membership in force, and one that is proposed to follow it.
///
/// What always holds:
/// - The one in force came with the start or by [`Memberships::activate`]; nothing else replaces it.
/// - At most one is proposed, and its version is above the one in force.
/// - While one is proposed, a quorum needs the voters of both: neither can decide without the other.
/// - Who votes, who is dialled and what others are told follows the one in force alone.
///
/// For now it is static: nobody proposes (configs of other versions are ignored), so that the proposed one is always
/// `None`.
#[derive(Clone, Debug)]
pub struct Memberships {
    in_force: Membership,
    proposed: Option<Membership>,
    /// The one in force as the wire carries it.
    text: Bytes,
}

impl Memberships {
    /// What zoo.cfg or the dynamic file says at the start.
    pub(crate) fn at_start(in_force: Membership) -> Memberships {
        Memberships { text: in_force.to_string().into(), in_force, proposed: None }
    }

    pub fn in_force(&self) -> &Membership {
        &self.in_force
    }

    /// One of the two points of change: a reconfiguration is in the log, and not committed yet.
    ///
    /// # Panics
    /// When another one is under way, or when it is no newer than the one in force.
    pub fn propose(&mut self, next: Membership) {
        assert!(self.proposed.is_none(), "one reconfiguration at a time");
        assert!(next.version() > self.in_force.version(), "a later membership has a higher version");
        self.proposed = Some(next);
    }

    /// The other one: what was proposed is committed, and in force from now on. Nothing happens when nothing was.
    pub fn activate(&mut self) {
        if let Some(next) = self.proposed.take() {
            self.text = next.to_string().into();
            self.in_force = next;
        }
    }

    /// What NEWLEADER and notifications tell of it.
    pub fn text(&self) -> Bytes {
        self.text.clone()
    }

    pub fn version(&self) -> i64 {
        self.in_force.version()
    }

    pub fn get(&self, id: ServerId) -> Option<&Member> {
        self.in_force.get(id)
    }

    /// The ids of the participants, ascending.
    pub fn voters(&self) -> impl Iterator<Item = ServerId> {
        self.in_force.voters()
    }

    pub fn is_voter(&self, id: ServerId) -> bool {
        self.in_force.is_voter(id)
    }

    /// Whether the voters for which `has` holds are a quorum.
    pub(crate) fn is_quorum(&self, has: impl Fn(ServerId) -> bool) -> bool {
        is_majority(&self.in_force, &has)
            && self.proposed.as_ref().is_none_or(|proposed| is_majority(proposed, &has))
    }
}

fn is_majority(membership: &Membership, has: impl Fn(ServerId) -> bool) -> bool {
    let (mut total, mut having) = (0, 0);
    for voter in membership.voters() {
        total += 1;
        having += usize::from(has(voter));
    }
    having > total / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(ids: impl IntoIterator<Item = i64>, version: i64) -> Membership {
        let lines: String = ids.into_iter().map(|id| format!("server.{id}=h{id}:1:2\n")).collect();
        Membership::parse(&format!("{lines}version={version:x}")).unwrap()
    }

    #[test]
    fn a_proposed_membership_needs_both_quorums_and_then_rules_alone() {
        let mut memberships = Memberships::at_start(members(1..=3, 0));
        let quorum = |memberships: &Memberships, ids: &[i64]| memberships.is_quorum(|id| ids.contains(&id.0));
        assert!(quorum(&memberships, &[1, 2]) && !quorum(&memberships, &[1, 4, 5]));
        memberships.propose(members(3..=5, 7));
        assert!(!quorum(&memberships, &[1, 2]) && !quorum(&memberships, &[4, 5]));
        assert!(quorum(&memberships, &[1, 3, 4]));
        assert!(
            memberships.is_voter(ServerId(1)) && !memberships.is_voter(ServerId(5)),
            "nothing else has changed"
        );
        memberships.activate();
        assert!(quorum(&memberships, &[4, 5]) && !quorum(&memberships, &[1, 3]));
        assert_eq!(memberships.version(), 7);
    }

    #[test]
    #[should_panic(expected = "one reconfiguration at a time")]
    fn two_memberships_are_never_proposed_together() {
        let mut memberships = Memberships::at_start(members(1..=3, 0));
        memberships.propose(members(1..=4, 1));
        memberships.propose(members(1..=5, 2));
    }
}
