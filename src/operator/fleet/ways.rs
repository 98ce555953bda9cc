//! The way to each member's client port: straight from here, as any client goes; or, where hosts
//! are only reached through a jump host, carried by the ssh connection to the member's own host.
//! A host that cannot be reached itself is asked for by another one. A member that is not seen from
//! here can be reached from its own host too, as [`Ways::carrying`] says.

use std::collections::{BTreeMap, BTreeSet};

use crate::client::{Link, Route};
use crate::operator::plan::desired::{DesiredMember, Ports};
use crate::operator::transport::Tunnel;
use crate::wire::ids::ServerId;

/// How the client ports are reached. The default: everybody straight from here.
#[derive(Clone, Default)]
pub struct Ways {
    /// Members that are not reached from here.
    behind: BTreeSet<ServerId>,
    tunnels: BTreeMap<ServerId, Tunnel>,
    /// Members that nobody is to ask.
    left_out: BTreeSet<ServerId>,
    /// Members whose servers run with other ports than the inventory's, until they are restarted.
    earlier: BTreeMap<ServerId, Ports>,
}

impl Ways {
    pub(super) fn new(behind: BTreeSet<ServerId>, tunnels: BTreeMap<ServerId, Tunnel>) -> Ways {
        Ways { behind, tunnels, ..Ways::default() }
    }

    /// The same, but nobody goes to these.
    pub(super) fn without(self, left_out: BTreeSet<ServerId>) -> Ways {
        Ways { left_out, ..self }
    }

    /// The same, with servers that run with these ports.
    pub(super) fn standing_at(self, earlier: BTreeMap<ServerId, Ports>) -> Ways {
        Ways { earlier, ..self }
    }

    /// Ports that the server of `id` has until it is restarted, where they are not the inventory's.
    pub fn earlier(&self, id: ServerId) -> Option<Ports> {
        self.earlier.get(&id).copied()
    }

    /// The same, but these members are reached from their own hosts.
    #[must_use]
    pub fn carrying(&self, members: impl IntoIterator<Item = ServerId>) -> Ways {
        let mut ways = self.clone();
        ways.behind.extend(members);
        ways
    }

    /// From the member's own host; `None`: nothing of ours is carried from there.
    pub fn through_host(&self, id: ServerId) -> Option<Route> {
        self.tunnels.get(&id).cloned().map(carried)
    }

    /// The client port is out of this machine's own reach.
    pub fn is_carried(&self, id: ServerId) -> bool {
        self.behind.contains(&id)
    }

    /// # Errors
    /// Why there is no way, in words.
    pub fn to(&self, member: &DesiredMember) -> Result<Route, String> {
        if self.left_out.contains(&member.id) {
            return Err("left out by request".to_owned());
        }
        if !self.is_carried(member.id) {
            return Ok(Route::Direct);
        }
        let beside = || self.behind.iter().find_map(|id| self.tunnels.get(id));
        let Some(tunnel) = self.tunnels.get(&member.id).or_else(beside).cloned() else {
            return Err("no host behind the jump host could be reached".to_owned());
        };
        Ok(carried(tunnel))
    }
}

fn carried(tunnel: Tunnel) -> Route {
    Route::Carried(std::sync::Arc::new(move |server| {
        let tunnel = tunnel.clone();
        Box::pin(async move { Ok(Link::over(tunnel.open(&server.host, server.port).await?)) })
    }))
}
