//! Where members were before: a place that a list on a host, the last deployment or a fence names and the inventory does
//! not. What was seen there, as far as it could be asked; what follows from it is `moves`' business.

use super::facts::{Elsewhere, Former, HostFacts, HostView, Old};
use super::server::Server;
use crate::wire::ids::ServerId;

impl Elsewhere {
    /// The old places of `id`.
    pub(crate) fn former_of(&self, id: ServerId) -> impl Iterator<Item = &Former> {
        self.former.iter().filter(move |old| old.member == id)
    }

    /// What a person says of hosts that cannot be reached.
    pub fn says_gone(&mut self, said: bool) {
        self.former.iter_mut().for_each(|old| old.said_gone = said);
    }

    /// For a look that begins now: who answers is asked again.
    #[must_use]
    pub fn renewed(&self) -> Elsewhere {
        let unasked = |old: &Former| Former { server: Server::default(), ..old.clone() };
        let former = self.former.iter().map(unasked).collect();
        Elsewhere { former, answers: Vec::new(), last_install: self.last_install.clone() }
    }
}

impl Former {
    /// A place of `member` that nobody has looked at.
    pub fn at(member: ServerId, address: impl Into<String>) -> Former {
        let view = Old::Host(HostView::Unasked);
        Former {
            member,
            address: address.into(),
            ips: Vec::new(),
            listed: false,
            said_gone: false,
            view,
            server: Server::default(),
        }
    }

    /// Another machine than the one the inventory has.
    pub fn elsewhere(&self) -> bool {
        self.view != Old::SameMachine
    }

    /// Proven: this host lets nothing through from there or to there.
    pub(crate) fn is_fenced_by(&self, host: &HostFacts) -> bool {
        !self.ips.is_empty() && self.ips.iter().all(|ip| host.fences.is_and(|fences| fences.contains(ip)))
    }

    /// Proven: its server does not run and is not started at boot.
    pub(crate) fn is_retired(&self) -> bool {
        match &self.view {
            Old::SameMachine | Old::Host(HostView::Unasked | HostView::Unreachable(_)) => false,
            // Without systemd nothing is started at boot.
            Old::Host(HostView::Seen(host)) => {
                host.no_process().is_some() && (host.unit.enabled.is_absent() || !host.systemd)
            }
        }
    }

    /// Proven: this host blocks some of it.
    pub(crate) fn blocked_by(&self, host: &HostFacts) -> bool {
        self.ips.iter().any(|ip| host.fences.is_and(|fences| fences.contains(ip)))
    }
}
