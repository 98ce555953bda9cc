//! A visit to the hosts of an ensemble: all dialled at once, our binary sent where that was asked for, the fleet
//! handed to whoever works with it. There is no other way to a fleet, so there is none that is not let go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::agent::{self, Agent};
use super::binary;
use super::hosts::{Fleet, Host};
use super::stop::Stop;
use super::watch::{Doing, Watcher};
use crate::operator::host::CallError;
use crate::operator::plan::desired::{Desired, DesiredMember};
use crate::operator::plan::facts::{NoWayIn, Unreachable};
use crate::operator::plan::seen::Stamp;
use crate::operator::plan::without;
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
    /// Members whose hosts are left out by request: nobody goes there, nor to their servers.
    pub left_out: &'a BTreeSet<ServerId>,
    pub dialer: &'a Dialer,
    pub push: &'a Push,
    pub watch: &'a Watcher,
    /// Asked to, a visit reaches nobody any more; `work` is the caller's to end.
    pub stop: &'a Stop,
    /// For reaching one host; all are reached at once.
    pub deadline: Duration,
}

impl Visit<'_> {
    /// Reaches every host and lets `work` have them; those that cannot be used are part of the fleet. Behind it,
    /// whatever it came to, what was sent and not put in place is taken back and every host is let go.
    pub async fn with<T>(&self, work: impl AsyncFnOnce(&mut Fleet) -> T) -> T {
        let mut fleet = self.open().await;
        let result = work(&mut fleet).await;
        let goodbye = if self.stop.is_asked() { HASTE } else { GOODBYE };
        binary::take_back(&fleet, goodbye).await;
        close(fleet, goodbye).await;
        result
    }

    async fn open(&self) -> Fleet {
        let behind = behind_jump(self.targets, self.dialer);
        let members: Vec<(&DesiredMember, &Target)> = self
            .targets
            .iter()
            .filter(|(id, _)| !self.left_out.contains(id))
            .filter_map(|(id, target)| Some((self.desired.members.get(id)?, target)))
            .collect();
        // Who must wait for all others before anything is sent; otherwise a slow host delays nobody.
        let all = match self.push {
            Push::BesideIfAll(_) => Some(AllReached::new(members.len())),
            Push::Never | Push::Beside(_) => None,
        };
        let opened = join_all(members.into_iter().map(|(member, target)| {
            let opening = self.open_one(member, target, all.as_ref());
            async move { (member.id, self.unless_stopped(opening).await) }
        }));
        let mut hosts: BTreeMap<_, _> = opened.await.into_iter().collect();
        let away = |id: &ServerId| Err(without::unreachable(&self.desired.name(*id)));
        hosts.extend(self.left_out.iter().map(|id| (*id, away(id))));
        let left_out = self.left_out.clone();
        Fleet {
            desired: self.desired.clone(),
            hosts,
            behind,
            left_out,
            steps: Stamp::default(),
            former: Vec::new(),
            earlier: BTreeMap::new(),
        }
    }

    async fn open_one(
        &self,
        member: &DesiredMember,
        target: &Target,
        all: Option<&AllReached>,
    ) -> Result<Host, Unreachable> {
        let dialled = self.dial(member, target).await;
        let everybody = match all {
            Some(all) => all.wait(dialled.is_ok()).await,
            None => true,
        };
        let Dialled { connection, installed } = dialled?;
        match self.push {
            Push::Beside(binary) | Push::BesideIfAll(binary) if everybody => {
                binary::bring(member, connection, installed, binary, self.watch, self.deadline).await
            }
            Push::Never | Push::Beside(_) | Push::BesideIfAll(_) => {
                Dialled { connection, installed }.unchanged()
            }
        }
    }

    async fn unless_stopped<T>(
        &self,
        reaching: impl Future<Output = Result<T, Unreachable>>,
    ) -> Result<T, Unreachable> {
        tokio::select! {
            biased;
            reached = reaching => reached,
            () = self.stop.asked() => {
                Err(Unreachable { kind: NoWayIn::Connection, text: "the run was stopped".to_owned() })
            }
        }
    }

    async fn dial(&self, member: &DesiredMember, target: &Target) -> Result<Dialled, Unreachable> {
        (self.watch)(&member.name, Doing::Connecting);
        // One deadline for all of it: a host that says nothing more half-way costs no second one.
        let until = Instant::now() + self.deadline;
        let connection = self.dialer.open(target, until).await;
        let connection = connection.map_err(|error| agent::no_way_in(&error))?;
        // A person who was asked on the way may have taken all of it.
        let left = until.saturating_duration_since(Instant::now()).max(FIRST_ANSWER);
        let paths = member.binaries();
        let paths = paths.each_ref().map(String::as_str);
        let installed = Agent::start(&connection, &paths, left).await;
        if installed.as_ref().is_err_and(agent::is_strange)
            && let Some(error) = connection.no_shell(Instant::now() + left).await
        {
            return Err(Unreachable { kind: NoWayIn::Connection, text: error.to_string() });
        }
        Ok(Dialled { connection, installed })
    }
}

/// Members whose client ports are not to be expected within this machine's reach. A setting that cannot be used is
/// told when the host is dialled.
pub fn behind_jump(targets: &BTreeMap<ServerId, Target>, dialer: &Dialer) -> BTreeSet<ServerId> {
    let behind = targets.iter().filter(|(_, target)| dialer.is_behind_jump(target).unwrap_or(false));
    behind.map(|(id, _)| *id).collect()
}

/// Who waits until it is known whether every host was reached.
struct AllReached {
    open: AtomicUsize,
    failed: AtomicBool,
    known: Semaphore,
}

impl AllReached {
    fn new(hosts: usize) -> AllReached {
        AllReached { open: AtomicUsize::new(hosts), failed: AtomicBool::new(false), known: Semaphore::new(0) }
    }

    /// Says what became of one host; once all have said so, whether all were reached.
    async fn wait(&self, reached: bool) -> bool {
        self.failed.fetch_or(!reached, Ordering::SeqCst);
        if self.open.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.known.close();
        }
        // Closed is what is waited for.
        let _closed = self.known.acquire().await;
        !self.failed.load(Ordering::SeqCst)
    }
}

/// A host that was reached, and what is installed there.
struct Dialled {
    connection: Connection,
    installed: Result<Agent, CallError>,
}

impl Dialled {
    fn unchanged(self) -> Result<Host, Unreachable> {
        let agent = self.installed.map_err(|why| agent::missing(self.connection.label(), why))?;
        Ok(Host::new(self.connection, agent))
    }
}

/// Says goodbye to every host.
async fn close(fleet: Fleet, patience: Duration) {
    let former = fleet.former.into_iter().filter_map(|former| former.host.ok());
    let goodbyes = fleet.hosts.into_values().flatten().chain(former).map(|host| async move {
        drop(host.link);
        host.connection.close().await;
    });
    let _late = tokio::time::timeout(patience, join_all(goodbyes)).await;
}

/// A host that has just let us in answers in milliseconds.
const FIRST_ANSWER: Duration = Duration::from_secs(3);
/// For what nobody should wait for.
const GOODBYE: Duration = Duration::from_secs(5);
/// The same, when somebody waits for the end.
const HASTE: Duration = Duration::from_millis(500);
