//! Everything that would make a deployment fail, found at once: one row per check, one cell per
//! member, each with its evidence and its cure. Judges only; changes nothing.

use super::desired::{Desired, DesiredMember};
use super::facts::{Facts, HostFacts, HostView, Myid, NoWayIn};
use super::names::Trouble;
use super::seen::{Seen, Unseen};
use super::step::short;
use super::ways::{Reach, ReachResult};
use super::{damage, names, outdated, ports};
use crate::formats::opening::Opening;
use crate::wire::ids::ServerId;

/// One cell of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub check: Check,
    pub member: ServerId,
    pub level: Level,
    /// What was seen: fits a table cell when all is well.
    pub evidence: String,
    /// What a person does about it.
    pub fix: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Ok,
    Warn,
    Fail,
}

/// The rows, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// The binary was pushed and runs there: architecture, noexec, space. No JDK is needed.
    Binary,
    /// Who supervises the server there.
    Service,
    Directories,
    Disk,
    /// dataDir and dataLogDir are empty or ours.
    Data,
    Clock,
    /// Client, quorum and election ports are free or ours.
    Ports,
    Names,
    Firewall,
    /// The column's client port from the operator.
    ClientPort,
    /// The column's quorum port from this member (the operator never needs it).
    QuorumPort(ServerId),
    /// The column's election port from this member.
    ElectionPort(ServerId),
}

impl Check {
    pub fn title(self, desired: &Desired) -> String {
        match self {
            Check::Binary => "binary runs (no JDK)".to_owned(),
            Check::Service => "service manager".to_owned(),
            Check::Directories => "directories".to_owned(),
            Check::Disk => "free disk".to_owned(),
            Check::Data => "data".to_owned(),
            Check::Clock => "clock".to_owned(),
            Check::Ports => "ports".to_owned(),
            Check::Names => "names".to_owned(),
            Check::Firewall => "firewall".to_owned(),
            Check::ClientPort => "client port".to_owned(),
            Check::QuorumPort(from) => format!("quorum port from {}", desired.name(from)),
            Check::ElectionPort(from) => format!("election port from {}", desired.name(from)),
        }
    }
}

/// The worst of `findings`.
pub fn worst(findings: &[Finding]) -> Level {
    findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
}

/// Every check on every member that was seen, and on those where our binary cannot run. Members
/// that cannot be reached at all are the caller's business: nothing is known about them.
pub fn check(desired: &Desired, facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in desired.members.values() {
        match &facts.member(member.id).host {
            HostView::Seen(host) => findings.extend(check_host(desired, facts, member, host)),
            HostView::Unreachable(why) if why.kind == NoWayIn::Binary => findings.push(Finding {
                check: Check::Binary,
                member: member.id,
                level: Level::Fail,
                evidence: why.text.clone(),
                fix: None,
            }),
            HostView::Unreachable(_) | HostView::Unasked => {}
        }
    }
    findings
        .extend(facts.reach.iter().filter_map(|reach| reach_finding(desired, facts, reach, Expect::AsNow)));
    findings.sort_by_key(|finding| (finding.check, finding.member));
    findings
}

/// A finding as one line: whose it is, what was seen, what to do about it.
pub fn warning(desired: &Desired, finding: &Finding) -> String {
    let fix = finding.fix.as_ref().map_or_else(String::new, |fix| format!(" ({fix})"));
    format!("{}: {}{fix}", desired.name(finding.member), finding.evidence)
}

/// How closed ports are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Before deployment: a port that our own step will open is no failure yet.
    AsNow,
    /// After the ports were opened: every connection must succeed.
    Open,
}

/// The connection matrix as findings.
pub fn check_reach(desired: &Desired, facts: &Facts, expect: Expect) -> Vec<Finding> {
    facts.reach.iter().filter_map(|reach| reach_finding(desired, facts, reach, expect)).collect()
}

fn check_host(desired: &Desired, facts: &Facts, member: &DesiredMember, host: &HostFacts) -> Vec<Finding> {
    let cell = |check, (level, evidence, fix)| Finding { check, member: member.id, level, evidence, fix };
    vec![
        cell(Check::Binary, binary(desired, host)),
        cell(Check::Service, service(host)),
        cell(Check::Directories, directories(member, host)),
        cell(Check::Disk, disk(desired, member, host)),
        cell(Check::Data, data(desired, facts, member, host)),
        cell(Check::Clock, clock(desired, facts, member)),
        cell(Check::Ports, ports(member, host)),
        cell(Check::Names, names(desired, facts, member, host)),
        cell(Check::Firewall, firewall(desired, facts, member, host)),
    ]
}

type Cell = (Level, String, Option<String>);

fn ok(evidence: impl Into<String>) -> Cell {
    (Level::Ok, evidence.into(), None)
}

fn warn(evidence: impl Into<String>, fix: impl Into<String>) -> Cell {
    (Level::Warn, evidence.into(), Some(fix.into()))
}

fn fail(evidence: impl Into<String>, fix: impl Into<String>) -> Cell {
    (Level::Fail, evidence.into(), Some(fix.into()))
}

/// What could not be looked at is not fit to be changed.
fn unseen(what: &str, why: &Unseen) -> Cell {
    fail(
        format!("{what} could not be looked at: {why}"),
        "mend that, or run zkops again if it was an accident",
    )
}

fn binary(desired: &Desired, host: &HostFacts) -> Cell {
    // It answered our questions, so it runs; the rest is which one it is.
    match &host.binary.installed_sha256 {
        installed @ Seen::Is(sha) if !desired.accepts_binary(installed) => {
            ok(format!("{} (replaces {})", host.arch, short(sha)))
        }
        _ => ok(host.arch.clone()),
    }
}

fn service(host: &HostFacts) -> Cell {
    if host.systemd { ok("systemd") } else { ok("own supervisor") }
}

fn directories(member: &DesiredMember, host: &HostFacts) -> Cell {
    for path in member.directories() {
        match &host.dir(path).obstacle {
            Seen::Absent => {}
            Seen::Is(why) => {
                return fail(
                    format!("{path}: {why}"),
                    format!(
                        "make {path} writable for the ssh user, or name another directory in the inventory"
                    ),
                );
            }
            Seen::Unseen(why) => return unseen(path, why),
        }
    }
    ok("writable")
}

fn disk(desired: &Desired, member: &DesiredMember, host: &HostFacts) -> Cell {
    let size_bytes = desired.binary.as_ref().map_or(0, |binary| binary.size_bytes);
    let installed = desired.accepts_binary(&host.binary.installed_sha256);
    let for_install = if installed { 0 } else { size_bytes * 2 };
    let needs = [
        (&member.dirs.install, for_install),
        (&member.dirs.data, DATA_MIN_BYTES),
        (&member.dirs.data_log, DATA_MIN_BYTES),
    ];
    let mut least: Option<u64> = None;
    for (path, needed) in needs {
        let room = match &host.dir(path).room {
            Seen::Is(room) => room,
            Seen::Absent => continue,
            Seen::Unseen(why) => return unseen(&format!("the room in {path}"), why),
        };
        if room.free_bytes < needed {
            return fail(
                format!("{path}: {} free, {} needed", bytes(room.free_bytes), bytes(needed)),
                format!("free space on the file system of {path}"),
            );
        }
        least = Some(least.map_or(room.free_bytes, |least| least.min(room.free_bytes)));
    }
    match least {
        None => ok("not asked"),
        Some(free) if free < DATA_COMFORT_BYTES => {
            warn(format!("{} free", bytes(free)), "a full disk stops the server: plan for more room")
        }
        Some(free) => ok(format!("{} free", bytes(free))),
    }
}

/// Law 8: data carries its identity, and what is not provably this member's is not touched.
fn data(desired: &Desired, facts: &Facts, member: &DesiredMember, host: &HostFacts) -> Cell {
    let dir = &member.dirs.data;
    let data = match &host.data {
        Seen::Is(data) => data,
        Seen::Absent => return ok("empty"),
        Seen::Unseen(why) => return unseen(dir, why),
    };
    if let Some(marker) = &data.marker {
        if marker.cluster != desired.cluster {
            return fail(
                format!("{dir} holds data of cluster {:?}", marker.cluster),
                format!("name another data_dir for {}, or destroy that cluster first", member.name),
            );
        }
        if marker.uuid != facts.uuid_of(&desired.cluster) {
            return fail(
                format!("{dir} holds data of another cluster that is called {:?} too", marker.cluster),
                format!("name another data_dir for {}, or give this cluster another name", member.name),
            );
        }
        if marker.id != member.id {
            return fail(
                format!("{dir} holds data of server {} of this cluster, not {}", marker.id, member.id),
                "ids must stay with their data: correct the id or the data_dir in the inventory".to_owned(),
            );
        }
    }
    let known = data.marker.is_some() || !host.unit.installed.is_absent();
    if known && !data.damage.is_empty() {
        return fail(
            format!("{dir}: {}", damage::sentence(&data.damage)),
            format!("zkops repair {}", member.name),
        );
    }
    match &data.myid {
        Myid::Is(id) if *id != member.id => fail(
            format!("{dir}/myid says {id}, the inventory says {}", member.id),
            "ids must stay with their data: correct the id or the data_dir in the inventory".to_owned(),
        ),
        Myid::Garbage(text) if !data.empty => {
            fail(format!("{dir}/myid is not a number: {text:?}"), format!("zkops repair {}", member.name))
        }
        _ if data.empty => ok("empty"),
        Myid::Is(_) if known => ok("ours"),
        Myid::Missing if data.marker.is_some() => ok("ours, myid missing"),
        Myid::Is(_) if data.has_database => fail(
            format!("{dir} holds the database of a server {} that zkops did not deploy", member.id),
            "adopting a foreign ensemble is not available yet: stop it and name an empty data_dir".to_owned(),
        ),
        _ => fail(
            format!("{dir} is not empty and not ours: {}", data.entries.join(", ")),
            format!("name an empty data_dir for {}, or move those files away", member.name),
        ),
    }
}

/// Against the median of all clocks, the operator's among them, so that one wrong clock is the
/// one that is named.
fn clock(desired: &Desired, facts: &Facts, member: &DesiredMember) -> Cell {
    let clock = match facts.host(member.id).map(|host| &host.clock) {
        Some(Seen::Is(clock)) => clock,
        Some(Seen::Unseen(why)) if why.since_ms > 0 => {
            return warn(format!("not measured: {why}"), "logs and ctime of a wrong clock confuse people");
        }
        _ => return ok("not measured"),
    };
    let excess_ms = clock_excess_ms(desired, facts, member.id).unwrap_or(0.0);
    let evidence = format!("{:+.1} ± {:.1} ms", clock.offset_ms, clock.bound_ms);
    let fix =
        format!("set the clock of {} (systemctl enable --now chronyd, or systemd-timesyncd)", member.name);
    if excess_ms > CLOCK_FAIL_MS {
        fail(format!("{evidence}: off from the other clocks by {:.1} s", excess_ms / 1000.0), fix)
    } else if excess_ms > CLOCK_WARN_MS {
        warn(evidence, fix)
    } else {
        ok(evidence)
    }
}

/// How far the clock of `id` certainly is from the median clock, in milliseconds.
pub(crate) fn clock_excess_ms(desired: &Desired, facts: &Facts, id: ServerId) -> Option<f64> {
    let own = facts.host(id)?.clock.is()?;
    let mut all: Vec<f64> = desired
        .members
        .keys()
        .filter_map(|id| facts.host(*id)?.clock.is())
        .map(|clock| clock.offset_ms)
        .chain([0.0])
        .collect();
    all.sort_by(f64::total_cmp);
    let (low, high) = (all[(all.len() - 1) / 2], all[all.len() / 2]);
    let median = if low.abs() <= high.abs() { low } else { high };
    Some(((own.offset_ms - median).abs() - own.bound_ms).max(0.0))
}

fn ports(member: &DesiredMember, host: &HostFacts) -> Cell {
    let used = match &host.ports {
        Seen::Is(used) => used,
        Seen::Absent => return ok("free"),
        Seen::Unseen(why) => return unseen("who listens on its ports", why),
    };
    for port in member.ports.all() {
        if let Some(user) = used.get(&port)
            && !user.ours
        {
            let pid = user.pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
            if user.program == ANOTHER_LOOK {
                return fail(format!("{port} is taken by {ANOTHER_LOOK}{pid}"), "try again when it is done");
            }
            return fail(
                format!("{port} is taken by {}{pid}", user.program),
                format!("stop {}, or name another port for {}", user.program, member.name),
            );
        }
    }
    if used.is_empty() { ok("free") } else { ok("ours") }
}

/// zoo.cfg carries the inventory's addresses. Names matter where the inventory uses names, and
/// the 127.0.1.1 line of Debian makes a host take its own name for a loopback address.
fn names(desired: &Desired, facts: &Facts, member: &DesiredMember, host: &HostFacts) -> Cell {
    let names = match &host.names {
        Seen::Is(names) => names,
        Seen::Unseen(why) if why.since_ms > 0 => {
            return warn(format!("not looked up: {why}"), "names matter where the inventory uses them");
        }
        Seen::Absent | Seen::Unseen(_) => return ok("not asked"),
    };
    match names::trouble(desired, facts, member, &host.hostname, names) {
        None => ok("consistent"),
        Some(Trouble { fatal: true, evidence, fix }) => fail(evidence, fix),
        Some(Trouble { fatal: false, evidence, fix }) => warn(evidence, fix),
    }
}

fn firewall(desired: &Desired, facts: &Facts, member: &DesiredMember, host: &HostFacts) -> Cell {
    let kind = match &host.firewall {
        Seen::Is(firewall) => &firewall.kind,
        Seen::Absent => return ok("none active"),
        // Whether it lets us through is proven by connections, not by its rules.
        Seen::Unseen(_) if !host.root => {
            return warn("cannot be looked at without root", "use ssh.user root or sudo to see its rules");
        }
        Seen::Unseen(why) => {
            return warn(
                format!("cannot be looked at: {why}"),
                "connections alone tell what it lets through",
            );
        }
    };
    if let Some((port, rule)) = open_to_all(member, host) {
        return warn(
            format!("{kind}: tcp {port}, which the members alone need, is open to everybody: {rule}"),
            format!("zkops did not write that rule: take it away, then zkops deploy {}", desired.inventory),
        );
    }
    let closed = closed_ports(desired, facts, member, host);
    if closed.is_empty() {
        return ok(format!("{kind}: open"));
    }
    let list: Vec<String> = closed.iter().map(u16::to_string).collect();
    let evidence = format!("{kind}: {} to be opened", list.join(" "));
    if host.root {
        ok(evidence)
    } else {
        warn(evidence, "opening ports needs root: use ssh.user root or sudo, or open them by hand")
    }
}

/// A port for the members alone that a rule of somebody else's opens to everybody.
fn open_to_all<'a>(member: &DesiredMember, host: &'a HostFacts) -> Option<(u16, &'a str)> {
    let firewall = host.firewall.is()?;
    [member.ports.quorum, member.ports.election].into_iter().find_map(|port| {
        let to_all = Opening::to_all(port);
        let rule = firewall.openings.get(&to_all).filter(|rule| rule.open && !rule.rule.is_empty())?;
        (!firewall.ours.contains(&to_all)).then_some((port, rule.rule.as_str()))
    })
}

/// Ports of the member that its firewall does not let through, or forgets at the next boot.
pub fn closed_ports(desired: &Desired, facts: &Facts, member: &DesiredMember, host: &HostFacts) -> Vec<u16> {
    let closed = ports::closed(desired, facts, member, host);
    member.ports.all().into_iter().filter(|port| closed.iter().any(|one| one.port == *port)).collect()
}

fn reach_finding(desired: &Desired, facts: &Facts, reach: &Reach, expect: Expect) -> Option<Finding> {
    let to = desired.members.get(&reach.to)?;
    if reach.from.is_some_and(|from| outdated::are_apart(desired, facts, from, reach.to)) {
        return None;
    }
    let check = match reach.from {
        _ if reach.port == to.ports.client => Check::ClientPort,
        Some(from) if reach.port == to.ports.quorum => Check::QuorumPort(from),
        Some(from) if reach.port == to.ports.election => Check::ElectionPort(from),
        _ => return None,
    };
    let from = reach.from.map_or_else(|| "this machine".to_owned(), |id| desired.name(id));
    let will_open = expect == Expect::AsNow
        && facts
            .host(reach.to)
            .is_some_and(|host| closed_ports(desired, facts, to, host).contains(&reach.port));
    let (level, evidence, fix) = match reach.result {
        ReachResult::Ok => ok("ok"),
        _ if will_open => ok("closed, to be opened"),
        // Not by the rules seen on that host: they were closed before, opening them is proven by then.
        result => fail(
            format!("{from} → {}:{} {}", to.name, reach.port, result.word()),
            reach_fix(result, to, reach.port, facts.host(reach.to)),
        ),
    };
    Some(Finding { check, member: reach.to, level, evidence, fix })
}

fn reach_fix(result: ReachResult, to: &DesiredMember, port: u16, host: Option<&HostFacts>) -> String {
    let unseen = host.and_then(|host| host.firewall.why_unseen());
    match result {
        ReachResult::WrongAnswer => {
            format!("something else answers on {}:{port}: is {} really {}?", to.address, to.name, to.address)
        }
        // It may be the one that zkops opens.
        ReachResult::Timeout | ReachResult::NoRoute if unseen.is_some_and(|why| why.since_ms > 0) => format!(
            "the firewall on {} could not be looked at, and may be what closes it: run this again once that host answers sooner, or open tcp {port} there",
            to.name
        ),
        ReachResult::Timeout | ReachResult::NoRoute => {
            format!(
                "open tcp {port} to {} in the firewall between the hosts (security group, router)",
                to.address
            )
        }
        _ => format!("open tcp {port} on {}", to.name),
    }
}

/// "512 MiB", "1.5 GiB": for people.
pub fn bytes(count: u64) -> String {
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;
    match count {
        0..MIB => format!("{} KiB", count >> 10),
        MIB..GIB => format!("{} MiB", count / MIB),
        _ => format!("{:.1} GiB", count as f64 / GIB as f64),
    }
}

/// One preallocated log file and a small snapshot: below this the first hour fails.
const DATA_MIN_BYTES: u64 = 128 << 20;
const DATA_COMFORT_BYTES: u64 = 256 << 20;
/// Agreement does not depend on wall clocks; logs, ctime and TTLs do. One second confuses
/// people, half a minute means that nobody keeps this clock.
const CLOCK_WARN_MS: f64 = 1_000.0;
pub(crate) const CLOCK_FAIL_MS: f64 = 30_000.0;
/// The program behind a port that another run of ours tries ways by.
pub(crate) const ANOTHER_LOOK: &str = "another zkops that looks at this host";
