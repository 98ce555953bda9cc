//! Hosts on which members were before. They are reached when a look has shown where those are, by settings of their
//! own, and belong to the fleet from then on: steps can be done there, and they are let go with the rest.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::agent::{self, Agent};
use super::binary;
use super::hosts::{Fleet, Former, Host};
use super::visit::Push;
use super::watch::{Doing, Watcher};
use crate::operator::plan::desired::{DesiredMember, Ports};
use crate::operator::plan::facts::Unreachable;
use crate::operator::transport::{Dialer, LocalBinary, Target};
use crate::wire::ids::ServerId;

/// A member as it was there, and the way to it.
pub struct Place {
    pub member: DesiredMember,
    pub target: Target,
}

impl Fleet {
    /// Reaches the old places, all at once; those that cannot be used are part of the fleet too.
    pub async fn reach_former(
        &mut self,
        places: Vec<Place>,
        dialer: &Dialer,
        push: &Push,
        watch: &Watcher,
        deadline: Duration,
    ) {
        let binary = match push {
            Push::Never => None,
            Push::Beside(binary) | Push::BesideIfAll(binary) => Some(binary.clone()),
        };
        let reached = places.into_iter().map(|Place { member, target }| {
            let binary = binary.clone();
            async move {
                let host = reach(&member, &target, dialer, binary.as_deref(), watch, deadline).await;
                Former { member, host }
            }
        });
        self.former.extend(join_all(reached).await);
    }

    /// These servers run with other ports than the inventory's, until they are restarted.
    pub fn run_with(&mut self, ports: BTreeMap<ServerId, Ports>) {
        self.earlier = ports;
    }

    /// Whose old place that is was seen only there.
    pub fn former_is(&mut self, was: ServerId, member: DesiredMember) {
        let place = |former: &&mut Former| former.member.id == was && former.member.address == member.address;
        if let Some(former) = self.former.iter_mut().find(place) {
            former.member = member;
        }
    }

    /// The old places, each with its host where that was reached.
    pub fn former(&self) -> impl Iterator<Item = (&DesiredMember, Result<&Host, &Unreachable>)> {
        self.former.iter().map(|former| (&former.member, former.host.as_ref()))
    }

    /// Those of the fleet's hosts and old places that are in use, for steps; true: an old place.
    pub fn all_mut(&mut self) -> impl Iterator<Item = (bool, &DesiredMember, &mut Host)> {
        let desired = &self.desired;
        let hosts = self
            .hosts
            .iter_mut()
            .filter_map(|(id, host)| Some((false, desired.members.get(id)?, host.as_mut().ok()?)));
        let former = self
            .former
            .iter_mut()
            .filter_map(|former| Some((true, &former.member, former.host.as_mut().ok()?)));
        hosts.chain(former)
    }

    /// As [`Fleet::all_mut`], to look.
    pub fn all(&self) -> impl Iterator<Item = (&DesiredMember, &Host)> {
        let former =
            self.former.iter().filter_map(|former| Some((&former.member, former.host.as_ref().ok()?)));
        self.hosts().chain(former)
    }
}

async fn reach(
    member: &DesiredMember,
    target: &Target,
    dialer: &Dialer,
    ours: Option<&LocalBinary>,
    watch: &Watcher,
    deadline: Duration,
) -> Result<Host, Unreachable> {
    watch(&member.name, Doing::Connecting);
    let connection = dialer.open(target, Instant::now() + deadline).await;
    let connection = connection.map_err(|error| agent::no_way_in(&error))?;
    let paths = member.binaries();
    let installed = Agent::start(&connection, &paths.each_ref().map(String::as_str), deadline).await;
    match (ours, installed) {
        (Some(ours), installed) => binary::bring(member, connection, installed, ours, watch, deadline).await,
        (None, Ok(agent)) => Ok(Host::new(connection, agent)),
        (None, Err(why)) => Err(agent::missing(connection.label(), why)),
    }
}
