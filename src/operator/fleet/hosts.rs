//! The hosts in use and the way to each, as whoever asks or changes them gets them. What brings them here and lets
//! them go is in `visit`, what puts our binary on them in `binary`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::agent::Agent;
use super::unit;
use super::ways::Ways;
use crate::operator::host::Link;
use crate::operator::host::machine::Facts as Machine;
use crate::operator::host::service::Manager;
use crate::operator::plan::desired::{Desired, DesiredMember, Ports};
use crate::operator::plan::facts::{BinaryFacts, Clock, Unreachable};
use crate::operator::plan::seen::{Seen, Stamp};
use crate::operator::transport::Connection;
use crate::wire::ids::ServerId;

/// Hosts that were reached, and those that were not with the reason.
pub struct Fleet {
    pub desired: Arc<Desired>,
    pub(super) hosts: BTreeMap<ServerId, Result<Host, Unreachable>>,
    /// Members whose hosts are reached through a jump host.
    pub(super) behind: BTreeSet<ServerId>,
    /// Members whose hosts are left out by request.
    pub(super) left_out: BTreeSet<ServerId>,
    /// Steps carried out so far.
    pub(super) steps: Stamp,
    /// Where members were before, once a look has shown that.
    pub(super) former: Vec<Former>,
    /// Ports of servers that still run with others than the inventory's.
    pub(super) earlier: BTreeMap<ServerId, Ports>,
}

/// One host in use.
pub struct Host {
    pub link: Link,
    pub binary: BinaryFacts,
    pub(super) connection: Connection,
    /// What kind of machine it is, as it said when it was reached.
    machine: Box<Machine>,
    /// Our binary was sent in this run: nobody else misses it if the run comes to nothing.
    pub(super) uploaded: bool,
    /// The topmost directory that was made for it.
    pub(super) made: Option<String>,
}

/// An old place and what became of reaching it.
pub(super) struct Former {
    pub(super) member: DesiredMember,
    pub(super) host: Result<Host, Unreachable>,
}

impl Fleet {
    pub fn host(&self, id: ServerId) -> Option<&Host> {
        self.hosts.get(&id)?.as_ref().ok()
    }

    pub fn unreachable(&self, id: ServerId) -> Option<&Unreachable> {
        self.hosts.get(&id)?.as_ref().err()
    }

    /// Hosts in use, by member.
    pub fn hosts(&self) -> impl Iterator<Item = (&DesiredMember, &Host)> {
        self.hosts.iter().filter_map(|(id, host)| Some((self.desired.members.get(id)?, host.as_ref().ok()?)))
    }

    /// For a look that begins now.
    pub fn stamp(&self) -> Stamp {
        self.steps
    }

    /// A step was carried out, or tried: whatever was seen before it may be over.
    pub fn stepped(&mut self) {
        self.steps = self.steps.next();
    }

    /// The ways to the members' client ports.
    pub fn ways(&self) -> Ways {
        let tunnels = self.hosts().filter_map(|(member, host)| Some((member.id, host.connection.tunnel()?)));
        Ways::new(self.behind.clone(), tunnels.collect())
            .without(self.left_out.clone())
            .standing_at(self.earlier.clone())
    }
}

impl Host {
    /// A host whose agent runs from the installed binary.
    pub(super) fn new(connection: Connection, agent: Agent) -> Host {
        Host {
            link: agent.link,
            binary: BinaryFacts { installed_sha256: Seen::Is(agent.sha256), staged_sha256: None },
            connection,
            machine: agent.machine,
            uploaded: false,
            made: None,
        }
    }

    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Who keeps the member's server up here.
    pub fn manager(&self, member: &DesiredMember) -> Manager {
        unit::manager(&self.machine, member)
    }

    /// Its clock against ours.
    ///
    /// # Errors
    /// Why it did not say.
    pub async fn clock(&self, deadline: Duration) -> Result<Clock, String> {
        let measured = self.connection.clock_offset(Instant::now() + deadline).await;
        let measured = measured.map_err(|why| why.to_string())?;
        Ok(Clock { offset_ms: measured.offset_ms, bound_ms: measured.bound_ms })
    }
}
