//! What a server does besides serving its own clients: it leads, it learns, or it waits for an election.

use super::leader::Lead;
use super::learner::Learn;
use crate::server::zab::Role;
use crate::wire::ids::SessionId;

/// One of them at a time; the state of a duty ends with it.
#[derive(Debug)]
pub(super) enum Duty {
    Nothing,
    /// A leader, or a standalone server.
    Lead(Box<Lead>),
    /// A follower or observer in sync.
    Learn(Learn),
}

impl Duty {
    /// Whether a server of this role has this duty.
    pub(super) fn is_of(&self, role: &Role) -> bool {
        match self {
            Duty::Nothing => !role.is_serving(),
            Duty::Lead(_) => matches!(role, Role::Leading { serving: true }),
            Duty::Learn(_) => role.is_serving() && !matches!(role, Role::Leading { .. }),
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Duty::Nothing)
    }

    pub(super) fn lead(&self) -> Option<&Lead> {
        match self {
            Duty::Lead(lead) => Some(lead),
            Duty::Nothing | Duty::Learn(_) => None,
        }
    }

    pub(super) fn lead_mut(&mut self) -> Option<&mut Lead> {
        match self {
            Duty::Lead(lead) => Some(lead),
            Duty::Nothing | Duty::Learn(_) => None,
        }
    }

    pub(super) fn learn_mut(&mut self) -> Option<&mut Learn> {
        match self {
            Duty::Learn(learn) => Some(learn),
            Duty::Nothing | Duty::Lead(_) => None,
        }
    }

    /// Something was heard from a session's client.
    pub(super) fn touch(&mut self, now_ms: u64, session: SessionId, timeout_ms: i32) {
        match self {
            Duty::Nothing => {}
            Duty::Lead(lead) => {
                lead.touch(now_ms, session);
            }
            Duty::Learn(learn) => learn.touch(session, timeout_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ids::ServerId;

    #[test]
    fn a_duty_is_one_of_a_role_that_serves() {
        let learn = Duty::Learn(Learn::default());
        let following = |serving| Role::Following { leader: ServerId(1), serving };
        let observing = Role::Observing { leader: ServerId(1), serving: true };
        assert!(learn.is_of(&following(true)) && learn.is_of(&observing));
        assert!(!learn.is_of(&following(false)) && !learn.is_of(&Role::Leading { serving: true }));
        assert!(Duty::Nothing.is_of(&following(false)) && Duty::Nothing.is_of(&Role::Looking));
        assert!(Duty::Nothing.is_of(&Role::Leading { serving: false }) && !Duty::Nothing.is_of(&observing));
    }
}
