//! The hosts of one ensemble and the way to each: connected in parallel, `zkops host` running on
//! each, our binary pushed where the verb may do that. It asks hosts nothing about themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::Instant;

use super::unit;
use super::ways::Ways;
use crate::operator::host::facts::Facts as Machine;
use crate::operator::host::link::Gone;
use crate::operator::host::service::Manager;
use crate::operator::host::{CallError, Link};
use crate::operator::plan::desired::{Desired, DesiredMember};
use crate::operator::plan::facts::{BinaryFacts, NoWayIn, Unreachable};
use crate::operator::transport::{Connection, Dialer, Error, Install, LocalBinary, Target, quote};
use crate::wire::ids::ServerId;

/// What is being done on a host just now, for whoever shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    Connecting,
    Pushing { sent: u64, total: u64 },
    Looking,
}

/// Told of every change of [`Doing`], by the member's name.
pub type Watcher = Arc<dyn Fn(&str, Doing) + Send + Sync>;

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

/// Connected hosts.
pub struct Fleet {
    pub desired: Arc<Desired>,
    hosts: BTreeMap<ServerId, Result<Host, Unreachable>>,
    /// Members whose hosts are reached through a jump host.
    behind: BTreeSet<ServerId>,
}

/// One host in use.
pub struct Host {
    pub connection: Connection,
    pub link: Link,
    pub binary: BinaryFacts,
    /// What kind of machine it is, as it said when it was reached.
    machine: Box<Machine>,
    /// Our binary was sent in this run: nobody else misses it if the run comes to nothing.
    pub uploaded: bool,
}

impl Fleet {
    /// Reaches every host named in `targets` at once, each within `deadline`; those that cannot
    /// be used are part of the result.
    pub async fn open(
        desired: Arc<Desired>,
        targets: &BTreeMap<ServerId, Target>,
        dialer: &Dialer,
        push: &Push,
        watch: &Watcher,
        deadline: Duration,
    ) -> Fleet {
        let behind = behind_jump(targets, dialer);
        let dialled = join_all(targets.iter().filter_map(|(id, target)| {
            let member = desired.members.get(id)?;
            Some(async move { (member, dial(member, target, dialer, watch, deadline).await) })
        }))
        .await;
        let all = dialled.iter().all(|(_, dialled)| dialled.is_ok());
        let binary = match push {
            Push::Never => None,
            Push::Beside(binary) => Some(binary),
            Push::BesideIfAll(binary) => all.then_some(binary),
        };
        let opened = dialled.into_iter().map(|(member, dialled)| async move {
            let host = match (dialled, binary) {
                (Err(why), _) => Err(why),
                (Ok(dialled), Some(binary)) => bring(member, dialled, binary, watch, deadline).await,
                (Ok(dialled), None) => dialled.unchanged(),
            };
            (member.id, host)
        });
        let hosts = join_all(opened).await.into_iter().collect();
        Fleet { desired, hosts, behind }
    }

    pub fn host(&self, id: ServerId) -> Option<&Host> {
        self.hosts.get(&id)?.as_ref().ok()
    }

    /// The ways to the members' client ports.
    pub fn ways(&self) -> Ways {
        let tunnels = self.hosts().filter_map(|(member, host)| Some((member.id, host.connection.tunnel()?)));
        Ways::new(self.behind.clone(), tunnels.collect())
    }

    pub fn unreachable(&self, id: ServerId) -> Option<&Unreachable> {
        self.hosts.get(&id)?.as_ref().err()
    }

    /// Hosts in use, by member.
    pub fn hosts(&self) -> impl Iterator<Item = (&DesiredMember, &Host)> {
        self.hosts.iter().filter_map(|(id, host)| Some((self.desired.members.get(id)?, host.as_ref().ok()?)))
    }

    pub fn hosts_mut(&mut self) -> impl Iterator<Item = (&DesiredMember, &mut Host)> {
        let desired = &self.desired;
        self.hosts.iter_mut().filter_map(|(id, host)| Some((desired.members.get(id)?, host.as_mut().ok()?)))
    }

    /// Takes the binary that we sent in this run away again, where it was not put in place: a
    /// run that came to nothing leaves nothing.
    pub async fn take_back(&self) {
        let removals = self.hosts().filter(|(_, host)| host.uploaded).map(|(member, host)| async move {
            let dir = parent(&member.staged_path);
            let words = [member.staged_path.as_str(), dir];
            let Ok(paths) =
                words.iter().map(|word| quote(&member.name, [*word])).collect::<Result<Vec<_>, _>>()
            else {
                return;
            };
            // Directories go only as far up as they are empty: whatever else is in them stays.
            let script = format!("rm -f -- {}; rmdir -p -- {} 2>/dev/null; true", paths[0], paths[1]);
            // Nothing depends on it: the next run finds the file and uses it.
            let _ = host.connection.exec(&script, Bytes::new(), Instant::now() + QUICK).await;
        });
        join_all(removals).await;
    }

    /// Says goodbye to every host.
    pub async fn close(self) {
        let goodbyes = self.hosts.into_values().flatten().map(|host| async move {
            drop(host.link);
            host.connection.close().await;
        });
        let _late = tokio::time::timeout(QUICK, join_all(goodbyes)).await;
    }
}

/// Members whose client ports are not to be expected within this machine's reach. A setting that
/// cannot be used is told when the host is dialled.
pub fn behind_jump(targets: &BTreeMap<ServerId, Target>, dialer: &Dialer) -> BTreeSet<ServerId> {
    let behind = targets.iter().filter(|(_, target)| dialer.is_behind_jump(target).unwrap_or(false));
    behind.map(|(id, _)| *id).collect()
}

impl Host {
    fn new(connection: Connection, running: Running, uploaded: bool) -> Host {
        Host {
            connection,
            link: running.link,
            binary: BinaryFacts { installed_sha256: Some(running.sha256), staged_sha256: None },
            machine: running.machine,
            uploaded,
        }
    }

    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Who keeps the member's server up here.
    pub fn manager(&self, member: &DesiredMember) -> Manager {
        unit::manager(&self.machine, member)
    }

    /// Puts the staged binary in place (a rename: what runs keeps its own file) and proves it.
    ///
    /// # Errors
    /// What the host said.
    pub async fn install(&mut self, staged: &str, path: &str, deadline: Duration) -> anyhow::Result<()> {
        let label = self.connection.label();
        let quoted = |word: &str| quote(label, [word]);
        let (from, to, dir) = (quoted(staged)?, quoted(path)?, quoted(parent(path))?);
        // The directory is synced, or everything where `sync` takes no names.
        let script = format!("mv -f -- {from} {to} && {{ sync -- {dir} 2>/dev/null || sync; }}");
        let output = self.connection.exec(&script, Bytes::new(), Instant::now() + deadline).await?;
        output.checked(label, "putting the binary in place")?;
        // What runs for us was started under the old name, by which nothing can be found now.
        let running = start(&self.connection, path, deadline).await?;
        self.link = running.link;
        self.binary = BinaryFacts { installed_sha256: Some(running.sha256), staged_sha256: None };
        self.uploaded = false;
        Ok(())
    }
}

/// A host that was reached, and what is installed there.
struct Dialled {
    connection: Connection,
    installed: Result<Running, CallError>,
}

impl Dialled {
    fn unchanged(self) -> Result<Host, Unreachable> {
        let running = self.installed.map_err(|why| not_installed(&self.connection, why))?;
        Ok(Host::new(self.connection, running, false))
    }
}

async fn dial(
    member: &DesiredMember,
    target: &Target,
    dialer: &Dialer,
    watch: &Watcher,
    deadline: Duration,
) -> Result<Dialled, Unreachable> {
    watch(&member.name, Doing::Connecting);
    let connection = dialer.open(target, Instant::now() + deadline).await.map_err(no_connection)?;
    let installed = start(&connection, &member.binary_path, deadline).await;
    Ok(Dialled { connection, installed })
}

/// Sends our binary beside what is installed, unless it is what is installed.
async fn bring(
    member: &DesiredMember,
    dialled: Dialled,
    binary: &LocalBinary,
    watch: &Watcher,
    deadline: Duration,
) -> Result<Host, Unreachable> {
    let Dialled { connection, installed } = dialled;
    let there = match installed {
        Ok(running) if running.sha256 == binary.sha256() => return Ok(Host::new(connection, running, false)),
        Ok(older) => Some(older.sha256),
        // Too old to say so, or not there: the difference does not matter, it will be replaced.
        Err(CallError::Gone(_)) => {
            installed_sha256(&connection, &member.binary_path, Instant::now() + deadline).await
        }
        Err(why) => return Err(Unreachable { kind: NoWayIn::Binary, text: why.to_string() }),
    };
    let name = member.name.clone();
    let watcher = watch.clone();
    let progress = move |sent, total| watcher(&name, Doing::Pushing { sent, total });
    let until = Instant::now() + PUSH_PATIENCE.max(deadline);
    let sent = connection.bootstrap(binary, &Install::at(&member.staged_path), Some(&progress), until).await;
    let sent = sent.map_err(no_binary)?;
    let running = start(&connection, &member.staged_path, deadline)
        .await
        .map_err(|why| Unreachable { kind: NoWayIn::Binary, text: why.to_string() })?;
    let mut host = Host::new(connection, running, sent.uploaded);
    host.binary = BinaryFacts { installed_sha256: there, staged_sha256: host.binary.installed_sha256.take() };
    Ok(host)
}

/// `zkops host` as it introduced itself.
struct Running {
    link: Link,
    sha256: String,
    machine: Box<Machine>,
}

/// Starts `zkops host` from `path` and asks what it is: the first question carries the handshake.
async fn start(connection: &Connection, path: &str, deadline: Duration) -> Result<Running, CallError> {
    let broken = |why: Error| CallError::Gone(Gone::Broken { why: why.to_string() });
    let quoted = quote(connection.label(), [path]).map_err(broken)?;
    let command = format!("if [ -x {quoted} ]; then exec {quoted} host; else echo {ABSENT}; fi");
    let stream = connection.stream(&command, Instant::now() + deadline).await.map_err(broken)?;
    let (read, write) = tokio::io::split(stream);
    let link = Link::new(read, write);
    let asked = link.within(deadline);
    let (binary, machine) = tokio::try_join!(asked.binary(), asked.facts())?;
    Ok(Running { link, sha256: binary.sha256, machine })
}

/// Which binary is there, when it does not talk to us.
async fn installed_sha256(connection: &Connection, path: &str, until: Instant) -> Option<String> {
    let quoted = quote(connection.label(), [path]).ok()?;
    let output =
        connection.exec(&format!("sha256sum < {quoted} 2>/dev/null"), Bytes::new(), until).await.ok()?;
    let sha256 = output.stdout_text().split_whitespace().next()?.to_owned();
    (sha256.len() == 64).then_some(sha256)
}

fn no_connection(error: Error) -> Unreachable {
    Unreachable { kind: NoWayIn::Connection, text: error.to_string() }
}

fn no_binary(error: Error) -> Unreachable {
    let kind = if matches!(error, Error::Install { .. }) { NoWayIn::Binary } else { NoWayIn::Connection };
    Unreachable { kind, text: error.to_string() }
}

fn not_installed(connection: &Connection, why: CallError) -> Unreachable {
    match why {
        CallError::Gone(Gone::NoAgent { noise }) if noise.contains(ABSENT) => Unreachable {
            kind: NoWayIn::NotInstalled,
            text: format!("zkops is not installed on {}", connection.label()),
        },
        other => Unreachable { kind: NoWayIn::Binary, text: format!("{}: {other}", connection.label()) },
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("/", |(dir, _)| if dir.is_empty() { "/" } else { dir })
}

/// Said by the shell on the host instead of the binary's hello.
const ABSENT: &str = "zkops-is-not-there";
/// A slow line needs minutes for some megabytes; the progress is shown meanwhile.
const PUSH_PATIENCE: Duration = Duration::from_secs(300);
/// For what nobody should wait for.
const QUICK: Duration = Duration::from_secs(5);
