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
use crate::operator::plan::desired::{Desired, DesiredMember};
use crate::operator::plan::facts::{BinaryFacts, Clock, Unreachable};
use crate::operator::transport::Connection;
use crate::wire::ids::ServerId;

/// Hosts that were reached, and those that were not with the reason.
pub struct Fleet {
    pub desired: Arc<Desired>,
    pub(super) hosts: BTreeMap<ServerId, Result<Host, Unreachable>>,
    /// Members whose hosts are reached through a jump host.
    pub(super) behind: BTreeSet<ServerId>,
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

    /// As [`Fleet::hosts`], for steps.
    pub fn hosts_mut(&mut self) -> impl Iterator<Item = (&DesiredMember, &mut Host)> {
        let desired = &self.desired;
        self.hosts.iter_mut().filter_map(|(id, host)| Some((desired.members.get(id)?, host.as_mut().ok()?)))
    }

    /// The ways to the members' client ports.
    pub fn ways(&self) -> Ways {
        let tunnels = self.hosts().filter_map(|(member, host)| Some((member.id, host.connection.tunnel()?)));
        Ways::new(self.behind.clone(), tunnels.collect())
    }
}

impl Host {
    /// A host whose agent runs from the installed binary.
    pub(super) fn new(connection: Connection, agent: Agent) -> Host {
        Host {
            link: agent.link,
            binary: BinaryFacts { installed_sha256: Some(agent.sha256), staged_sha256: None },
            connection,
            machine: agent.machine,
            uploaded: false,
        }
    }

    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Who keeps the member's server up here.
    pub fn manager(&self, member: &DesiredMember) -> Manager {
        unit::manager(&self.machine, member)
    }

    /// Its clock against ours; `None`: it did not say.
    pub async fn clock(&self, deadline: Duration) -> Option<Clock> {
        let measured = self.connection.clock_offset(Instant::now() + deadline).await.ok()?;
        Some(Clock { offset_ms: measured.offset_ms, bound_ms: measured.bound_ms })
    }
}
