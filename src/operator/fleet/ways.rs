//! The way to each member's client port: straight from here, as any client goes; or, where hosts
//! are only reached through a jump host, carried by the ssh connection to the member's own host.
//! A host that cannot be reached itself is asked for by another one.

use std::collections::{BTreeMap, BTreeSet};

use crate::client::{Link, Route};
use crate::operator::plan::desired::DesiredMember;
use crate::operator::transport::Tunnel;
use crate::wire::ids::ServerId;

/// How the client ports are reached. The default: everybody straight from here.
#[derive(Clone, Default)]
pub struct Ways {
    /// Members that are not reached from here.
    behind: BTreeSet<ServerId>,
    tunnels: BTreeMap<ServerId, Tunnel>,
}

impl Ways {
    pub(super) fn new(behind: BTreeSet<ServerId>, tunnels: BTreeMap<ServerId, Tunnel>) -> Ways {
        Ways { behind, tunnels }
    }

    /// The client port is out of this machine's own reach.
    pub fn is_carried(&self, id: ServerId) -> bool {
        self.behind.contains(&id)
    }

    /// # Errors
    /// Why there is no way, in words.
    pub fn to(&self, member: &DesiredMember) -> Result<Route, String> {
        if !self.is_carried(member.id) {
            return Ok(Route::Direct);
        }
        let tunnel = self.tunnels.get(&member.id).or_else(|| self.tunnels.values().next());
        let Some(tunnel) = tunnel.cloned() else {
            return Err("no host behind the jump host could be reached".to_owned());
        };
        Ok(Route::Carried(std::sync::Arc::new(move |server| {
            let tunnel = tunnel.clone();
            Box::pin(async move { Ok(Link::over(tunnel.open(&server.host, server.port).await?)) })
        })))
    }
}
