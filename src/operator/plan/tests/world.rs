//! A small ensemble as facts, faults to put into it, and `apply`: what carrying out a plan would
//! make of the facts.

use std::collections::BTreeMap;

use crate::operator::plan::account::{Account, Known, OwnerFacts, OwnersFacts};
use crate::operator::plan::desired::{Binary, Desired, DesiredMember, Dirs, Ports, RunAs, Unit};
use crate::operator::plan::facts::*;
use crate::operator::plan::gate::{self, Gatekeeper};
use crate::operator::plan::install::sha256_hex;
use crate::operator::plan::layout::{Current, LayoutFacts};
use crate::operator::plan::step::{Action, Gate, Plan, Service};
use crate::wire::ids::{Epoch, ServerId, Zxid};

#[derive(Clone)]
pub(super) struct World {
    pub(super) desired: Desired,
    pub(super) facts: Facts,
    /// What stands in the zoo.cfg of each slot, by host.
    texts: BTreeMap<ServerId, BTreeMap<String, String>>,
}

/// A line a member, so that a counterexample can be read.
impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (id, seen) in &self.facts.members {
            writeln!(f, "{id}: server {:?}", seen.server)?;
            if let HostView::Seen(host) = &seen.host {
                writeln!(f, "   {:?} {:?} {:?}", host.unit.state, host.data, host.firewall.ports)?;
            }
        }
        Ok(())
    }
}

pub(super) const BINARY: &str = "b1nary000000aaaa";

impl World {
    /// `voters` + `observers` bare hosts behind firewalld with only ssh open.
    pub(super) fn bare(voters: i64, observers: i64) -> World {
        let members: BTreeMap<ServerId, DesiredMember> = (1..=voters + observers)
            .map(|n| (ServerId(n), member(n, n <= voters, voters, observers)))
            .collect();
        let facts = members.values().map(|member| (member.id, bare_host(member))).collect();
        World {
            desired: Desired {
                cluster: "orders".into(),
                inventory: "orders.yml".into(),
                binary: Some(Binary { sha256: BINARY.into(), size_bytes: 12 << 20 }),
                members,
            },
            facts: Facts {
                members: facts,
                reach: Vec::new(),
                read_back: ReadBack::Everywhere,
                wall_ms: 1_795_404_671_000,
                fresh_uuid: "11111111-2222".into(),
            },
            texts: BTreeMap::new(),
        }
    }

    /// The same after a deployment: the highest voter leads.
    pub(super) fn deployed(voters: i64, observers: i64) -> World {
        let mut world = World::bare(voters, observers);
        let plan =
            crate::operator::plan::plan(&world.desired, &world.facts, &crate::operator::plan::Goal::Deploy)
                .expect("deployable");
        assert!(world.apply(&plan), "a bare world must become ready: {plan}");
        world
    }

    pub(super) fn host(&mut self, id: i64) -> &mut HostFacts {
        match &mut self.facts.members.get_mut(&ServerId(id)).expect("member").host {
            HostView::Seen(host) => host,
            other => panic!("server {id} is {other:?}"),
        }
    }

    pub(super) fn server(&mut self, id: i64, view: ServerView) {
        self.facts.members.get_mut(&ServerId(id)).expect("member").server = view;
    }

    /// The process of `id` ends; the others elect anew if they can.
    pub(super) fn dies(&mut self, id: i64) {
        self.host(id).unit.state = UnitState::Failed { how: "killed by signal 9".into(), again: false };
        self.settle();
    }

    pub(super) fn unreachable(&mut self, id: i64) {
        let why =
            Unreachable { kind: NoWayIn::Connection, text: "cannot reach 10.0.0.1:22: timed out".into() };
        *self.facts.members.get_mut(&ServerId(id)).expect("member") = MemberFacts {
            host: HostView::Unreachable(why),
            server: ServerView::Silent { why: "timed out".into() },
        };
    }

    /// Carries out the plan up to the first gate that stays shut; true when none did.
    pub(super) fn apply(&mut self, plan: &Plan) -> bool {
        for wave in &plan.waves {
            for step in &wave.steps {
                let member = self.desired.members[&step.member].clone();
                self.facts.wall_ms += 10;
                let now = self.facts.wall_ms;
                let mut texts = self.texts.remove(&step.member).unwrap_or_default();
                act(self.host(step.member.0), &member, &step.action, now, &mut texts);
                self.texts.insert(step.member, texts);
            }
            self.settle();
            let open =
                |gate: &Gate| gate::ask(&self.desired, &self.facts, &gate.condition) == Gatekeeper::Open;
            if !wave.gates.iter().all(open) {
                return false;
            }
        }
        true
    }

    /// What running, well-configured processes with open ports become: an ensemble, when they
    /// are a majority.
    pub(super) fn settle(&mut self) {
        let fit = |world: &World, id: &ServerId| {
            world.facts.host(*id).is_some_and(|host| {
                host.unit.state.running()
                    && host.data.damage.is_empty()
                    && host.data.myid == Myid::Is(*id)
                    && crate::operator::plan::preflight::closed_ports(&world.desired.members[id], host)
                        .is_empty()
            })
        };
        let up: Vec<ServerId> = self.desired.members.keys().filter(|id| fit(self, id)).copied().collect();
        let voters: Vec<ServerId> = up
            .iter()
            .filter(|id| {
                let host = self.facts.host(**id).expect("up");
                self.desired.members[id].voter && (host.data.has_database || host.data.initialize)
            })
            .copied()
            .collect();
        let quorum = voters.len() >= self.desired.majority();
        let ids: Vec<ServerId> = self.desired.members.keys().copied().collect();
        for id in ids {
            let voter = self.desired.members[&id].voter;
            let view = if !up.contains(&id) {
                let running = self.facts.host(id).is_some_and(|host| host.unit.state.running());
                ServerView::Silent { why: if running { "timed out" } else { "connection refused" }.into() }
            } else if !quorum {
                ServerView::NotServing {
                    words: "This ZooKeeper instance is not currently serving requests".into(),
                }
            } else {
                let mode = match () {
                    () if voters.last() == Some(&id) => Mode::Leader,
                    () if voter => Mode::Follower,
                    () => Mode::Observer,
                };
                let data = &mut self.host(id.0).data;
                data.has_database = true;
                data.parts = ["version-2", "myid", "zkops.json"]
                    .map(|name| format!("/export/data/zkdata/{name}"))
                    .into();
                data.empty = false;
                data.initialize = false;
                data.current_epoch = Some(Epoch(1));
                serving(mode, Zxid::new(Epoch(1), 7))
            };
            self.server(id.0, view);
        }
    }
}

pub(super) fn serving(mode: Mode, zxid: Zxid) -> ServerView {
    ServerView::Serving(Box::new(ServerFacts {
        mode,
        zxid,
        version: "3.9.3".into(),
        connections: 2,
        uptime_ms: Some(61_000),
        synced_followers: None,
        canary: Some(Canary::Committed { zxid, latency_us: 1_800 }),
    }))
}

/// As the older zkops left it: no slots, everything root's, whom its server runs as unsaid.
pub(super) fn as_older_layout(world: &mut World, id: i64) {
    let member = world.desired.members[&ServerId(id)].clone();
    let host = world.host(id);
    host.layout.current = Current::Absent;
    host.layout.legacy = vec![member.legacy_binary(), member.legacy_config()];
    host.files.retain(|path, _| !path.contains("/current/") && !path.contains("/slots/"));
    host.unit.installed = Installed::Differs;
    host.made_users.clear();
    let owners = host.owners.as_mut().expect("seen");
    owners.account = Known::Missing { can_make: true };
    owners.dirs.remove(&member.dynamic_dir());
    for dir in owners.dirs.values_mut() {
        (dir.owner, dir.mode) = (root(), 0o750);
    }
    if let UnitState::Running(process) = &mut host.unit.state {
        process.is_current = Some(false);
    }
}

fn root() -> Account {
    Account { user: "root".into(), group: "root".into() }
}

fn owned(host: &mut HostFacts, path: &str, owner: Account, mode: u32) {
    let owner = OwnerFacts { owner, mode, target: None, stranger: None };
    host.owners.as_mut().expect("seen").dirs.insert(path.to_owned(), owner);
}

fn act(
    host: &mut HostFacts,
    member: &DesiredMember,
    action: &Action,
    now: i64,
    texts: &mut BTreeMap<String, String>,
) {
    match action {
        Action::EnsureDir { path, owner, mode } => {
            host.dirs.entry(path.clone()).or_default().exists = true;
            host.data.exists |= *path == member.dirs.data;
            owned(host, path, owner.clone().unwrap_or_else(root), *mode);
        }
        // What it comes to shows when the slot is switched.
        Action::InstallBinary { path, sha256, .. } => {
            let file = FileFacts { sha256: sha256.clone(), mode: 0o755, mtime_ms: now };
            host.files.insert(path.clone(), file);
        }
        Action::PutFile { path, mode, content, .. } => {
            let file = FileFacts { sha256: sha256_hex(content), mode: *mode, mtime_ms: now };
            host.files.insert(path.clone(), file);
            if *path == member.myid_path() {
                host.data.myid = Myid::Is(member.id);
            }
            if member.is_config(path) {
                texts.insert(path.clone(), content.clone());
            }
        }
        Action::SwitchSlot { to, .. } => {
            host.layout.current = Current::Is(*to);
            host.binary.installed_sha256 =
                host.files.get(&member.slot_binary(*to)).map(|file| file.sha256.clone());
            let config = member.slot_config(*to);
            let file = host.files[&config].clone();
            host.files.insert(member.config_path.clone(), file);
            host.installed_config = texts.get(&config).cloned();
        }
        Action::RemoveLegacy { .. } => host.layout.legacy.clear(),
        Action::EnsureUser { user } => {
            let account = Account { user: user.clone(), group: user.clone() };
            host.owners.as_mut().expect("seen").account = Known::Is(account);
            host.made_users.push(user.clone());
        }
        Action::RemoveUser { user } => {
            host.owners.as_mut().expect("seen").account = Known::Missing { can_make: true };
            host.made_users.retain(|made| made != user);
        }
        Action::Own { paths, owner } => {
            assert!(!host.unit.state.running(), "data changes hands under a server");
            for path in paths {
                owned(host, path, owner.clone(), 0o700);
            }
        }
        Action::OpenPorts { ports } => {
            for port in ports {
                let rule = PortRule { open: true, permanent: true, rule: "zone public".into() };
                host.firewall.ports.insert(*port, rule);
            }
            host.opened_ports.extend(ports);
        }
        Action::ClosePorts { ports } => {
            for port in ports {
                host.firewall.ports.insert(*port, closed());
            }
            host.opened_ports.clear();
        }
        Action::WriteMarker { marker, .. } => host.data.marker = Some(marker.clone()),
        Action::AllowEmptyDatabase { .. } => host.data.initialize = true,
        Action::Quarantine { path, to } => {
            host.dirs.entry(path.clone()).or_default().exists = false;
            host.data =
                DataFacts { empty: true, quarantined: host.data.quarantined.clone(), ..DataFacts::default() };
            host.data.quarantined.push(to.clone());
        }
        Action::Service(Service::Installed { .. }) => {
            host.unit.installed = Installed::Yes;
            host.unit.enabled = true;
            if matches!(host.unit.state, UnitState::Absent) {
                host.unit.state = UnitState::Stopped;
            }
        }
        Action::Service(Service::Started | Service::Restarted) => {
            let (exe_sha256, is_current) = (host.binary.installed_sha256.clone(), Some(true));
            let started_ms = Some(now);
            host.unit.state = UnitState::Running(Process { pid: 100, started_ms, exe_sha256, is_current });
        }
        Action::Service(Service::Stopped) => host.unit.state = UnitState::Stopped,
        Action::Service(Service::Removed) => host.unit = UnitFacts::default(),
        Action::RemovePath { path, .. } => {
            host.files.remove(path);
            if let Some(dir) = host.dirs.get_mut(path) {
                dir.exists = false;
                host.owners.as_mut().expect("seen").dirs.remove(path);
            }
            host.data.quarantined.retain(|old| old != path);
        }
        Action::Uninstall { dir } => {
            host.binary = BinaryFacts::default();
            host.layout = LayoutFacts { current: Current::Absent, legacy: Vec::new() };
            host.files.clear();
            host.owners.as_mut().expect("seen").dirs.retain(|path, _| !path.starts_with(dir));
            host.made_users.clear();
            host.opened_ports.clear();
            host.dirs.entry(dir.clone()).or_default().exists = false;
        }
    }
}

fn member(n: i64, voter: bool, voters: i64, observers: i64) -> DesiredMember {
    let servers: String = (1..=voters + observers)
        .map(|m| format!("server.{m}=10.0.0.{m}:2888:3888{}\n", if m > voters { ":observer" } else { "" }))
        .collect();
    DesiredMember {
        id: ServerId(n),
        name: format!("node-{n}"),
        address: format!("10.0.0.{n}"),
        voter,
        ports: Ports { client: 2181, quorum: 2888, election: 3888 },
        dirs: Dirs {
            install: "/export/server/zkops".into(),
            data: "/export/data/zkdata".into(),
            data_log: "/export/data/zkdata".into(),
        },
        binary_path: "/export/server/zkops/current/zkops".into(),
        staged_path: "/export/server/zkops/slots/zkops.next".into(),
        config_path: "/export/server/zkops/current/zoo.cfg".into(),
        config: format!("tickTime=2000\n{servers}"),
        unit: Unit { name: "zkops-orders".into(), text: "[Service]\n".into(), own_supervisor: false },
        run_as: Some(RunAs { user: "zkops".into(), named: false }),
    }
}

fn closed() -> PortRule {
    PortRule { open: false, permanent: false, rule: "zone public: default REJECT".into() }
}

fn bare_host(member: &DesiredMember) -> MemberFacts {
    let dir = DirFacts { exists: false, obstacle: None, free_bytes: 20 << 30, total_bytes: 40 << 30 };
    MemberFacts {
        host: HostView::Seen(Box::new(HostFacts {
            arch: "x86_64".into(),
            hostname: member.name.clone(),
            root: true,
            systemd: true,
            layout: LayoutFacts { current: Current::Absent, legacy: Vec::new() },
            owners: Some(OwnersFacts {
                account: Known::Missing { can_make: true },
                ..OwnersFacts::default()
            }),
            clock: Some(Clock { offset_ms: 0.8, bound_ms: 0.6 }),
            dirs: member.directories().into_iter().map(|path| (path.to_owned(), dir.clone())).collect(),
            data: DataFacts { empty: true, ..DataFacts::default() },
            firewall: FirewallFacts {
                kind: Some("firewalld".into()),
                ports: member.ports.all().into_iter().map(|port| (port, closed())).collect(),
            },
            ..HostFacts::default()
        })),
        server: ServerView::Silent { why: "no route to host".into() },
    }
}
