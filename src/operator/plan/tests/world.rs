//! A small ensemble as facts, faults to put into it, and `apply`: what carrying out a plan would
//! make of the facts.

use std::collections::BTreeMap;

use crate::operator::plan::damage::Damage;
use crate::operator::plan::desired::{Binary, Desired, DesiredMember, Dirs, Ports, RunAs, Unit};
use crate::operator::plan::facts::*;
use crate::operator::plan::fresh::Fresh;
use crate::operator::plan::gate::{self, Gatekeeper};
use crate::operator::plan::install::sha256_hex;
use crate::operator::plan::layout::{Current, LayoutFacts};
use crate::operator::plan::network::*;
use crate::operator::plan::owners::{Account, Known, OwnerFacts, OwnersFacts};
use crate::operator::plan::seen::Seen;
use crate::operator::plan::server::*;
use crate::operator::plan::step::{Action, Gate, Plan, Service};
use crate::operator::plan::ways::SourceFacts;
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
                writeln!(f, "   {:?} {:?} {:?}", host.unit.state, host.data, host.firewall)?;
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
                clients: None,
            },
            facts: Facts {
                members: facts,
                read_back: ReadBack::Everywhere,
                wall_ms: 1_795_404_671_000,
                fresh_uuid: "11111111-2222".into(),
                ..Facts::default()
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
        self.facts.members.get_mut(&ServerId(id)).expect("member").server = Server::from_here(view);
    }

    pub(super) fn data(&mut self, id: i64) -> &mut DataFacts {
        self.host(id).data.is_mut().expect("data was seen")
    }

    /// The firewall of `id` does that with `port`.
    pub(super) fn rule(&mut self, id: i64, port: u16, rule: PortRule) {
        let firewall = self.host(id).firewall.is_mut().expect("a firewall");
        firewall.ports.insert(port, rule.clone());
        let of_port = firewall.openings.iter_mut().filter(|(opening, _)| opening.port == port);
        of_port.for_each(|(_, known)| *known = rule.clone());
    }

    /// The process of `id` ends; the others elect anew if they can.
    pub(super) fn dies(&mut self, id: i64) {
        self.host(id).unit.state =
            Seen::Is(UnitState::Failed { how: "killed by signal 9".into(), again: false });
        self.host(id).processes = Seen::Is(Vec::new());
        self.settle();
    }

    pub(super) fn unreachable(&mut self, id: i64) {
        let why =
            Unreachable { kind: NoWayIn::Connection, text: "cannot reach 10.0.0.1:22: timed out".into() };
        *self.facts.members.get_mut(&ServerId(id)).expect("member") = MemberFacts {
            host: HostView::Unreachable(why),
            server: Server::from_here(ServerView::blind(BlindCause::Timeout, "timed out")),
        };
    }

    /// So much is free where the data of `id` is.
    pub(super) fn room(&mut self, id: i64, free_bytes: u64) {
        let dir = self.host(id).dirs.get_mut("/export/data/zkdata").expect("dir");
        dir.room = Seen::Is(Room { free_bytes, total_bytes: 40 << 30 });
    }

    /// The facts as seen just now.
    pub(super) fn fresh(&self) -> Fresh<'_> {
        Fresh::of(&self.facts, self.facts.stamp).expect("of its own stamp")
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
                if let Some(address) = step.action.old_address() {
                    let ended = |old: &&mut Former| old.address == address;
                    self.facts
                        .elsewhere
                        .former
                        .iter_mut()
                        .filter(ended)
                        .for_each(|old| old.server = Server::default());
                }
            }
            self.settle();
            self.facts.stamp = self.facts.stamp.next();
            let open =
                |gate: &Gate| gate::ask(&self.desired, self.fresh(), &gate.condition) == Gatekeeper::Open;
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
                host.unit.runs()
                    && host
                        .data
                        .is_and(|data| data.damage.iter().all(Damage::heals) && data.myid == Myid::Is(*id))
                    && crate::operator::plan::preflight::closed_ports(
                        &world.desired,
                        &world.facts,
                        &world.desired.members[id],
                        host,
                    )
                    .iter()
                    .all(|port| *port == world.desired.members[id].ports.client)
            })
        };
        let up: Vec<ServerId> = self.desired.members.keys().filter(|id| fit(self, id)).copied().collect();
        let voters: Vec<ServerId> = up
            .iter()
            .filter(|id| {
                let host = self.facts.host(**id).expect("up");
                let whole =
                    |data: &DataFacts| data.damage.is_empty() && (data.has_database || data.initialize);
                self.desired.members[id].voter && host.data.is_and(whole)
            })
            .copied()
            .collect();
        let quorum = voters.len() >= self.desired.majority();
        let ids: Vec<ServerId> = self.desired.members.keys().copied().collect();
        for id in ids {
            let voter = self.desired.members[&id].voter;
            let runs = self.facts.host(id).is_some_and(|host| host.unit.runs());
            let view = if !runs {
                ServerView::blind(BlindCause::Refused, "connection refused")
            } else if !up.contains(&id) || !quorum {
                ServerView::NotServing { words: "not currently serving requests".into() }
            } else {
                let mode = match () {
                    () if voters.last() == Some(&id) => Mode::Leader,
                    () if voter => Mode::Follower,
                    () => Mode::Observer,
                };
                let data = self.data(id.0);
                data.has_database = true;
                data.damage.clear();
                data.parts = ["version-2", "myid", "zkops.json"]
                    .map(|name| format!("/export/data/zkdata/{name}"))
                    .into();
                data.empty = false;
                data.initialize = false;
                data.current_epoch = Some(Epoch(1));
                let mut view = serving(mode, Zxid::new(Epoch(1), 7));
                if let (Mode::Leader, ServerView::Serving(server)) = (mode, &mut view) {
                    let followers = up.iter().filter(|id| self.desired.members[id].voter).count() - 1;
                    server.synced_followers = Seen::Is(u32::try_from(followers).expect("few"));
                    let observers = up.len() - followers - 1;
                    server.synced_observers = Seen::Is(u32::try_from(observers).expect("few"));
                }
                view
            };
            // Its own host sees it as it is; whether clients do, its firewall decides.
            let open = self.facts.host(id).is_none_or(|host| {
                let member = &self.desired.members[&id];
                !crate::operator::plan::preflight::closed_ports(&self.desired, &self.facts, member, host)
                    .contains(&member.ports.client)
            });
            let from_here =
                if open { view.clone() } else { ServerView::blind(BlindCause::Timeout, "timed out") };
            let on_host = if open && from_here.serving().is_some() { ServerView::Unasked } else { view };
            self.facts.members.get_mut(&id).expect("member").server = Server { from_here, on_host };
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
        disk_free_bytes: Some(9 << 30),
        config_changed: Seen::Is(false),
        data_moved: Seen::Is(false),
        synced_followers: Seen::Absent,
        synced_observers: Seen::Absent,
        canary: Some(Canary::Committed { zxid, latency_us: 1_800 }),
    }))
}

/// As the older zkops left it: no slots, everything root's, whom its server runs as unsaid.
pub(super) fn as_older_layout(world: &mut World, id: i64) {
    let member = world.desired.members[&ServerId(id)].clone();
    let host = world.host(id);
    host.layout.current = Seen::Absent;
    host.layout.legacy = Seen::Is(vec![member.legacy_config()]);
    host.files = [(member.config_path.clone(), Seen::Absent)].into();
    host.unit.installed = Seen::Is(Installed::Differs);
    journal(host).made_users.clear();
    let owners = host.owners.is_mut().expect("seen");
    owners.account = Known::Missing { can_make: true };
    owners.dirs.remove(&member.dynamic_dir());
    for dir in owners.dirs.values_mut() {
        (dir.owner, dir.mode) = (root(), 0o750);
    }
    if let Seen::Is(UnitState::Running(process)) = &mut host.unit.state {
        process.is_current = Some(false);
    }
}

fn journal(host: &mut HostFacts) -> &mut JournalFacts {
    if host.journal.is().is_none() {
        host.journal = Seen::Is(JournalFacts::default());
    }
    host.journal.is_mut().expect("seen just now")
}

fn root() -> Account {
    Account { user: "root".into(), group: "root".into() }
}

fn owned(host: &mut HostFacts, path: &str, owner: Account, mode: u32) {
    let owner = OwnerFacts { owner, mode, target: None, stranger: None };
    host.owners.is_mut().expect("seen").dirs.insert(path.to_owned(), owner);
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
            host.dirs.entry(path.clone()).or_default().exists = Seen::Is(());
            data(host).exists |= *path == member.dirs.data;
            owned(host, path, owner.clone().unwrap_or_else(root), *mode);
        }
        // What it comes to shows when the slot is switched.
        Action::InstallBinary { path, sha256, .. } => {
            let file = FileFacts { sha256: sha256.clone(), mode: 0o755, group: "root".into(), mtime_ms: now };
            host.files.insert(path.clone(), Seen::Is(file));
        }
        Action::PutFile { path, mode, content, owner } => {
            let group = owner.clone().unwrap_or_else(root).group;
            let file = FileFacts { sha256: sha256_hex(content), mode: *mode, group, mtime_ms: now };
            host.files.insert(path.clone(), Seen::Is(file));
            if *path == member.myid_path() {
                data(host).myid = Myid::Is(member.id);
            }
            if member.is_config(path) {
                texts.insert(path.clone(), content.clone());
            }
        }
        Action::SwitchSlot { to, .. } => {
            host.layout.current = Seen::Is(Current::Slot(*to));
            let binary = host.file(&member.slot_binary(*to)).is().expect("put there");
            host.binary.installed_sha256 = Seen::Is(binary.sha256.clone());
            let config = member.slot_config(*to);
            let file = host.files[&config].clone();
            host.files.insert(member.config_path.clone(), file);
            host.installed_config = Seen::answered(texts.get(&config).cloned());
        }
        Action::RemoveLegacy { .. } => host.layout.legacy = Seen::Absent,
        Action::EnsureUser { user } => {
            let account = Account { user: user.clone(), group: user.clone() };
            host.owners.is_mut().expect("seen").account = Known::Is(account);
            journal(host).made_users.push(user.clone());
        }
        Action::RemoveUser { user } => {
            host.owners.is_mut().expect("seen").account = Known::Missing { can_make: true };
            journal(host).made_users.retain(|made| made != user);
        }
        Action::Own { paths, owner } => {
            assert!(host.unit.is_down(), "data changes hands under a server");
            for path in paths {
                owned(host, path, owner.clone(), 0o700);
            }
        }
        Action::OpenPorts { openings, observed } => {
            let firewall = host.firewall.is_mut().expect("a firewall");
            for opening in openings {
                let rule = PortRule { open: true, permanent: true, rule: "zone public".into() };
                firewall.ports.insert(opening.port, rule.clone());
                firewall.openings.insert(*opening, rule);
                firewall.leaning.remove(opening);
                firewall.ours.push(*opening);
            }
            journal(host).opened.extend(openings);
            journal(host).observed.extend(observed.clone());
        }
        Action::ClosePorts { openings } => {
            let firewall = host.firewall.is_mut().expect("a firewall");
            firewall.ours.retain(|opening| !openings.contains(opening));
            for opening in openings {
                firewall.openings.remove(opening);
                if !firewall.ours.iter().any(|left| left.port == opening.port) {
                    firewall.ports.insert(opening.port, closed());
                }
            }
            journal(host).opened.retain(|one| !openings.contains(one));
        }
        Action::WriteMarker { marker, .. } => data(host).marker = Some(marker.clone()),
        Action::AllowEmptyDatabase { .. } => data(host).initialize = true,
        Action::Quarantine { path, to } => {
            host.dirs.entry(path.clone()).or_default().exists = Seen::Absent;
            let mut quarantined = data(host).quarantined.clone();
            quarantined.push(to.clone());
            host.data = Seen::Is(DataFacts { empty: true, quarantined, ..DataFacts::default() });
        }
        Action::Service(Service::Installed { .. }) => {
            host.unit.installed = Seen::Is(Installed::AsWanted);
            host.unit.enabled = Seen::Is(());
            if host.unit.state.is_absent() {
                host.unit.state = Seen::Is(UnitState::Stopped);
            }
        }
        Action::Service(Service::Started | Service::Restarted) => {
            let exe_sha256 = host.binary.installed_sha256.is().cloned();
            let process = Process { pid: 100, started_ms: Some(now), exe_sha256, is_current: Some(true) };
            host.processes = Seen::Is(vec![process.clone()]);
            host.unit.state = Seen::Is(UnitState::Running(process));
        }
        Action::Service(Service::Stopped) => {
            host.unit.state = Seen::Is(UnitState::Stopped);
            host.processes = Seen::Is(Vec::new());
        }
        Action::Service(Service::Removed) => {
            host.unit = no_unit();
            host.processes = Seen::Is(Vec::new());
        }
        Action::RemovePath { path, .. } => {
            host.files.insert(path.clone(), Seen::Absent);
            if let Some(dir) = host.dirs.get_mut(path) {
                dir.exists = Seen::Absent;
                host.owners.is_mut().expect("seen").dirs.remove(path);
            }
            data(host).quarantined.retain(|old| old != path);
        }
        // On another host, of which a world knows nothing.
        Action::Retire { .. } | Action::Vacate { .. } => {}
        Action::Fence { addresses } => host.fences = Seen::Is(addresses.clone()),
        Action::Unfence { .. } => host.fences = Seen::Is(Vec::new()),
        Action::Uninstall { dir, .. } => {
            host.binary.installed_sha256 = Seen::Absent;
            host.layout = LayoutFacts { current: Seen::Absent, legacy: Seen::Absent };
            host.files = [(member.config_path.clone(), Seen::Absent)].into();
            host.owners.is_mut().expect("seen").dirs.retain(|path, _| !path.starts_with(dir));
            host.journal = Seen::Absent;
            host.dirs.entry(dir.clone()).or_default().exists = Seen::Absent;
        }
    }
}

fn data(host: &mut HostFacts) -> &mut DataFacts {
    host.data.is_mut().expect("data was seen")
}

fn no_unit() -> UnitFacts {
    UnitFacts { installed: Seen::Absent, enabled: Seen::Absent, state: Seen::Absent, log: Vec::new() }
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
        config: format!(
            "tickTime=2000\ndataDir=/export/data/zkdata\nclientPort=2181\ninitLimit=10\nsyncLimit=5\n{servers}\
             zkops.cluster=orders\nzkops.member={n}\n"
        ),
        unit: Unit { name: "zkops-orders".into(), text: "[Service]\n".into(), own_supervisor: false },
        run_as: Some(RunAs { user: "zkops".into(), named: false }),
    }
}

fn closed() -> PortRule {
    PortRule { open: false, permanent: false, rule: "zone public: default REJECT".into() }
}

fn bare_host(member: &DesiredMember) -> MemberFacts {
    let room = Room { free_bytes: 20 << 30, total_bytes: 40 << 30 };
    let dir = DirFacts { exists: Seen::Absent, obstacle: Seen::Absent, room: Seen::Is(room) };
    MemberFacts {
        host: HostView::Seen(Box::new(HostFacts {
            arch: "x86_64".into(),
            hostname: member.name.clone(),
            root: true,
            systemd: true,
            layout: LayoutFacts { current: Seen::Absent, legacy: Seen::Absent },
            owners: Seen::Is(OwnersFacts {
                account: Known::Missing { can_make: true },
                ..OwnersFacts::default()
            }),
            binary: BinaryFacts { installed_sha256: Seen::Absent, staged_sha256: None },
            clock: Seen::Is(Clock { offset_ms: 0.8, bound_ms: 0.6 }),
            dirs: member.directories().into_iter().map(|path| (path.to_owned(), dir.clone())).collect(),
            data: Seen::Is(DataFacts { empty: true, ..DataFacts::default() }),
            files: [(member.config_path.clone(), Seen::Absent)].into(),
            installed_config: Seen::Absent,
            fences: Seen::Is(Vec::new()),
            left_behind: Seen::Is(Vec::new()),
            unit: no_unit(),
            processes: Seen::Is(Vec::new()),
            ports: Seen::Is(BTreeMap::new()),
            firewall: Seen::Is(FirewallFacts {
                kind: "firewalld".into(),
                ports: member.ports.all().into_iter().map(|port| (port, closed())).collect(),
                ..FirewallFacts::default()
            }),
            sources: Seen::Is(SourceFacts::default()),
            journal: Seen::Absent,
            names: Seen::Is(Vec::new()),
            ..HostFacts::default()
        })),
        server: Server::from_here(ServerView::blind(BlindCause::NoRoute, "no route to host")),
    }
}
