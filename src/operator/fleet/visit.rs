//! A visit to the hosts of an ensemble: all dialled at once, our binary sent where that was asked for, the fleet
//! handed to whoever works with it. There is no other way to a fleet, so there is none that is not let go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::agent::{self, Agent};
use super::binary;
use super::hosts::{Fleet, Host};
use super::watch::{Doing, Watcher};
use crate::operator::host::CallError;
use crate::operator::plan::desired::{Desired, DesiredMember};
use crate::operator::plan::facts::{NoWayIn, Unreachable};
use crate::operator::transport::{Connection, Dialer, LocalBinary, Target};
use crate::wire::ids::ServerId;

/// Whether a verb may put our binary on a host.
#[derive(Clone)]
pub enum Push {
    /// Use what is installed; a host without it cannot be used.
    Never,
    /// Where another binary is installed, or none, ours goes beside it and is used.
    Beside(Arc<LocalBinary>),
    /// As Beside, but nothing is sent anywhere unless every host was reached.
    BesideIfAll(Arc<LocalBinary>),
}

/// Whom to visit, and how.
pub struct Visit<'a> {
    pub desired: Arc<Desired>,
    pub targets: &'a BTreeMap<ServerId, Target>,
    pub dialer: &'a Dialer,
    pub push: &'a Push,
    pub watch: &'a Watcher,
    /// For reaching one host; all are reached at once.
    pub deadline: Duration,
}

impl Visit<'_> {
    /// Reaches every host and lets `work` have them; those that cannot be used are part of the fleet. Behind it,
    /// whatever it came to, what was sent and not put in place is taken back and every host is let go.
    pub async fn with<T>(&self, work: impl AsyncFnOnce(&mut Fleet) -> T) -> T {
        let mut fleet = self.open().await;
        let result = work(&mut fleet).await;
        binary::take_back(&fleet, GOODBYE).await;
        close(fleet).await;
        result
    }

    async fn open(&self) -> Fleet {
        let behind = behind_jump(self.targets, self.dialer);
        let dialled = join_all(self.targets.iter().filter_map(|(id, target)| {
            let member = self.desired.members.get(id)?;
            Some(async move { (member, self.dial(member, target).await) })
        }))
        .await;
        let all = dialled.iter().all(|(_, dialled)| dialled.is_ok());
        let binary = match self.push {
            Push::Never => None,
            Push::Beside(binary) => Some(binary),
            Push::BesideIfAll(binary) => all.then_some(binary),
        };
        let opened = dialled.into_iter().map(|(member, dialled)| async move {
            let host = match (dialled, binary) {
                (Err(why), _) => Err(why),
                (Ok(Dialled { connection, installed }), Some(binary)) => {
                    binary::bring(member, connection, installed, binary, self.watch, self.deadline).await
                }
                (Ok(dialled), None) => dialled.unchanged(),
            };
            (member.id, host)
        });
        let hosts = join_all(opened).await.into_iter().collect();
        Fleet { desired: self.desired.clone(), hosts, behind }
    }

    async fn dial(&self, member: &DesiredMember, target: &Target) -> Result<Dialled, Unreachable> {
        (self.watch)(&member.name, Doing::Connecting);
        let connection = self.dialer.open(target, Instant::now() + self.deadline).await;
        let connection =
            connection.map_err(|error| Unreachable { kind: NoWayIn::Connection, text: error.to_string() })?;
        let installed = Agent::start(&connection, &member.binary_path, self.deadline).await;
        Ok(Dialled { connection, installed })
    }
}

/// Members whose client ports are not to be expected within this machine's reach. A setting that cannot be used is
/// told when the host is dialled.
pub fn behind_jump(targets: &BTreeMap<ServerId, Target>, dialer: &Dialer) -> BTreeSet<ServerId> {
    let behind = targets.iter().filter(|(_, target)| dialer.is_behind_jump(target).unwrap_or(false));
    behind.map(|(id, _)| *id).collect()
}

/// A host that was reached, and what is installed there.
struct Dialled {
    connection: Connection,
    installed: Result<Agent, CallError>,
}

impl Dialled {
    fn unchanged(self) -> Result<Host, Unreachable> {
        let agent = self.installed.map_err(|why| agent::missing(&self.connection, why))?;
        Ok(Host::new(self.connection, agent))
    }
}

/// Says goodbye to every host.
async fn close(fleet: Fleet) {
    let goodbyes = fleet.hosts.into_values().flatten().map(|host| async move {
        drop(host.link);
        host.connection.close().await;
    });
    let _late = tokio::time::timeout(GOODBYE, join_all(goodbyes)).await;
}

/// For what nobody should wait for.
const GOODBYE: Duration = Duration::from_secs(5);
