//! Deploy: from whatever the hosts are now to the ensemble the inventory asks for.
//!
//! In order: open the ports and prove the way with real listeners; write the files; start what
//! does not run, all together; replace what runs with older settings one by one, the leader last,
//! each only while the rest is proven to serve; wait until ready (law 4).

use std::collections::BTreeSet;

use super::desired::{Desired, DesiredMember};
use super::facts::{Facts, HostFacts, HostView, NoWayIn, Unreachable};
use super::fresh::Fresh;
use super::install::{self, Data, step};
use super::layout::Current;
use super::preflight::{self, Level};
use super::seen::{Seen, Stamp};
use super::step::{Action, Condition, Gate, Plan, Risk, Service, Shut, Step, Wave};
use super::{Refused, Stop, account, changes, ensemble, fit, identity, moves, ownership, ports, vacate};
use crate::wire::ids::ServerId;

pub fn plan(desired: &Desired, facts: &Facts) -> Result<Plan, Stop> {
    reachable(desired, facts)?;
    ownership::data_apart(desired, facts)?;
    changes::check(desired, facts)?;
    fit::in_place(desired, facts)?;
    let before = moves::before(desired, facts)?;
    let findings = preflight::check(desired, facts);
    if preflight::worst(&findings) == Level::Fail {
        return Err(Stop::Preflight(findings));
    }
    identity::check(desired, facts)?;
    account::check(desired, facts)?;
    slots_told(desired, facts)?;

    let mut plan = Plan { title: format!("deploy {}", desired.cluster), ..Plan::default() };
    let hosts: Vec<(&DesiredMember, &HostFacts)> =
        desired.members.values().filter_map(|member| Some((member, facts.host(member.id)?))).collect();
    let stopped: BTreeSet<ServerId> =
        hosts.iter().filter(|(_, host)| !host.unit.runs()).map(|(member, _)| member.id).collect();

    plan.push(open_wave(desired, facts, &hosts, &stopped));
    for wave in before.waves {
        plan.push(wave);
    }
    plan.push(install_wave(desired, facts, &hosts));
    plan.push(start_wave(desired, facts, &hosts, &stopped));
    for wave in replace_waves(desired, facts, &hosts, &stopped)? {
        plan.push(wave);
    }
    if plan.waves.iter().any(|wave| wave.steps.iter().any(touches_server)) || !ready(desired, facts) {
        plan.push(until_ready());
    }
    for wave in ports::close_needless(desired, facts) {
        plan.push(wave);
    }
    // Firewalls are proven by connections alone: whether it serves behind them is seen by its servers.
    let asks = |gate: &Gate| gate.condition == Condition::Ready;
    if plan.waves.last().is_some_and(|wave| !wave.gates.iter().any(asks)) {
        plan.push(until_ready());
    }
    plan.warnings.extend(ensemble::seen_from_hosts_alone(desired, facts));
    plan.push(tidy_wave(&hosts));
    plan.push(vacate::wave(desired, facts));
    plan.warnings.extend(taken_over(desired, &hosts));
    plan.warnings.extend(before.notes);
    for finding in findings.iter().filter(|finding| finding.level == Level::Warn) {
        plan.warnings.push(preflight::warning(desired, finding));
    }
    Ok(plan)
}

pub(super) fn until_ready() -> Wave {
    let gates = vec![Gate::of(Condition::Ready)];
    Wave { title: "wait until ready".to_owned(), gates, ..Wave::default() }
}

/// Facts that a deployment may end with: seen behind its last step, and somebody leads.
pub fn tells_ready(desired: &Desired, facts: &Facts, last_step: Stamp) -> bool {
    Fresh::of(facts, last_step).is_ok() && ensemble::leader(desired, facts).is_some()
}

/// True when law 4 holds in the facts: everyone in sync, a canary committed through each.
pub fn ready(desired: &Desired, facts: &Facts) -> bool {
    !desired.members.is_empty()
        && ensemble::in_sync(desired, facts).len() == desired.members.len()
        && ensemble::missed_by_leader(desired, facts).is_none()
        && ensemble::disagreements(desired, facts).is_empty()
}

fn reachable(desired: &Desired, facts: &Facts) -> Result<(), Stop> {
    let (mut away, mut unasked) = (Vec::new(), Vec::new());
    for member in desired.members.values() {
        match &facts.member(member.id).host {
            HostView::Unreachable(why) if matches!(why.kind, NoWayIn::Connection | NoWayIn::HostKey) => {
                away.push(Refused { what: why.text.clone(), ..Refused::default() });
            }
            HostView::Unasked | HostView::Unreachable(Unreachable { kind: NoWayIn::NotInstalled, .. }) => {
                let what = format!("{}: nobody looked at its host", member.name);
                unasked.push(Refused { what, ..Refused::default() });
            }
            HostView::Unreachable(_) | HostView::Seen(_) => {}
        }
    }
    // Hosts that nobody looked at, because others could not be reached, are not to blame.
    let blamed = if away.is_empty() { unasked } else { away };
    if blamed.is_empty() { Ok(()) } else { Err(Stop::Unreachable(blamed)) }
}

fn open_wave(
    desired: &Desired,
    facts: &Facts,
    hosts: &[(&DesiredMember, &HostFacts)],
    stopped: &BTreeSet<ServerId>,
) -> Wave {
    let steps: Vec<Step> =
        hosts.iter().filter_map(|(member, host)| ports::open(desired, facts, member, host)).collect();
    let prove = !steps.is_empty() || !stopped.is_empty();
    let members = desired.members.keys().copied().collect();
    let gates = if prove { vec![Gate::of(Condition::Reachable { members })] } else { Vec::new() };
    let title = if steps.is_empty() { "prove that everyone reaches everyone" } else { "open the ports" };
    Wave { title: title.to_owned(), steps, gates, shut: Shut::Preflight, ..Wave::default() }
}

fn install_wave(desired: &Desired, facts: &Facts, hosts: &[(&DesiredMember, &HostFacts)]) -> Wave {
    let first_start = !ensemble::has_history(desired, facts);
    let steps = hosts
        .iter()
        .flat_map(|(member, _)| {
            let mut steps = install::steps(desired, facts, member, Data::AsSeen, first_start);
            steps.extend(install::fill_slot(desired, facts, member));
            steps
        })
        .collect();
    Wave { title: "install".to_owned(), steps, gates: Vec::new(), ..Wave::default() }
}

/// What the layout before the slots left, once nothing runs from there any more.
fn tidy_wave(hosts: &[(&DesiredMember, &HostFacts)]) -> Wave {
    let left = hosts.iter().filter(|(_, host)| host.layout.legacy.is().is_some());
    let steps = left.map(|(member, _)| {
        step(member, Action::RemoveLegacy { dir: member.dirs.install.clone() }, "left by the older layout")
    });
    Wave { title: "remove the older layout".to_owned(), steps: steps.collect(), ..Wave::default() }
}

/// A deployment of an older zkops is taken over as it stands: said before anybody agrees to it.
fn taken_over(desired: &Desired, hosts: &[(&DesiredMember, &HostFacts)]) -> Option<String> {
    let ids: Vec<ServerId> =
        hosts.iter().filter(|(_, host)| host.layout.is_older()).map(|(member, _)| member.id).collect();
    (!ids.is_empty()).then(|| {
        format!(
            "{} stand as an older zkops deployed them: each gets the layout with two slots, and its server its own \
             user, at its own restart (docs/layout.md)",
            desired.names(&ids)
        )
    })
}

/// New files never go where they count already, so it must be known which slot does.
fn slots_told(desired: &Desired, facts: &Facts) -> Result<(), Stop> {
    let told =
        desired.members.values().filter_map(|member| Some((member, &facts.host(member.id)?.layout.current)));
    let evidence: Vec<String> = told
        .filter_map(|(member, current)| match current {
            Seen::Absent | Seen::Is(Current::Slot(_)) => None,
            Seen::Unseen(why) => Some(format!("{}: {}: {why}", member.name, member.link_path())),
            Seen::Is(Current::Odd(what)) => {
                Some(format!("{}: {} is {what}", member.name, member.link_path()))
            }
        })
        .collect();
    if evidence.is_empty() {
        return Ok(());
    }
    Err(Stop::Refused(Refused {
        what: "which of its two slots a member runs from cannot be told".to_owned(),
        evidence,
        next: vec![
            "make it a link to slots/a or slots/b again, whichever the server runs from, and deploy"
                .to_owned(),
        ],
    }))
}

/// Starting takes nobody down, so all that do not run start together.
fn start_wave(
    desired: &Desired,
    facts: &Facts,
    hosts: &[(&DesiredMember, &HostFacts)],
    stopped: &BTreeSet<ServerId>,
) -> Wave {
    let steps: Vec<Step> = hosts
        .iter()
        .filter(|(member, _)| stopped.contains(&member.id))
        .flat_map(|(member, host)| {
            let start = step(member, Action::Service(Service::Started), "not running")
                .undo(format!("zkops stop {}", member.name));
            install::enter(desired, facts, member, host).into_iter().chain([start])
        })
        .collect();
    // Without anything older still running, the ready gate at the end says it all.
    let older = hosts.iter().any(|(member, host)| install::stale(desired, facts, member, host).is_some());
    let gates = if older && !steps.is_empty() {
        vec![Gate::of(Condition::Quorum { min: desired.majority(), without: None })]
    } else {
        Vec::new()
    };
    Wave { title: "start".to_owned(), steps, gates, ..Wave::default() }
}

/// One member a wave while the rest is proven to serve. An ensemble that does not serve has
/// nothing to protect: its stale processes are replaced together.
fn replace_waves(
    desired: &Desired,
    facts: &Facts,
    hosts: &[(&DesiredMember, &HostFacts)],
    stopped: &BTreeSet<ServerId>,
) -> Result<Vec<Wave>, Stop> {
    let stale: BTreeSet<ServerId> = hosts
        .iter()
        .filter(|(member, host)| install::stale(desired, facts, member, host).is_some())
        .map(|(member, _)| member.id)
        .collect();
    let restart = |id: &ServerId| {
        let found = hosts.iter().find(|(member, _)| member.id == *id);
        found.map_or_else(Vec::new, |(member, host)| renew(desired, facts, member, host))
    };
    if stale.is_empty() {
        return Ok(Vec::new());
    }
    match ensemble::service(desired, facts) {
        ensemble::Service::ProvenNot if stopped.is_empty() => {
            let steps = stale.iter().flat_map(restart).collect();
            let title = "restart: nothing serves yet".to_owned();
            Ok(vec![idle(), Wave { title, steps, ..Wave::default() }])
        }
        // Nobody new is started whom the proof before each restart could wait for.
        ensemble::Service::Unknown(_) if stopped.is_empty() => {
            Err(ensemble::not_proven_idle(desired, facts, "a restart is needed"))
        }
        _ => {
            let order = changes::order(desired, facts, ensemble::rolling_order(desired, facts, &stale));
            Ok(roll(desired, &order, restart))
        }
    }
}

/// A stale server as a new process: what it is to run is switched right before that.
fn renew(desired: &Desired, facts: &Facts, member: &DesiredMember, host: &HostFacts) -> Vec<Step> {
    let Some(why) = install::stale(desired, facts, member, host) else { return Vec::new() };
    let mut steps = install::enter(desired, facts, member, host);
    let risk = if member.voter { Risk::Voter } else { Risk::Clients };
    let stops = |step: &Step| step.action == Action::Service(Service::Stopped);
    let service = if steps.iter().any(stops) { Service::Started } else { Service::Restarted };
    if let Some(stop) = steps.iter_mut().find(|step| stops(step)) {
        stop.risk = risk;
    }
    let why = changes::named(why, member, host);
    steps.push(step(member, Action::Service(service), &why).risk(risk));
    steps
}

/// Goes before a restart of all at once in an ensemble that did not serve when it was looked at: a
/// port that was just opened, or an election that just ended, can have brought a quorum together.
pub fn idle() -> Wave {
    Wave {
        title: "prove that nothing is served yet".to_owned(),
        gates: vec![Gate::of(Condition::Idle)],
        ..Wave::default()
    }
}

/// One member a wave: before it, the others are proven to hold a quorum without it; after it,
/// it is in sync again.
pub fn roll(desired: &Desired, order: &[ServerId], steps_of: impl Fn(&ServerId) -> Vec<Step>) -> Vec<Wave> {
    let mut waves = Vec::new();
    for id in order {
        let steps = steps_of(id);
        if steps.is_empty() {
            continue;
        }
        let name = desired.name(*id);
        // One or two voters cannot spare any: the interruption is short, shown as a risk, and
        // there is no way around it.
        let sparing = !desired.members[id].voter || desired.voters().count() > desired.majority();
        if sparing {
            waves.push(prove_without(desired, Some(*id)));
        }
        waves.push(Wave {
            title: format!("replace the server of {name}"),
            steps: steps.into_iter().map(|step| if sparing { step } else { interrupting(step) }).collect(),
            gates: vec![Gate::of(Condition::Synced { member: *id })],
            ..Wave::default()
        });
    }
    waves
}

/// The others hold a quorum; asked just before the member is taken down.
pub(crate) fn prove_without(desired: &Desired, without: Option<ServerId>) -> Wave {
    Wave {
        title: format!("prove that the others serve without {}", desired.names(&without)),
        steps: Vec::new(),
        gates: vec![Gate::of(Condition::Quorum { min: desired.majority(), without })],
        ..Wave::default()
    }
}

/// The same step where nobody serves meanwhile.
fn interrupting(step: Step) -> Step {
    if step.risk == Risk::None { step } else { step.risk(Risk::Service) }
}

fn touches_server(step: &Step) -> bool {
    matches!(step.action, Action::Service(Service::Started | Service::Restarted))
}
